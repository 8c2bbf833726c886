// Package lane runs small operations on a host in sessions that stay open. A
// lane is one session with a loop of the host's shell (lane.sh), so that an
// operation costs one round trip, no login shell and no process here. Who lives
// long and does much keeps a Pool of them; who does one thing opens a session.
package lane

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"bivy/exec"
)

const (
	// MaxLanes is how many lanes a pool has at most; each is one of the host's
	// sessions, of which sshd allows ten (MaxSessions).
	MaxLanes = 3
	// MaxStdin is the largest stdin of a call, in bytes. What is longer is worth
	// a session of its own, and would keep a lane from others.
	MaxStdin = 256 << 10
	// depth is how many calls are on their way in one lane.
	depth = 16
	// idle is how long a lane lives without a call.
	idle = 30 * time.Second
	// leaveWait is how long a call that nobody waits for any more may take to
	// end by itself. Then its lane is ended.
	leaveWait = 5 * time.Second
	// reopen is how long a pool is content with the lanes it has when it could
	// not open another one.
	reopen = 10 * time.Second
	// tries is how often a call is sent that may be repeated.
	tries = 3
)

// ErrClosed is what a call gets from a pool that was closed.
var ErrClosed = errors.New("the lanes are closed")

// Call is one operation.
type Call struct {
	// Define is shell text that defines functions and does nothing else. A lane
	// gets each such text once.
	Define string
	// Text is run in a shell of its own, which it may end, with functions of
	// Define. It must not leave a process behind that writes to its streams.
	Text string
	// Stdin is what it reads, at most MaxStdin bytes. A text with a stdin reads
	// exactly L_length bytes of it with bivy_exactly, and then sets L_exit to 0;
	// or it reads nothing. It exits with the status L_exit (lane.sh).
	Stdin []byte
	// Stdout gets what the text writes, and nothing after Do has returned.
	Stdout io.Writer
	// Changes says that the call must not be repeated where nobody knows what
	// became of it.
	Changes bool
}

// Result is how a call ended.
type Result struct {
	// Status is the exit status of the shell that ran it.
	Status int
	// Words are the last that it wrote to stderr.
	Words string
}

// Session opens a session and runs a command in it; it is called for every lane.
// It calls wanted when somebody else waits for the session.
type Session func(ctx context.Context, c exec.Command, wanted func()) (exec.Receipt, error)

// Pool is up to MaxLanes lanes to one host, opened as they are needed and closed
// when they are not. Its methods may be called by several goroutines.
type Pool struct {
	host string
	open Session
	ctx  context.Context //nolint:containedctx // the lanes live in it, not one call
	end  context.CancelFunc

	mu     sync.Mutex
	lanes  []*lane
	queue  []*request
	again  time.Time // before which no further lane is opened beside others
	closed bool
	alive  sync.WaitGroup
}

// New makes a pool whose lanes live until it is closed or ctx ends. The host is
// named in errors.
func New(ctx context.Context, host string, open Session) *Pool {
	ctx, end := context.WithCancel(ctx)
	return &Pool{host: host, open: open, ctx: ctx, end: end}
}

// Close ends the lanes, and what runs in them, and waits for that.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	left := p.queue
	p.queue = nil
	for _, l := range p.lanes {
		l.leave()
	}
	p.mu.Unlock()
	for _, r := range left {
		r.finish(Result{}, ErrClosed)
	}
	p.end()
	p.alive.Wait()
}

// Do runs one call. The error is nil where the call came to its own end,
// whatever its status; else one of exec.Run, or ErrClosed. A call that only
// reads is repeated where its lane was lost; one that changes something is not,
// and *exec.LostError says that nobody knows what became of it.
func (p *Pool) Do(ctx context.Context, c Call) (Result, error) {
	r := &request{call: c, done: make(chan struct{})}
	r.words.Limit = maxWords
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return Result{}, ErrClosed
	}
	p.queue = append(p.queue, r)
	p.dispatch()
	p.mu.Unlock()
	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
		return p.withdraw(ctx, r)
	}
}

// withdraw takes back a call whose caller wants no answer any more. One that
// changes something is waited for: its caller should know.
func (p *Pool) withdraw(ctx context.Context, r *request) (Result, error) {
	canceled := &exec.CanceledError{Host: p.host, Cause: context.Cause(ctx)}
	p.mu.Lock()
	for i, q := range p.queue {
		if q == r {
			p.queue = append(p.queue[:i:i], p.queue[i+1:]...)
			p.mu.Unlock()
			return Result{}, canceled
		}
	}
	r.gone = true
	l := r.lane
	p.mu.Unlock()
	canceled.Started = true
	if !r.call.Changes {
		r.abandon()
		if l != nil {
			l.hurry(r)
		}
		canceled.Confirmed = true
		return Result{}, canceled
	}
	over := time.NewTimer(leaveWait)
	defer over.Stop()
	select {
	case <-r.done:
		return r.result, r.err
	case <-over.C:
	}
	if l != nil {
		l.end()
	}
	<-r.done
	if r.err == nil {
		return r.result, nil
	}
	canceled.Confirmed = confirmed(r.err)
	return Result{}, canceled
}

// confirmed reports whether the end of a lane, which we asked for, is known to
// have ended what ran in it.
func confirmed(err error) bool {
	var canceled *exec.CanceledError
	var lost *exec.LostError
	return errors.As(err, &canceled) && canceled.Confirmed || errors.As(err, &lost) && lost.Ended
}

// dispatch gives waiting calls to the lanes that have least to do, and opens
// another one where all are busy. The caller holds p.mu.
func (p *Pool) dispatch() {
	for len(p.queue) > 0 {
		l := p.idlest()
		if (l == nil || len(l.sent) > 0) && p.mayOpen() {
			if l == nil && p.queue[0].first() {
				p.start(p.queue[0])
				p.queue = p.queue[1:]
				continue
			}
			p.start(nil)
		}
		if l == nil {
			return
		}
		r := p.queue[0]
		p.queue = p.queue[1:]
		l.send(r)
	}
}

// idlest is the lane with the fewest calls on their way, if one may get more.
func (p *Pool) idlest() *lane {
	var best *lane
	for _, l := range p.lanes {
		if l.ready && !l.leaving && len(l.sent) < depth && (best == nil || len(l.sent) < len(best.sent)) {
			best = l
		}
	}
	return best
}

// mayOpen reports whether another lane is worth a try: one at a time.
func (p *Pool) mayOpen() bool {
	for _, l := range p.lanes {
		if !l.ready && !l.leaving {
			return false
		}
	}
	return len(p.lanes) == 0 || len(p.lanes) < MaxLanes && !time.Now().Before(p.again)
}
