package exec

import (
	"context"
	"io"
	"os"
	"syscall"
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
	// shell; between them the user's patience decides.
	minStart = 5 * time.Second
	maxStart = 30 * time.Second
	// confirm is how long after the grace the host may take to report. A busy
	// host stretches the grace, too: it counts pauses, not the time between.
	confirm = 5 * time.Second
)

// attempt is one try to run a command over a warm session.
type attempt struct {
	cmd   Command
	lease *mux.Lease
	nonce string

	ssh     *proc.Process
	log     string
	stdin   io.WriteCloser
	stdout  *scanner
	stderr  *scanner // nil with a terminal
	events  chan marks
	readers chan error    // one value for each stream that ended
	broken  chan error    // one for each of our writers that failed
	begun   chan struct{} // closed when the start mark was seen
	over    chan struct{} // closed when nobody listens any more
	streams int
	closers []io.Closer
	began   time.Time
	started time.Time

	timedOut bool
	canceled error
	unheard  error // our writer's: output was lost
	killed   bool  // we ended ssh: its status says nothing
}

// run starts ssh, watches the command, and says what became of it.
func (a *attempt) run(ctx context.Context) (Receipt, error) {
	var err error
	if a.log, err = a.lease.LogFile(); err != nil {
		return Receipt{State: NeverStarted}, err
	}
	a.began = time.Now()
	// Two marks a stream and the notes between them fit without blocking.
	a.events = make(chan marks, 16)
	a.readers = make(chan error, 2)
	a.broken = make(chan error, 2)
	a.begun, a.over = make(chan struct{}), make(chan struct{})
	if a.cmd.TTY != nil {
		err = a.startTTY(ctx)
	} else {
		err = a.startPipes(ctx)
	}
	if err != nil {
		_ = words(a.log)
		return Receipt{State: NeverStarted}, err
	}
	exit, lingering := a.watch(ctx)
	select {
	case a.unheard = <-a.broken: // the last words failed to be written
	default:
	}
	return a.receipt(exit, lingering)
}

func (a *attempt) session(tty bool) sshcmd.Session {
	boot := frame.Boot
	if tty {
		boot = bootTTY
	}
	line, err := sshcmd.WrapSh(boot, "sh")
	if err != nil {
		panic(err) // a constant, covered by a test
	}
	return sshcmd.Session{
		SSH: a.lease.Masters().Program(), ControlPath: a.lease.ControlPath(), Log: a.log, TTY: tty, Command: line,
	}
}

// note passes marks on to watch.
func (a *attempt) note(m marks) {
	select {
	case a.events <- m:
	default: // a host that floods us with marks gains nothing
	}
}

// watch waits for the end: of the command as the supervisor reports it, of
// ssh, or of what we asked for. It returns how ssh ended, and whether
// something still held the streams.
func (a *attempt) watch(ctx context.Context) (exit proc.Exit, lingering bool) {
	ended := make(chan proc.Exit, 1)
	go func() {
		exit, _ := a.ssh.Wait()
		ended <- exit
	}()
	var (
		limit   = time.NewTimer(min(max(a.lease.Masters().Wait(), minStart), maxStart))
		timeout <-chan time.Time
		open    = a.streams
		gone    bool
		done    = ctx.Done()
	)
	defer limit.Stop()
	for !gone || open > 0 {
		select {
		case exit = <-ended:
			gone = true
			limit.Reset(drain)
		case err := <-a.readers:
			open--
			if err != nil {
				a.cancel(ctx, err, limit)
			}
		case err := <-a.broken:
			a.unheard = err
			a.cancel(ctx, err, limit)
		case m := <-a.events:
			if a.started.IsZero() && m.started {
				timeout = a.start(ctx, m, limit)
			}
			if a.allExited() {
				limit.Reset(drain)
			}
		case <-done:
			done, timeout = nil, nil
			a.cancel(ctx, context.Cause(ctx), limit)
		case <-timeout:
			a.timedOut, timeout = true, nil
			a.end(ctx, limit)
		case <-limit.C:
			lingering = a.letGo(gone, ended, &exit)
			return exit, lingering
		}
	}
	a.close()
	return exit, false
}

// start takes note of the start mark and returns when the command's time is
// over. One that starts although it was canceled is ended now.
func (a *attempt) start(ctx context.Context, m marks, limit *time.Timer) (timeout <-chan time.Time) {
	a.started = time.Now()
	close(a.begun)
	zerolog.Ctx(ctx).Debug().Int("pid", m.pid).Dur("took", a.started.Sub(a.began)).Msg("command started")
	if a.canceled != nil {
		a.end(ctx, limit)
		return nil
	}
	limit.Stop()
	return after(a.cmd.Timeout)
}

// cancel ends the command once, for the first reason that comes.
func (a *attempt) cancel(ctx context.Context, why error, limit *time.Timer) {
	if a.canceled == nil && !a.timedOut {
		a.canceled = why
		a.end(ctx, limit)
	}
}

// end asks the host to end the command. A lifeline is cut; otherwise a second
// session carries the order. The limit is what the host may take for it.
func (a *attempt) end(ctx context.Context, limit *time.Timer) {
	limit.Reset(a.cmd.grace() + confirm)
	m := a.seen()
	switch {
	case !m.started || a.cmd.Stdin == nil && a.cmd.TTY == nil:
		_ = a.stdin.Close()
	default:
		go a.reap(context.WithoutCancel(ctx), m)
	}
}

// reap ends the command from a session of its own, within the same limit. It
// takes no lease: those leave room for this.
func (a *attempt) reap(ctx context.Context, m marks) {
	ctx, cancel := context.WithTimeout(ctx, a.cmd.grace()+confirm)
	defer cancel()
	log, err := a.lease.LogFile()
	if err != nil {
		return
	}
	defer os.Remove(log) //nolint:errcheck // a sidecar, also removed with the master
	s := a.session(false)
	s.Log = log
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	defer closeAll([]*os.File{r, w})
	go func() { _, _ = w.Write(reapFrame(m, a.cmd.grace())) }()
	_, _ = proc.Run(ctx, proc.Spec{Args: s.Args(), Env: a.lease.Masters().Env(), Stdin: r, Isolation: proc.Session})
}

// letGo stops listening: ssh is ended if it is still there, our ends of the
// streams are closed.
func (a *attempt) letGo(gone bool, ended <-chan proc.Exit, exit *proc.Exit) (lingering bool) {
	if !gone {
		a.killed = true
		_ = a.ssh.Signal(syscall.SIGTERM)
		select {
		case *exit = <-ended:
		case <-time.After(proc.DefaultGrace):
			_ = a.ssh.Signal(syscall.SIGKILL)
			*exit = <-ended
		}
	}
	a.close()
	return a.allExited()
}

func (a *attempt) close() {
	close(a.over)
	for _, c := range a.closers {
		_ = c.Close()
	}
	_ = a.stdin.Close()
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
