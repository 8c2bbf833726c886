package exec

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"bivy/exec/proc"
)

// rawWait bounds the wait for ssh to make its terminal raw, in which case the
// frame passes through it unchanged.
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

// startTTY starts ssh on a pseudo-terminal of ours. The frame follows when the
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
	defer tty.Close() //nolint:errcheck // ssh has its copy
	if t.Local != nil {
		// The modes of the user's terminal (erase character, flow control)
		// are what ssh will ask of the host's.
		if modes, err := term.GetState(int(t.Local.Fd())); err == nil {
			_ = term.Restore(int(tty.Fd()), modes)
		}
	}
	env := a.lease.Masters().Env()
	if t.Term != "" {
		env = append(env[:len(env):len(env)], "TERM="+t.Term)
	}
	c, err := a.startSSH(ctx, true, proc.Spec{Env: env, Stdin: tty, Stdout: tty, Stderr: tty, TTY: tty})
	if err != nil {
		_ = control.Close()
		return err
	}
	a.client, a.stdin = c, control
	local := &localTTY{file: t.Local, control: control, screen: newScreen(orDiscard(a.cmd.Stdout))}
	t.local.Store(local)
	// In this order: local uses control.
	a.wake = func() {} // ssh alone has the other end, so that ends with it
	a.closers = []io.Closer{local, control}
	a.stdout = newScanner(a.id.nonce, local.screen, func(m marks) {
		if m.started && !m.exited {
			local.begin(a.cmd.Stdin)
		}
		a.note(m)
	})
	a.stdout.endAtExit = true
	a.stdout.fail = func(err error) { a.broken <- err }
	a.gate = &readyGate{next: a.stdout, local: local, open: func() {
		if awaitRaw(control, rawWait) {
			_, _ = control.Write(commandFrame(a.cmd, a.id, modeTTY))
		}
	}}
	a.read(control, a.gate)
	return nil
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
