package exec

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bivy/internal/termsafe"
)

const (
	// blocked is how long we wait for a terminal that takes no output, as
	// when somebody has stopped it (^S).
	blocked = 500 * time.Millisecond
	// fdLimit is the first descriptor that select(2) cannot hold.
	fdLimit = 1024
)

// screen passes a command's output on. Where that goes to a terminal it minds
// two things: what the output has changed there, which end takes back, and
// that the host's terminal has made CR LF of each LF already, so that the
// local one must not. Its caller calls begin, pause, resume and end one at a
// time; output may come meanwhile.
type screen struct {
	out io.Writer
	tty *os.File // nil: the output is no terminal's
	// turn holds one token: whoever has it may write. Waiting for it can be
	// given up, unlike for a mutex.
	turn   chan struct{}
	modes  termsafe.Modes // looked at by whoever has the turn
	over   atomic.Bool
	paused bool // the turn is ours
	raw    bool // we keep the terminal from changing output
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, turn: make(chan struct{}, 1)}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.tty = f
	}
	s.turn <- struct{}{}
	return s
}

// Write passes p on. After the end the terminal is somebody else's, and nobody
// waits for the command's output any more.
func (s *screen) Write(p []byte) (int, error) {
	if s.tty == nil {
		return s.out.Write(p)
	}
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if s.over.Load() {
		return len(p), nil
	}
	// First, since a write may fail half way.
	_, _ = s.modes.Write(p)
	return s.out.Write(p)
}

func (s *screen) begin() {
	if s.tty != nil {
		s.raw = s.processing(false)
	}
}

// pause gives the terminal back; output waits until resume.
func (s *screen) pause() {
	if s.tty == nil || s.paused {
		return
	}
	select {
	case <-s.turn:
		s.paused = true
		s.say(s.modes.Undo())
	case <-time.After(blocked):
		// The terminal takes nothing, so it would not take this either.
	}
	if s.raw {
		s.raw = !s.processing(true)
	}
}

// resume takes the terminal again, with what the command had switched on. It
// reports whether the command has the alternate screen, which is empty now.
func (s *screen) resume() (blank bool) {
	if s.tty == nil {
		return false
	}
	s.raw = s.processing(false) || s.raw
	if !s.paused {
		return false
	}
	s.say(s.modes.Redo())
	blank = s.modes.Alternate()
	s.paused = false
	s.turn <- struct{}{}
	return blank
}

// end gives the terminal back for good.
func (s *screen) end() {
	if s.tty == nil || s.over.Swap(true) {
		return
	}
	s.pause()
	if s.paused {
		s.paused = false
		s.turn <- struct{}{}
	}
}

// say writes to the terminal unless that would block.
func (s *screen) say(p []byte) {
	if len(p) > 0 && writable(int(s.tty.Fd())) {
		_, _ = s.tty.Write(p)
	}
}

// writable reports whether the terminal takes output now or soon. It uses
// select(2), since poll(2) on macOS does not know terminals; select is not
// taken up again after a signal, and the runtime sends itself some.
func writable(fd int) bool {
	for end := time.Now().Add(blocked); fd < fdLimit; {
		var set unix.FdSet
		set.Set(fd)
		wait := unix.NsecToTimeval(max(int64(time.Until(end)), 0))
		n, err := unix.Select(fd+1, nil, &set, nil, &wait)
		if !errors.Is(err, unix.EINTR) {
			return n > 0 && err == nil
		}
	}
	return false
}

// processing switches what the terminal does to output (LF to CR LF) on or
// off, and reports whether that changed something. It touches this one flag
// only, since another bivy may have the same terminal: the one that took it
// away brings it back. The kernel stops a job in the background that touches
// the terminal, so such a one leaves it.
func (s *screen) processing(on bool) bool {
	fd := int(s.tty.Fd())
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil || (t.Oflag&unix.OPOST != 0) == on || !on && inBackground(fd) {
		return false
	}
	t.Oflag ^= unix.OPOST
	return unix.IoctlSetTermios(fd, setTermios, t) == nil
}

// inBackground reports whether the terminal controls us and another job has
// it.
func inBackground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group != unix.Getpgrp()
}
