package exec

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"bivy/exec/proc"
)

// rawWait bounds the wait for ssh to make its terminal raw.
const rawWait = 5 * time.Second

// TTY describes the terminal of one command.
type TTY struct {
	// Local is the user's terminal, made raw while the command runs; nil
	// where there is none, or where the command does not read from it.
	Local *os.File
	// Size is the first size; zero means Local's, or 24 by 80. Then that of
	// Local is followed, or of the terminal that is the command's Stdout.
	Size proc.Size
	// Term is the TERM of the host's terminal, empty for ours.
	Term string
	// Through, when set, is what the output passes on its way to the Stdout of
	// the command, which is what it is given. It is closed at the end, and may
	// write until then.
	Through func(io.Writer) io.WriteCloser

	local atomic.Pointer[localTTY]
}

// Restore gives the user's terminal back as the command found it, with all
// modes that the command has set there taken back. Run does so at its end;
// this is for ways out that do not wait for that.
func (t *TTY) Restore() {
	if l := t.local.Load(); l != nil {
		_ = l.Close()
	}
}

// startTTY opens a session on a pseudo-terminal of ours. The frame follows when the
// host says that its terminal passes bytes as they are.
func (a *attempt) startTTY(ctx context.Context) error {
	t := a.cmd.TTY
	size := t.Size
	if size == (proc.Size{}) && t.Local != nil {
		if now, err := proc.SizeOf(t.Local); err == nil {
			size = now
		}
	}
	control, tty, err := proc.OpenTTY(size)
	if err != nil {
		return err
	}
	defer tty.Close() //nolint:errcheck // the master has its copy
	if t.Local != nil {
		// The modes of the user's terminal (erase character, flow control)
		// are what the master will ask of the host's.
		if modes, err := term.GetState(int(t.Local.Fd())); err == nil {
			_ = term.Restore(int(tty.Fd()), modes)
		}
	}
	c, err := a.open(ctx, stdio{tty: tty, term: a.term()})
	if err != nil {
		_ = control.Close()
		return err
	}
	a.client, a.stdin = c, control
	local := &localTTY{file: t.Local, control: control, resized: c.Resized, screen: newScreen(orDiscard(a.cmd.Stdout))}
	t.local.Store(local)
	// In this order: local uses control.
	a.wake = func() {} // the master alone has the other end, so that ends with the session
	a.closers = []io.Closer{local, control}
	out := io.Writer(local.screen)
	if t.Through != nil {
		through := t.Through(out)
		out, a.closers = through, []io.Closer{soon{through}, local, control}
	}
	a.stdout = newScanner(a.id.nonce, out, func(m marks) {
		if m.started && !m.exited {
			local.begin(a.cmd.Stdin)
		}
		a.note(m)
	})
	a.stdout.endAtExit = true
	a.stdout.fail = func(err error) { a.broken <- err }
	a.gate = &readyGate{next: a.stdout, local: local, open: func() {
		if a.passThrough(control) {
			_, _ = control.Write(commandFrame(a.cmd, a.id, modeTTY))
		}
	}}
	a.read(control, a.gate)
	return nil
}

// soon closes what may write to a terminal that takes no output any more, and
// waits for that no longer than the screen does.
type soon struct{ io.Closer }

// Close implements io.Closer.
func (s soon) Close() error {
	done := make(chan error, 1)
	go func() { done <- s.Closer.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(blocked):
		return nil
	}
}

// readyGate looks for the ready mark in what the terminal shows first. The
// frame is sent once, from the reader's goroutine: the host reads it without
// a word in between, so nothing waits for us meanwhile.
type readyGate struct {
	next   *scanner
	local  *localTTY
	open   func()
	opened atomic.Bool
	tail   []byte
}

// wasOpened reports whether the frame was sent, or part of it.
func (g *readyGate) wasOpened() bool { return g.opened.Load() }

// streamScanner is what attempt.read copies into.
type streamScanner interface {
	io.Writer
	finish() error
}

func (g *readyGate) finish() error { return g.next.finish() }

// Write passes everything on; what comes before the start mark is noise there.
func (g *readyGate) Write(p []byte) (int, error) {
	whole := false
	defer g.local.guard(&whole)
	if !g.wasOpened() {
		g.tail = append(g.tail, p...)
		if bytes.Contains(g.tail, []byte(readyMark)) {
			g.opened.Store(true)
			g.tail = nil
			g.open()
		} else if over := len(g.tail) - len(readyMark); over > 0 {
			g.tail = append([]byte(nil), g.tail[over:]...)
		}
	}
	n, err := g.next.Write(p)
	whole = true
	return n, err
}

// term is the type of the host's terminal.
func (a *attempt) term() string {
	if t := a.cmd.TTY.Term; t != "" {
		return t
	}
	env := a.lease.Masters().Env()
	for i := len(env) - 1; i >= 0; i-- { // the last one counts, as in os/exec
		if value, ok := strings.CutPrefix(env[i], "TERM="); ok {
			return value
		}
	}
	return ""
}

// passThrough makes the terminal pass the frame unchanged. By now the master
// has asked the host for a terminal with the modes that it had before. ssh
// makes it raw by itself.
func (a *attempt) passThrough(control *os.File) bool {
	if _, ok := a.client.(sshClient); ok {
		return awaitRaw(control, rawWait)
	}
	return makeRaw(control) == nil
}

// awaitRaw waits until ssh has made its terminal raw. The host may be ready
// first: the master writes to the terminal without waiting for the client.
func awaitRaw(control *os.File, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		raw, err := isRaw(control)
		if err != nil {
			return false
		}
		if raw {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}
