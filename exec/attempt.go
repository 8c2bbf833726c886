package exec

import (
	"context"
	"io"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec/frame"
	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/sshcmd"
)

const (
	// drain is how long the streams may stay open after the command's end,
	// or ssh's: what a background child still says in it is passed on.
	drain = 150 * time.Millisecond
	// minStart and maxStart bound the time that a host gets to start our
	// shell; between them the user's patience decides. The upper one is more
	// than a master takes to notice that its link is dead: it asks after 15 s
	// without a word, and gives up with the fourth time (clientloop.c).
	minStart = 5 * time.Second
	maxStart = 75 * time.Second
	// suspect is when a session that has not started makes us ask whether its
	// master is there at all, and suspectStranger the same for somebody whom no
	// holder of ours has started. With the time that he has to answer it stays
	// below a second.
	suspect         = 4 * time.Second
	suspectStranger = 200 * time.Millisecond
	// confirm is how long after the grace the host may take to report, on a
	// link without delay; every host gets busyHost on top, and a slow one up to
	// slack.
	confirm  = time.Second
	busyHost = 250 * time.Millisecond
	slack    = 4 * time.Second
)

// attempt is one try to run a command over a warm session.
type attempt struct {
	cmd   Command
	lease *mux.Lease
	id    identity
	guard *mux.Guard
	spare bool // it may be, and later was, a session that was opened before

	client  client
	stdin   io.WriteCloser
	fed     *feeding   // nil with a terminal
	gate    *readyGate // nil without
	stdout  *scanner
	stderr  *scanner // nil with a terminal
	events  chan marks
	readers chan error    // one value for each stream that ended
	broken  chan error    // one for each of our writers that failed
	begun   chan struct{} // closed when the start mark was seen
	over    chan struct{} // closed when nobody listens any more
	streams int
	closers []io.Closer
	wake    func() // ends the reading of streams that have nothing to read
	began   time.Time
	started time.Time
	limit   *time.Timer

	timedOut bool
	canceled error
	ordered  bool             // it was running when it was told to end
	unfed    bool             // its input was ended, for want of another way
	killing  bool             // the command was told to end without a grace
	hurried  bool             // it is to be, once it is told to end
	unheard  error            // our writer's: output was lost
	killed   bool             // we ended the client: its status says nothing
	sent     bool             // the host may have got something of the frame
	wedged   bool             // the master did not answer
	alone    <-chan time.Time // when a guardian that is not there is given up
	report   <-chan mux.Ended // set while the guardian is at work for us
	ended    *mux.Ended       // what it reported
}

// run opens a session, watches the command, and says what became of it.
func (a *attempt) run(ctx context.Context) (Receipt, error) {
	a.guard = a.lease.Guard(ctx, mux.Run{ID: a.id.run, Grace: a.cmd.grace(), Lifeline: a.lifeline(), Keep: a.cmd.Keep, Spare: a.spare})
	a.began = time.Now()
	// Two marks a stream and the notes between them fit without blocking.
	a.events = make(chan marks, 16)
	a.readers = make(chan error, 2)
	a.broken = make(chan error, 2)
	a.begun, a.over = make(chan struct{}), make(chan struct{})
	var err error
	if a.cmd.TTY != nil {
		err = a.startTTY(ctx)
	} else {
		err = a.startPipes(ctx)
	}
	if err != nil {
		a.guard.Over()
		if ctx.Err() != nil {
			return Receipt{State: Canceled}, &CanceledError{Host: a.lease.Host(), Cause: context.Cause(ctx)}
		}
		return Receipt{State: NeverStarted}, err
	}
	exit, lingering := a.watch(ctx)
	a.makeSure()
	select {
	case a.unheard = <-a.broken: // the last words failed to be written
	default:
	}
	return a.receipt(exit, lingering)
}

// lifeline reports whether the session's stdin is one: the command has no
// other use for it.
func (a *attempt) lifeline() bool { return a.cmd.Stdin == nil && a.cmd.TTY == nil }

func (a *attempt) session(tty bool, log string) sshcmd.Session {
	boot := frame.BootAlone
	if tty {
		boot = bootTTY
	}
	line, err := sshcmd.WrapSh(boot, "sh")
	if err != nil {
		panic(err) // a constant, covered by a test
	}
	return sshcmd.Session{
		SSH: a.lease.Masters().Program(), ControlPath: a.lease.ControlPath(), Log: log, TTY: tty, Command: line,
	}
}

// note is called by the scanners, on the goroutines that read. It never
// blocks: what is dropped is in the scanner's state all the same.
func (a *attempt) note(m marks) {
	select {
	case a.events <- m:
	default:
	}
}

// watch waits until ssh and both streams have ended, or until nothing more is
// to be expected of them.
func (a *attempt) watch(ctx context.Context) (exit proc.Exit, lingering bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan proc.Exit, 1)
	go func() {
		exit, _ := a.client.Wait()
		ended <- exit
	}()
	a.limit = time.NewTimer(min(max(a.lease.Masters().Wait(), minStart), maxStart))
	defer a.limit.Stop()
	var (
		timeout <-chan time.Time
		doubt   = time.After(suspectStranger)
		doubted bool
		dead    = make(chan bool, 2) // one for each doubt
		hurry   = a.cmd.Hurry
		open    = a.streams
		gone    bool
		done    = ctx.Done()
	)
	for !gone || open > 0 || a.report != nil {
		select {
		case exit = <-ended:
			// A command whose session is over has ended, too, whatever of its
			// output is still to be read.
			gone, timeout = true, nil
			a.settle()
		case err := <-a.readers:
			open--
			if err != nil {
				a.cancel(err)
			}
		case err := <-a.broken:
			a.unheard = err
			a.cancel(err)
		case m := <-a.events:
			if a.started.IsZero() && m.started {
				timeout = a.start(ctx, m)
			}
			if a.allExited() {
				a.settle()
			}
		case <-done:
			done, timeout = nil, nil
			a.cancel(context.Cause(ctx))
		case <-hurry:
			// It may be seen before the cancel that it hurries.
			hurry, a.hurried = nil, true
			a.kill()
		case <-timeout:
			a.timedOut, timeout = true, nil
			a.end()
		case end, ok := <-a.report:
			a.reported(end, ok, gone)
		case <-a.alone:
			if a.report != nil && !a.guard.Watching() {
				a.reported(mux.Ended{}, false, gone)
			}
		case <-doubt:
			if !a.started.IsZero() || gone || a.canceled != nil {
				continue
			}
			early := !doubted
			if doubted = true; early {
				doubt = time.After(suspect - suspectStranger)
			}
			if !early || a.lease.OnStranger() {
				go func() { dead <- !a.lease.Responsive(ctx) }()
			}
		case a.wedged = <-dead:
			if a.wedged && a.started.IsZero() {
				a.limit.Reset(0)
			}
		case <-a.limit.C:
			if gone && !a.ordered && a.canceled == nil && !a.allExited() {
				// What has arrived is still to be passed on, however slow its
				// reader is; what has not will not come any more.
				a.wake()
				continue
			}
			lingering = a.letGo(gone, ended, &exit)
			return exit, lingering
		}
	}
	a.close()
	return exit, false
}

// start takes note of the start mark and returns when the command's time is
// over. One that starts although it was canceled is ended now.
func (a *attempt) start(ctx context.Context, m marks) (timeout <-chan time.Time) {
	a.started = time.Now()
	close(a.begun)
	a.lease.Began()
	a.cmd.tell()
	a.guard.Started(m.pid)
	zerolog.Ctx(ctx).Debug().Int("pid", m.pid).Dur("took", a.started.Sub(a.began)).Msg("command started")
	if a.canceled != nil {
		a.end()
		return nil
	}
	a.limit.Stop()
	return after(a.cmd.Timeout)
}

// settle waits a little for the rest after the command's end, or ssh's. The
// guardian's report has its own limit.
func (a *attempt) settle() {
	if a.report == nil {
		a.limit.Reset(a.drain())
	}
}

func (a *attempt) close() {
	if a.started.IsZero() && a.seen().started {
		// Start and end came at once, and the end was taken first.
		a.started = time.Now()
		a.lease.Began()
		a.cmd.tell()
	}
	close(a.over)
	for _, c := range a.closers {
		_ = c.Close()
	}
	_ = a.stdin.Close()
	if a.fed != nil {
		a.sent = a.fed.takeBack()
	} else {
		a.sent = a.gate.wasOpened()
	}
}

// seen is what both streams have told until now.
func (a *attempt) seen() marks {
	out, _ := a.stdout.state()
	if a.stderr == nil {
		return out
	}
	err, _ := a.stderr.state()
	return merge(out, err)
}

// allExited reports whether the exit mark came on every stream; all that the
// command itself wrote has then been passed on.
func (a *attempt) allExited() bool {
	out, _ := a.stdout.state()
	if a.stderr == nil {
		return out.exited
	}
	err, _ := a.stderr.state()
	return out.exited && err.exited
}

func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}
