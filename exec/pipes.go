package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/rs/zerolog"
)

// startPipes opens a session with three pipes of ours, or takes one that is
// open. They are real pipes, which the master gets, so no process stands
// between.
func (a *attempt) startPipes(ctx context.Context) error {
	c, in, out, exact, err := a.openPipes(ctx)
	if err != nil {
		return err
	}
	fromOut, outErr := newPipeReader(out[0])
	fromErr, errErr := newPipeReader(out[1])
	if err := errors.Join(outErr, errErr); err != nil {
		_ = c.Signal(syscall.SIGTERM)
		closeAll([]*os.File{in.r, in.w, out[0], out[1]})
		return err
	}
	fromErr.wide = true // little is expected there, and pipe memory is the user's
	a.client, a.stdin = c, in.w
	a.wake = func() {
		fromOut.letGo()
		fromErr.letGo()
	}
	a.closers = []io.Closer{out[0], out[1]}
	a.stdout = newScanner(a.id.nonce, orDiscard(a.cmd.Stdout), a.note)
	a.stderr = newScanner(a.id.nonce, orDiscard(a.cmd.Stderr), a.note)
	a.stdout.fail = func(err error) { a.broken <- err }
	a.stderr.fail = a.stdout.fail
	a.read(fromOut, a.stdout)
	a.read(fromErr, a.stderr)
	m := modeWatch
	if a.cmd.Stdin != nil {
		m = modeUser
	}
	if exact && a.cmd.Early && a.cmd.rewind() {
		m = modeEarly
	}
	a.fed = &feeding{unread: in.r, stopped: make(chan struct{})}
	go a.feed(commandFrame(a.cmd, a.id, m), m == modeEarly)
	return nil
}

// pipe is both ends of one.
type pipe struct{ r, w *os.File }

// openPipes opens a session on pipes. It returns both ends of stdin, those that
// give stdout and stderr, and whether the shell there can read no more than a
// frame.
func (a *attempt) openPipes(ctx context.Context) (c client, in pipe, out [2]*os.File, exact bool, err error) {
	s := a.guard.Spare()
	if a.spare = s != nil; a.spare {
		zerolog.Ctx(ctx).Debug().Msg("session was open already")
		return s.Channel, pipe{s.Unread, s.In}, [...]*os.File{s.Out, s.Errs}, s.Exact, nil
	}
	in, outs, err := makePipes()
	if err != nil {
		return nil, in, out, false, err
	}
	defer closeAll([]*os.File{outs[0].w, outs[1].w})
	if c, err = a.open(ctx, stdio{in: in.r, out: outs[0].w, errs: outs[1].w}); err != nil {
		closeAll([]*os.File{in.r, in.w, outs[0].r, outs[1].r})
	}
	return c, in, [...]*os.File{outs[0].r, outs[1].r}, true, err
}

// makePipes makes the pipes of a session: stdin, stdout with stderr.
func makePipes() (in pipe, out [2]pipe, err error) {
	made := []*pipe{&in, &out[0], &out[1]}
	for i, p := range made {
		if p.r, p.w, err = os.Pipe(); err != nil {
			for _, p := range made[:i] {
				closeAll([]*os.File{p.r, p.w})
			}
			return in, out, fmt.Errorf("make pipes for ssh: %w", err)
		}
	}
	return in, out, nil
}

// feeding is a frame on its way into the session's stdin.
type feeding struct {
	unread  *os.File      // our end of what the master reads from
	stopped chan struct{} // closed when the frame was written, or could not be
	written int64
}

// feed sends the frame and then, once the command has started, the user's
// stdin, if the command has it: nothing of it is taken for a session that the
// host refuses, unless it can be taken again. Without, stdin stays open: it is
// the command's lifeline.
func (a *attempt) feed(frame []byte, early bool) {
	n, err := a.stdin.Write(frame)
	a.fed.written = int64(n)
	if early {
		if err == nil {
			var more int64
			more, _ = io.Copy(a.stdin, a.cmd.Stdin)
			a.fed.written += more
		}
		close(a.fed.stopped)
		_ = a.stdin.Close()
		return
	}
	close(a.fed.stopped)
	if err != nil || a.cmd.Stdin == nil {
		return
	}
	select {
	case <-a.begun:
	case <-a.over:
		return
	}
	_, _ = io.Copy(a.stdin, a.cmd.Stdin)
	_ = a.stdin.Close()
}

// takeBack reads what nobody has read, and reports whether anything is missing.
// A master reads a session's stdin only when the host has opened the session
// (mux.c, OpenSSH 9.2), so a frame that is still whole has not run. It will
// not either: the master, which may live on with its end of the pipe, finds
// nothing there any more. The writing end must be closed.
func (f *feeding) takeBack() (sent bool) {
	<-f.stopped
	defer f.unread.Close() //nolint:errcheck // nothing was written by it
	back, err := io.Copy(io.Discard, struct{ io.Reader }{f.unread})
	return err != nil || back < f.written
}

// read copies one stream through its scanner until it ends.
func (a *attempt) read(from io.Reader, s streamScanner) {
	a.streams++
	go func() {
		err := copyStream(s, from)
		if err == nil || errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EIO) {
			err = s.finish()
		}
		a.readers <- err
	}()
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
