package mcp

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec"
)

const outputText = "Returns what a command in the background has written since it was asked for last, and how it goes on. " +
	"With wait it returns when there is something new, or after so many seconds."

const killText = "Ends a command in the background: TERM to all its processes, KILL to what is still there five seconds later. Returns the rest of its output."

const (
	stateRunning = "running"
	// maxRunning is how many commands run in the background at once, each in
	// a session of its host; maxEnded is how many that ended are remembered.
	maxRunning = 16
	maxEnded   = 64
	// maxWait is how long command_output waits, in seconds.
	maxWait = 600
)

// errKilled is why a command in the background was ended.
var errKilled = errors.New("command_kill ended it")

// backgrounds are the commands in the background. Each has a goroutine, which
// wait waits for.
type backgrounds struct {
	mu     sync.Mutex
	last   int
	all    map[string]*background
	order  []*background
	killed bool
	tasks  sync.WaitGroup
}

// background is one command in the background.
type background struct {
	id     string
	place  Place
	kept   *streams
	began  chan struct{} // closed when it has started
	done   chan struct{} // closed when it is over; then the receipt is there
	fresh  chan struct{} // gets a value when something came
	cancel context.CancelCauseFunc
	hurry  func()

	receipt exec.Receipt
	err     error

	mu       sync.Mutex // guards what was shown
	out, bad int64
	started  time.Time
}

func newBackgrounds() *backgrounds { return &backgrounds{all: map[string]*background{}} }

// wait waits for the end of all.
func (b *backgrounds) wait() { b.tasks.Wait() }

// kill ends the grace of all.
func (b *backgrounds) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.killed = true
	for _, one := range b.order {
		one.hurry()
	}
}

// add makes room for one more, or says that too many run.
func (b *backgrounds) add(one *background) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	running := 0
	for _, other := range b.order {
		if !other.over() {
			running++
		}
	}
	if running >= maxRunning || b.killed {
		return &callError{
			class: "busy", text: strconv.Itoa(running) + " commands run in the background already",
			hint: "end one with command_kill",
		}
	}
	for i := 0; len(b.order)-running > maxEnded; {
		if !b.order[i].over() {
			i++
			continue
		}
		delete(b.all, b.order[i].id)
		b.order = append(b.order[:i], b.order[i+1:]...)
	}
	b.last++
	one.id = "c" + strconv.Itoa(b.last)
	b.all[one.id] = one
	b.order = append(b.order, one)
	return nil
}

func (b *backgrounds) find(id string) (*background, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one, ok := b.all[id]
	if !ok {
		return nil, notFound("there is no command_id %q; run_shell_command with background returns one", id)
	}
	return one, nil
}

func (one *background) over() bool {
	select {
	case <-one.done:
		return true
	default:
		return false
	}
}

// start starts a command in the background, and waits until it has started.
func (s *server) start(ctx context.Context, p Place, cmd exec.Command) (*runOut, error) {
	life, cancel := context.WithCancelCause(s.life)
	fresh, hurry := make(chan struct{}, 1), make(chan struct{})
	one := &background{
		place: p, began: make(chan struct{}), done: make(chan struct{}), fresh: fresh, cancel: cancel,
		hurry: sync.OnceFunc(func() { close(hurry) }), started: time.Now(),
	}
	one.kept = newStreams(s.MaxOutput, func() {
		select {
		case fresh <- struct{}{}:
		default:
		}
	})
	cmd.Hurry = hurry
	cmd.Began = sync.OnceFunc(func() { close(one.began) })
	if err := s.background.add(one); err != nil {
		cancel(err)
		return nil, err
	}
	s.background.tasks.Go(func() {
		defer cancel(nil)
		one.receipt, one.err = s.runInto(life, one.kept, p, cmd)
		close(one.done)
	})
	select {
	case <-one.began:
	case <-one.done:
	case <-ctx.Done():
		cancel(context.Cause(ctx))
		<-one.done
	}
	if one.over() && one.err != nil && one.receipt.Started.IsZero() {
		return nil, one.err
	}
	return s.report(one)
}

// report is how a command in the background goes on: what it wrote since the
// last report. The error says why it did not run to its own end, unless that was
// asked for.
func (s *server) report(one *background) (*runOut, error) {
	over := one.over() // before its output is looked at, which is then all
	one.mu.Lock()
	defer one.mu.Unlock()
	o := &runOut{State: stateRunning, DurationMS: time.Since(one.started).Milliseconds()}
	var err error
	if over {
		o = s.result(one.place, one.receipt, one.err)
		if !errors.Is(one.err, errKilled) {
			err = one.err
		}
	}
	var stdout, stderr excerpt
	stdout, stderr, one.out, one.bad = one.kept.excerpts(one.out, one.bad, s.MaxOutput)
	o.fill(stdout, stderr, one.kept)
	o.CommandID = one.id
	return o, err
}

type outputIn struct {
	CommandID string  `json:"command_id" jsonschema:"What run_shell_command returned."`
	Wait      float64 `json:"wait,omitempty" jsonschema:"Seconds to wait for something new; default: 0, at most 600."`
}

// output is the tool command_output.
func (s *server) output(ctx context.Context, req *sdk.CallToolRequest, in outputIn) (*runOut, error) {
	if in.Wait < 0 || in.Wait > maxWait {
		return nil, usage("wait is %g seconds; it must be between 0 and %d", in.Wait, maxWait)
	}
	one, err := s.background.find(in.CommandID)
	if err != nil {
		return nil, err
	}
	if in.Wait > 0 && !one.news() {
		stop := progress(ctx, req, one.kept)
		select {
		case <-one.done:
		case <-one.fresh:
		case <-time.After(time.Duration(in.Wait * float64(time.Second))):
		case <-ctx.Done():
		}
		stop()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return s.report(one)
}

// news reports whether there is something that no report has shown. A note of
// what was shown already is taken back.
func (one *background) news() bool {
	select {
	case <-one.fresh:
	default:
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.over() || one.kept.out.bytes() > one.out || one.kept.err.bytes() > one.bad
}

type killIn struct {
	CommandID string `json:"command_id" jsonschema:"What run_shell_command returned."`
	Force     bool   `json:"force,omitempty" jsonschema:"KILL at once; default: false."`
}

// kill is the tool command_kill. One that is over is no error.
func (s *server) kill(ctx context.Context, _ *sdk.CallToolRequest, in killIn) (*runOut, error) {
	one, err := s.background.find(in.CommandID)
	if err != nil {
		return nil, err
	}
	one.cancel(errKilled)
	if in.Force {
		one.hurry()
	}
	select {
	case <-one.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return s.report(one)
}
