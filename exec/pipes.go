package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"bivy/exec/proc"
)

// readBuffer is what one read of a stream takes at most, in bytes: a quarter
// of its pipe. With the kernel's 64 KiB for both, streaming 1 GiB took a third
// longer (2 cores).
const readBuffer = 256 << 10

// startPipes starts ssh with three pipes of ours. They are real pipes, which
// ssh hands to the master, so no process stands between.
func (a *attempt) startPipes(ctx context.Context) error {
	in, out, wake, err := openPipes()
	if err != nil {
		return err
	}
	defer closeAll([]*os.File{in.r, out[0].w, out[1].w})
	fromOut, outErr := newPipeReader(out[0].r, wake.r)
	fromErr, errErr := newPipeReader(out[1].r, wake.r)
	if err := errors.Join(outErr, errErr); err != nil {
		closeAll([]*os.File{in.w, out[0].r, out[1].r, wake.r, wake.w})
		return err
	}
	p, err := proc.Start(context.WithoutCancel(ctx), proc.Spec{
		Args: a.session(false).Args(), Env: a.lease.Masters().Env(),
		Stdin: in.r, Stdout: out[0].w, Stderr: out[1].w, Isolation: proc.Session,
	})
	if err != nil {
		closeAll([]*os.File{in.w, out[0].r, out[1].r, wake.r, wake.w})
		return fmt.Errorf("start ssh: %w", err)
	}
	widen(out[0].r)
	a.ssh, a.stdin = p, in.w
	// In this order: the wake lets the readers go, the close of a stream waits
	// for its reader, and then nobody looks at the wake any more.
	a.closers = []io.Closer{wake.w, out[0].r, out[1].r, wake.r}
	a.stdout = newScanner(a.nonce, orDiscard(a.cmd.Stdout), a.note)
	a.stderr = newScanner(a.nonce, orDiscard(a.cmd.Stderr), a.note)
	a.stdout.fail = func(err error) { a.broken <- err }
	a.stderr.fail = a.stdout.fail
	a.read(fromOut, a.stdout)
	a.read(fromErr, a.stderr)
	m := modeWatch
	if a.cmd.Stdin != nil {
		m = modeUser
	}
	go a.feed(commandFrame(a.cmd, a.nonce, m))
	return nil
}

// pipe is both ends of one.
type pipe struct{ r, w *os.File }

// openPipes makes the pipes of a session: stdin, stdout with stderr, and one
// whose end wakes our readers.
func openPipes() (in pipe, out [2]pipe, wake pipe, err error) {
	made := []*pipe{&in, &out[0], &out[1], &wake}
	for i, p := range made {
		if p.r, p.w, err = os.Pipe(); err != nil {
			for _, p := range made[:i] {
				closeAll([]*os.File{p.r, p.w})
			}
			return in, out, wake, fmt.Errorf("make pipes for ssh: %w", err)
		}
	}
	return in, out, wake, nil
}

// feed sends the frame and then, once the command has started, the user's
// stdin, if the command has it: nothing of it is taken for a session that the
// host refuses. Without, stdin stays open: it is the command's lifeline.
func (a *attempt) feed(frame []byte) {
	if _, err := a.stdin.Write(frame); err != nil || a.cmd.Stdin == nil {
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

// read copies one stream through its scanner until it ends.
func (a *attempt) read(from io.Reader, s streamScanner) {
	a.streams++
	go func() {
		_, err := io.CopyBuffer(s, struct{ io.Reader }{from}, make([]byte, readBuffer))
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
