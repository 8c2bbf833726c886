// Package proc starts and ends local processes. It is the only package of
// bivy that imports os/exec: every child gets its group, its deadline and its
// end decided here, and a log line before and after it.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// DefaultGrace is the time between the polite signal and SIGKILL when the
// context of a process ends.
const DefaultGrace = 2 * time.Second

// Spec describes one child process.
type Spec struct {
	// Args is the argv. Args[0] is looked up on PATH when it has no slash.
	Args []string
	// Dir is the working directory; empty means ours.
	Dir string
	// Env is the whole environment as K=V; nil means ours.
	Env []string

	// Stdin, Stdout and Stderr are connected as in os/exec: nil is
	// /dev/null, an *os.File is passed on as it is, anything else is copied.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Files become descriptors 3, 4, … of the child.
	Files []*os.File

	// Isolation keeps the terminal's signals (^C, hang-up) from the child.
	Isolation Isolation
	// TTY, when set, becomes the controlling terminal of the child, which
	// then leads a session of its own.
	TTY *os.File

	// EndWithParent asks the kernel to send the child SIGTERM when the
	// calling thread ends; the caller locks its goroutine to the thread
	// (prctl(2), PR_SET_PDEATHSIG). Linux only; nothing happens elsewhere.
	EndWithParent bool

	// Signal is sent when the context ends; zero means SIGTERM.
	Signal syscall.Signal
	// Grace is the time from Signal to SIGKILL; zero means DefaultGrace.
	Grace time.Duration
}

// Isolation says how far a child is set apart from our own process group.
type Isolation int

const (
	// Shared leaves the child in our process group.
	Shared Isolation = iota
	// Group gives the child a process group of its own.
	Group
	// Session gives the child a session of its own, without a terminal.
	Session
)

// Exit says how a process ended.
type Exit struct {
	// Code is the exit status, or 128+N where signal N ended the process.
	Code int
	// Signal is zero unless a signal ended the process.
	Signal syscall.Signal
}

// OK reports an exit with status 0.
func (e Exit) OK() bool { return e.Code == 0 }

func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("ended by signal %d (%s)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("ended with %d", e.Code)
}

// NotFoundError says that a program is not installed where PATH looks.
type NotFoundError struct {
	Program string
	Err     error
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("cannot find the program %q", e.Program)
}

// Unwrap returns the reason that the system gave.
func (e *NotFoundError) Unwrap() error { return e.Err }

// Process is a started child. Wait must be called exactly once.
type Process struct {
	cmd     *exec.Cmd
	ctx     context.Context
	started time.Time
}

// Start starts the process. When ctx ends it gets Spec.Signal, after
// Spec.Grace SIGKILL. A program that is not there gives *NotFoundError.
func Start(ctx context.Context, s Spec) (*Process, error) {
	if len(s.Args) == 0 {
		return nil, errors.New("start process: empty argv")
	}
	cmd := command(ctx, s)
	zerolog.Ctx(ctx).Debug().Strs("argv", s.Args).Msg("process starts")
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) && s.Dir == "" {
			return nil, &NotFoundError{Program: s.Args[0], Err: err}
		}
		return nil, fmt.Errorf("start %s: %w", s.Args[0], err)
	}
	return &Process{cmd: cmd, ctx: ctx, started: time.Now()}, nil
}

func command(ctx context.Context, s Spec) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Args[0], s.Args[1:]...)
	cmd.Dir, cmd.Env = s.Dir, s.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, s.Stdout, s.Stderr
	cmd.ExtraFiles = s.Files
	attr := &syscall.SysProcAttr{}
	switch s.Isolation {
	case Group:
		attr.Setpgid = true
	case Session:
		attr.Setsid = true
	case Shared:
	}
	if s.TTY != nil {
		// Ctty is a descriptor number of the child: the terminal goes
		// behind the other extra files.
		cmd.ExtraFiles = append(cmd.ExtraFiles[:len(cmd.ExtraFiles):len(cmd.ExtraFiles)], s.TTY)
		attr.Setsid, attr.Setpgid, attr.Setctty = true, false, true
		attr.Ctty = 2 + len(cmd.ExtraFiles)
	}
	if s.EndWithParent {
		endWithParent(attr)
	}
	cmd.SysProcAttr = attr
	sig := s.Signal
	if sig == 0 {
		sig = syscall.SIGTERM
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(sig) }
	cmd.WaitDelay = s.Grace
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = DefaultGrace
	}
	return cmd
}

// Pid is the process id of the child.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the child; a child that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Wait waits for the end of the child and of the copies to its writers. The
// error is nil whenever the child ended by itself, whatever its status; it is
// the context's error where that ended the child.
func (p *Process) Wait() (Exit, error) {
	err := p.cmd.Wait()
	exit := exitOf(p.cmd.ProcessState)
	zerolog.Ctx(p.ctx).Debug().Str("program", p.cmd.Args[0]).Int("pid", p.Pid()).
		Stringer("end", exit).Dur("took", time.Since(p.started)).Msg("process ended")
	var status *exec.ExitError
	switch {
	case err == nil, errors.As(err, &status) && p.ctx.Err() == nil:
		return exit, nil
	case errors.Is(err, exec.ErrWaitDelay) && p.ctx.Err() == nil:
		// The child ended by itself, but something it left behind still
		// holds its pipes; what arrived until now is all there is.
		return exit, nil
	case p.ctx.Err() != nil:
		return exit, context.Cause(p.ctx)
	default:
		return exit, fmt.Errorf("wait for %s: %w", p.cmd.Args[0], err)
	}
}

func exitOf(state *os.ProcessState) Exit {
	if state == nil {
		return Exit{Code: -1}
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return Exit{Code: 128 + int(ws.Signal()), Signal: ws.Signal()}
	}
	return Exit{Code: state.ExitCode()}
}

// Detach lets go of a child that is meant to outlive us. Its end is still
// collected, so that a long-lived process does not gather zombies; the
// goroutine that does so ends with the child.
func (p *Process) Detach() {
	go func() { _ = p.cmd.Wait() }()
}

// Run starts the process and waits for its end.
func Run(ctx context.Context, s Spec) (Exit, error) {
	p, err := Start(ctx, s)
	if err != nil {
		return Exit{Code: -1}, err
	}
	return p.Wait()
}

// Become replaces this process by a program, with its arguments from argv[0] on.
// It returns only where that cannot be.
func Become(path string, argv, env []string) error {
	if err := syscall.Exec(path, argv, env); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}
