package mux

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bivy/exec/proc"
	"bivy/internal/termsafe"
)

// Terminal is where ssh's own prompts are shown and answered: usually both
// are /dev/tty, as for ssh itself.
type Terminal struct {
	In, Out *os.File
	// Quiet keeps what ssh and its proxies say during a login, other than
	// prompts, off the terminal.
	Quiet bool
}

// relay shows what ssh says during a login, and carries the user's answers to
// ssh once it asks. Until then the terminal stays as it is, so that what the
// user types ahead is not swallowed.
type relay struct {
	terminal *Terminal
	// Two streams, two filters: a sequence that a proxy left unfinished must
	// not swallow the start of a question.
	notices  io.Writer
	question io.Writer
	said     proc.Tail
	saved    *term.State
	quit     chan struct{}
	reader   sync.WaitGroup
}

func newRelay(t *Terminal) *relay {
	r := &relay{terminal: t, quit: make(chan struct{})}
	if t != nil {
		r.notices, r.question = termsafe.NewWriter(t.Out), termsafe.NewWriter(t.Out)
	}
	return r
}

// words are what ssh and its proxies said so far, made safe for a terminal.
func (r *relay) words() string { return safeWords(r.said.String()) }

// say keeps, and shows where somebody is looking, what ssh said on stderr.
func (r *relay) say(data []byte) {
	_, _ = r.said.Write(data)
	if r.notices != nil && (!r.terminal.Quiet || r.saved != nil) {
		_, _ = r.notices.Write(data)
	}
}

// prompt shows what ssh wrote to its terminal. With the first such words the
// user's terminal becomes raw: echo, line editing and ^C are then done by the
// terminal that ssh has, where ssh switches the echo off for a password.
// It reports whether a human can answer.
func (r *relay) prompt(data []byte, hold *link) bool {
	if r.terminal == nil {
		_, _ = r.said.Write(data)
		return false
	}
	if r.saved == nil {
		if saved, err := term.MakeRaw(int(r.terminal.In.Fd())); err == nil {
			r.saved = saved
			r.reader.Go(func() { r.carry(hold) })
		}
	}
	_, _ = r.question.Write(data)
	return r.saved != nil
}

// inputPoll is how long the reader of the terminal waits before it looks
// whether the login has ended.
const inputPoll = 50 * time.Millisecond

// readable waits for input for at most inputPoll. It uses select(2), since
// poll(2) on macOS does not know terminals.
func readable(fd int) (bool, error) {
	var set unix.FdSet
	set.Set(fd)
	wait := unix.NsecToTimeval(int64(inputPoll))
	n, err := unix.Select(fd+1, &set, nil, nil, &wait)
	return n > 0, err
}

// carry sends what the user types to the holder. It polls before it reads, so
// that it never takes a key that is meant for what comes after the login.
func (r *relay) carry(hold *link) {
	fd := int(r.terminal.In.Fd())
	buf := make([]byte, 1024)
	for {
		select {
		case <-r.quit:
			return
		default:
		}
		ready, err := readable(fd)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if !ready {
			continue
		}
		n, err := unix.Read(fd, buf)
		if n <= 0 || err != nil {
			return
		}
		if hold.enc.Encode(message{Kind: kindInput, Data: buf[:n]}) != nil {
			return
		}
	}
}

// restore ends the reader and gives the terminal its modes back.
func (r *relay) restore() {
	close(r.quit)
	r.reader.Wait()
	if r.saved != nil {
		_ = term.Restore(int(r.terminal.In.Fd()), r.saved)
	}
}
