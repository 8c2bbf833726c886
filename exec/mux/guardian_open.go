package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"bivy/exec/frame"
	"bivy/exec/proc"
	"bivy/sshcmd"
)

// guardSession is a guardian's session: an ssh process, or a connection of our own
// to the master. It ends with the context that it was opened with.
type guardSession interface {
	// Wait returns the status of the session, or 255 without one.
	Wait() (proc.Exit, error)
	// Words is what ssh said, or would have said. It is asked once, after Wait.
	Words() string
}

// open opens a guardian's session in the way that those of commands are
// opened. The caller closes its ends of the pipes.
func (w *warden) open(ctx context.Context, in, out *os.File) (guardSession, error) {
	line, err := sshcmd.WrapSh(frame.Boot, guardianName)
	if err != nil {
		panic(err) // a constant, covered by a test
	}
	request := sshcmd.Session{SSH: w.spec.SSH, ControlPath: w.dir.socket(w.spec.ID), Command: line}
	if may, must := w.master.Dials(); may {
		s, err := w.dial(ctx, request, in, out)
		var protocol *ProtocolError
		if must || !errors.As(err, &protocol) {
			return s, err
		}
	}
	return w.startSSH(ctx, request, in, out)
}

func (w *warden) dial(ctx context.Context, request sshcmd.Session, in, out *os.File) (guardSession, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open a sink for the guardian: %w", err)
	}
	defer null.Close() //nolint:errcheck // the master has its copy
	c, err := w.master.Dial(ctx, request, in, out, null)
	if err != nil {
		return nil, err
	}
	return dialledSession{c, context.AfterFunc(ctx, func() { _ = c.Signal(syscall.SIGTERM) })}, nil
}

// dialledSession is a connection that ends with a context.
type dialledSession struct {
	*Channel
	stop func() bool
}

// Wait implements guardSession.
func (s dialledSession) Wait() (proc.Exit, error) {
	defer s.stop()
	return s.Channel.Wait()
}

func (w *warden) startSSH(ctx context.Context, request sshcmd.Session, in, out *os.File) (guardSession, error) {
	log, err := w.master.LogFile()
	if err != nil {
		return nil, err
	}
	request.Log = log
	p, err := proc.Start(ctx, proc.Spec{Args: request.Args(), Stdin: in, Stdout: out, Isolation: proc.Session})
	if err != nil {
		_ = os.Remove(log)
		return nil, err
	}
	return sshSession{p, log}, nil
}

// sshSession is an ssh process with its log.
type sshSession struct {
	*proc.Process
	log string
}

// Words implements guardSession. The log is removed.
func (s sshSession) Words() string {
	defer os.Remove(s.log) //nolint:errcheck // what is left is removed with the directory
	f, err := os.Open(s.log)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // it was read only
	text, _ := io.ReadAll(io.LimitReader(f, 64<<10))
	return string(text)
}
