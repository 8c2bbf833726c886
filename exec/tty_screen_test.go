package exec

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bivy/exec/proc"
)

// openTTY is a terminal of the test's own.
func openTTY(t *testing.T) (control, tty *os.File) {
	t.Helper()
	control, tty, err := proc.OpenTTY(proc.Size{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll([]*os.File{tty, control}) })
	return control, tty
}

// ends wants that what is done does not wait for ever.
func ends(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(20 * blocked):
		t.Fatalf("%s does not end", what)
	}
}

// processed reports whether the terminal changes output.
func processed(t *testing.T, tty *os.File) bool {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(tty.Fd()), getTermios)
	if err != nil {
		t.Fatal(err)
	}
	return modes.Oflag&unix.OPOST != 0
}

// Nobody reads the terminal, as when it was stopped with ^S.
func TestScreenEndsAlthoughBlocked(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]bool{"a write hangs": true, "nothing is written": false} {
		control, tty := openTTY(t)
		s := newScreen(tty)
		s.begin()
		if processed(t, tty) {
			t.Errorf("%s: output is changed on its way", name)
		}
		if _, err := s.Write([]byte("\x1b[?25l")); err != nil {
			t.Fatal(err)
		}
		fill(t, tty)
		hung := make(chan struct{})
		go func() {
			defer close(hung)
			if write {
				_, _ = s.Write(bytes.Repeat([]byte("x"), 1<<20))
			}
		}()
		ends(t, name, s.end)
		if !processed(t, tty) {
			t.Errorf("%s: the terminal is not as before", name)
		}
		go func() { _, _ = io.Copy(io.Discard, control) }()
		<-hung
	}
}

// fill writes until the terminal takes no more.
func fill(t *testing.T, tty *os.File) {
	t.Helper()
	for writable(int(tty.Fd())) {
		if _, err := tty.WriteString("x"); err != nil {
			t.Fatal(err)
		}
	}
}

// What comes after the end is not shown, and a second end says nothing.
func TestScreenAfterTheEnd(t *testing.T) {
	t.Parallel()
	control, tty := openTTY(t)
	s := newScreen(tty)
	s.begin()
	for _, p := range []string{"a\x1b[?25l", "b"} {
		if _, err := s.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	s.end()
	s.end()
	if n, err := s.Write([]byte("late")); n != 4 || err != nil {
		t.Errorf("Write after the end = %d, %v", n, err)
	}
	// What was written piece by piece may come so.
	const want = "a\x1b[?25lb\x1b[?25h"
	buf := make([]byte, 100)
	n, err := io.ReadAtLeast(control, buf, len(want))
	if got := string(buf[:n]); err != nil || got != want {
		t.Errorf("the terminal got %q, %v", got, err)
	}
}

// Two on one terminal, which is as before when both have ended.
func TestScreensShareATerminal(t *testing.T) {
	t.Parallel()
	_, tty := openTTY(t)
	one, other := newScreen(tty), newScreen(tty)
	one.begin()
	other.begin()
	one.end()
	other.end()
	if !processed(t, tty) {
		t.Error("the terminal is not as before")
	}
}

type panics struct{}

func (panics) Write([]byte) (int, error) { panic("on purpose") }

// A panic in the goroutine that reads the host's output gives the terminal
// back on its way.
func TestPanicRestores(t *testing.T) {
	t.Parallel()
	_, tty := openTTY(t)
	local := &localTTY{file: tty, control: tty, screen: newScreen(tty)}
	local.begin(nil)
	if raw, err := isRaw(tty); err != nil || !raw {
		t.Fatalf("the terminal is not raw: %v", err)
	}
	gate := &readyGate{next: newScanner("n", panics{}, nil), local: local}
	gate.opened.Store(true)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic went no further")
			}
		}()
		_, _ = gate.Write([]byte("\x1ebivy:n start 1 2 -\x1eoutput"))
	}()
	if raw, err := isRaw(tty); err != nil || raw {
		t.Errorf("the terminal is raw after a panic: %v", err)
	}
}
