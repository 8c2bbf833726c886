package exec

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bivy/exec/proc"
)

// redraw is the time between the two changes of size that make a program draw
// its screen again: enough for both to reach the host as two.
const redraw = 50 * time.Millisecond

// localTTY is the user's terminal while a command has it: raw where the
// command reads from it, and with output passed as it is. It is so from the
// command's start to the end; Close restores it, on every way out.
type localTTY struct {
	file    *os.File // what the command reads; nil: it reads no terminal
	control *os.File
	resized func() // called when control has another size
	screen  *screen

	mu      sync.Mutex
	saved   *term.State
	signals chan os.Signal
	closed  bool
	begun   bool
	left    bool // given back for the time that we are stopped
}

// watched is the terminal whose size is the command's.
func (l *localTTY) watched() *os.File {
	if l.file != nil {
		return l.file
	}
	return l.screen.tty
}

// begin makes the terminal raw, follows its size, and carries stdin.
func (l *localTTY) begin(stdin io.Reader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.begun {
		return
	}
	l.begun = true
	if l.watched() != nil {
		// Before anything is changed that a signal must not leave behind.
		l.signals = make(chan os.Signal, 16)
		notify(l.signals)
		if l.file != nil {
			if saved, err := term.MakeRaw(int(l.file.Fd())); err == nil {
				l.saved = saved
			}
		}
		l.screen.begin()
		go l.follow(l.signals)
	}
	if stdin != nil {
		go l.carry(stdin)
	}
}

// notify subscribes to what concerns the terminal: its size, being stopped
// and continued, and the signals that nobody else catches and that end us.
func notify(signals chan os.Signal) {
	list := []os.Signal{syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGQUIT, syscall.SIGABRT}
	if !signal.Ignored(syscall.SIGTSTP) {
		list = append(list, syscall.SIGTSTP)
	}
	signal.Notify(signals, list...)
}

func (l *localTTY) follow(signals <-chan os.Signal) {
	whole := false
	defer l.guard(&whole)
	var again <-chan time.Time
	for {
		select {
		case s, ok := <-signals:
			if !ok {
				whole = true
				return
			}
			if l.handle(s) {
				again = time.After(redraw)
			}
		case <-again:
			l.resize(0)
		}
	}
}

// handle obeys one signal. It reports whether the program on the host is to
// draw its screen again; the first of two changes of size has then been made.
func (l *localTTY) handle(s os.Signal) (redraws bool) {
	switch s {
	case syscall.SIGTSTP:
		if !orphaned() && l.leave() {
			// Not SIGTSTP: the runtime swallows it once it was asked for.
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
	case syscall.SIGCONT:
		blank := l.enter()
		if blank {
			l.resize(1)
			return true
		}
		l.resize(0)
	case syscall.SIGWINCH:
		l.resize(0)
	case syscall.SIGQUIT, syscall.SIGABRT:
		_ = l.Close()
		signal.Reset(s)
		_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
	}
	return false
}

// orphaned reports whether nobody could continue us if we stopped; the kernel
// then ignores SIGTSTP (POSIX, orphaned process group). So does the group of a
// session's leader, whose parent is in another session.
func orphaned() bool {
	ours, err := unix.Getsid(0)
	if err != nil || ours == unix.Getpgrp() {
		return true
	}
	parents, err := unix.Getsid(os.Getppid())
	return err != nil || parents != ours
}

// leave gives the terminal back for the time that we are stopped.
func (l *localTTY) leave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if !l.left {
		l.left = true
		l.screen.pause()
		l.restore()
	}
	return true
}

// enter takes the terminal again when we are continued. Who stopped us with
// SIGSTOP left no time to give it back, and a shell has then changed it.
func (l *localTTY) enter() (blank bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.file != nil {
		saved, err := term.MakeRaw(int(l.file.Fd()))
		if err == nil && l.left {
			l.saved = saved
		}
	}
	l.left = false
	return l.screen.resume()
}

// resize gives our terminal the size, less some rows; the master tells the
// host. It does nothing after Close, when the terminals may be closed as well.
func (l *localTTY) resize(less uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if size, err := proc.SizeOf(l.watched()); err == nil {
		if size.Rows > less {
			size.Rows -= less
		}
		_ = proc.Resize(l.control, size)
		l.resized()
	}
}

// endOfInput is ^D, the only way to say end of file to a terminal.
const endOfInput = "\x04"

func (l *localTTY) carry(stdin io.Reader) {
	whole := false
	defer l.guard(&whole)
	_, err := io.Copy(l.control, stdin)
	if err == nil || errors.Is(err, io.EOF) {
		_, _ = io.WriteString(l.control, endOfInput)
	}
	whole = true
}

// guard is deferred by what runs besides the caller of Run: a panic there ends
// the process, and nothing else would restore the terminal.
func (l *localTTY) guard(whole *bool) {
	if !*whole {
		_ = l.Close()
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
	if l.signals != nil {
		signal.Stop(l.signals)
		close(l.signals)
	}
	// While the terminal is raw still: output is not changed on its way.
	l.screen.end()
	if !l.left {
		l.restore()
	}
	return nil
}

func (l *localTTY) restore() {
	if l.saved != nil {
		_ = term.Restore(int(l.file.Fd()), l.saved)
	}
}
