package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"bivy/exec/proc"
)

// rawWait bounds the wait for ssh to make its terminal raw, in which case the
// frame passes through it unchanged.
const rawWait = 5 * time.Second

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
	p, err := proc.Start(context.WithoutCancel(ctx), proc.Spec{
		Args: a.session(true).Args(), Env: env, Stdin: tty, Stdout: tty, Stderr: tty, TTY: tty,
	})
	if err != nil {
		_ = control.Close()
		return fmt.Errorf("start ssh: %w", err)
	}
	a.ssh, a.stdin = p, control
	local := &localTTY{file: t.Local, control: control}
	// In this order: local uses control.
	a.closers = []io.Closer{local, control}
	a.stdout = newScanner(a.id.nonce, orDiscard(a.cmd.Stdout), func(m marks) {
		if m.started && !m.exited {
			local.begin(a.cmd.Stdin)
		}
		a.note(m)
	})
	a.stdout.endAtExit = true
	a.stdout.fail = func(err error) { a.broken <- err }
	a.gate = &readyGate{next: a.stdout, open: func() {
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
	return g.next.Write(p)
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

// localTTY is the user's terminal while a command has it. It is raw from the
// command's start to the end; Close restores it, on every way out.
type localTTY struct {
	file    *os.File // nil: there is none, or it is not read
	control *os.File

	mu      sync.Mutex
	saved   *term.State
	resized chan os.Signal
	closed  bool
	begun   bool
}

// begin makes the terminal raw, follows its size, and carries stdin.
func (l *localTTY) begin(stdin io.Reader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.begun {
		return
	}
	l.begun = true
	if l.file != nil {
		if saved, err := term.MakeRaw(int(l.file.Fd())); err == nil {
			l.saved = saved
		}
		l.resized = make(chan os.Signal, 1)
		signal.Notify(l.resized, syscall.SIGWINCH)
		go l.follow(l.resized)
	}
	if stdin != nil {
		go l.carry(stdin)
	}
}

// follow tells ssh's terminal each new size; ssh tells the host.
func (l *localTTY) follow(resized <-chan os.Signal) {
	for range resized {
		l.resize()
	}
}

// resize does nothing after Close, when the terminals may be closed as well.
func (l *localTTY) resize() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if size, err := proc.SizeOf(l.file); err == nil {
		_ = proc.Resize(l.control, size)
	}
}

// endOfInput is ^D, the only way to say end of file to a terminal.
const endOfInput = "\x04"

func (l *localTTY) carry(stdin io.Reader) {
	_, err := io.Copy(l.control, stdin)
	if err == nil || errors.Is(err, io.EOF) {
		_, _ = io.WriteString(l.control, endOfInput)
	}
}

// Close restores the terminal. It may be called more than once.
func (l *localTTY) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.resized != nil {
		signal.Stop(l.resized)
		close(l.resized)
	}
	if l.saved != nil {
		return term.Restore(int(l.file.Fd()), l.saved)
	}
	return nil
}
