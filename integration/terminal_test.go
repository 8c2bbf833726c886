package integration

import (
	"bytes"
	"context"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

// screen is a terminal with a process on it.
type screen struct {
	w       *world
	process *proc.Process
	control *os.File
	tty     *os.File // kept open, since the last close of it resets its modes
	before  *term.State
	cancel  context.CancelFunc
	read    sync.WaitGroup

	mu   sync.Mutex
	seen bytes.Buffer
}

// onTerminal starts a process on a new terminal of 33 by 101. What the spec
// has no file for is that terminal.
func (w *world) onTerminal(s proc.Spec) *screen {
	w.tb.Helper()
	control, tty, err := proc.OpenTTY(proc.Size{Rows: 33, Cols: 101})
	w.must(err)
	if s.Stdin == nil {
		s.Stdin = tty
	}
	if s.Stdout == nil {
		s.Stdout = tty
	}
	if s.Stderr == nil {
		s.Stderr = tty
	}
	s.TTY = tty
	sc := &screen{w: w, control: control, tty: tty, before: modesOf(w.tb, tty)}
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	sc.process, err = proc.Start(ctx, s)
	w.must(err)
	sc.cancel = cancel
	sc.read.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := control.Read(buf)
			sc.mu.Lock()
			sc.seen.Write(buf[:n])
			sc.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	return sc
}

// modesOf are a terminal's modes as the kernel has them (termios).
func modesOf(tb testing.TB, tty *os.File) *term.State {
	tb.Helper()
	state, err := term.GetState(int(tty.Fd()))
	if err != nil {
		tb.Fatal(err)
	}
	return state
}

// asBefore reports whether the terminal's modes are those it had at first.
func (s *screen) asBefore() bool { return reflect.DeepEqual(modesOf(s.w.tb, s.tty), s.before) }

// flags are those of the open terminal (F_GETFL). Its Fd would change them.
func (s *screen) flags() (flags int) {
	s.w.tb.Helper()
	conn, err := s.tty.SyscallConn()
	s.w.must(err)
	s.w.must(conn.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }))
	s.w.must(err)
	return flags
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// answer waits for a text, then types.
func (s *screen) answer(question, keys string) {
	s.w.tb.Helper()
	s.w.eventually("the terminal shows "+question, func() bool { return strings.Contains(s.text(), question) })
	_, err := s.control.WriteString(keys)
	s.w.must(err)
}

// wait waits for the end of the process and returns its exit code. Whatever
// the end is, the terminal must then be as it was.
func (s *screen) wait() int {
	s.w.tb.Helper()
	defer s.cancel()
	exit, err := s.process.Wait()
	if err != nil {
		s.w.tb.Errorf("bivy does not end: %v; the terminal shows %q", err, s.text())
	}
	flags := s.flags() // first, since asBefore takes its Fd
	if !s.asBefore() {
		s.w.tb.Errorf("the terminal's modes are not restored; it shows %q", s.text())
	}
	// The flag is everybody's who has this terminal, the shell's above all.
	if flags&unix.O_NONBLOCK != 0 {
		s.w.tb.Errorf("the terminal is left non-blocking: flags %#x", flags)
	}
	_ = s.tty.Close()
	s.read.Wait()
	_ = s.control.Close()
	return exit.Code
}

// TestConnectAsks: ssh's own question about an unknown host key reaches the
// person, and the answer reaches ssh.
func TestConnectAsks(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		known := w.root + "/new_known_hosts"
		w.hostBlock("fresh", "UserKnownHostsFile "+known, "StrictHostKeyChecking ask")
		if got := w.bivy("exec", "--host", "fresh", "--", "true"); got.code != 92 || !strings.Contains(got.stderr, "bivy host connect fresh") {
			t.Errorf("without a terminal: %v", got)
		}
		// --batch never asks, not even at a terminal.
		batch := w.onTerminal(w.spec("host", "connect", "fresh", "--batch"))
		if code := batch.wait(); code != 92 {
			t.Errorf("with --batch: code %d, %q", code, batch.text())
		}
		no := w.onTerminal(w.spec("host", "connect", "fresh"))
		no.answer("(yes/no", "no\r")
		if code := no.wait(); code != 92 {
			t.Errorf("after no: code %d, %q", code, no.text())
		}
		yes := w.onTerminal(w.spec("host", "connect", "fresh"))
		yes.answer("(yes/no", "yes\r")
		if code := yes.wait(); code != 0 || !strings.Contains(yes.text(), "connected to fresh") {
			t.Errorf("after yes: code %d, %q", code, yes.text())
		}
		if text := w.read(known); !strings.Contains(text, "ssh-ed25519") {
			t.Errorf("the key was not remembered: %q", text)
		}
		// Batch work rides on it.
		w.wants(0, "exec", "--host", "fresh", "--batch", "--", "true")
		if list := w.masters(); len(list) != 1 {
			t.Errorf("masters: %v", list)
		}
	})
}

// TestConnectInterrupted: ^C at ssh's question cancels, and nothing is left.
func TestConnectInterrupted(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.hostBlock("fresh", "UserKnownHostsFile "+w.root+"/new_known_hosts", "StrictHostKeyChecking ask")
		sc := w.onTerminal(w.spec("host", "connect", "fresh"))
		sc.answer("(yes/no", "\x03")
		if code := sc.wait(); code != 96 {
			t.Errorf("after ^C: code %d, %q", code, sc.text())
		}
	})
}

// TestShellOnTerminal has the size before the shell starts, colours, and ^C
// for what runs in it.
func TestShellOnTerminal(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		if w.kind == kindSSHD {
			sshdtest.RequireTerminal(t)
		}
		w.needProc()
		w.wants(0, "new", "ws", "--host", "gpu1")
		sc := w.onTerminal(w.spec("shell", "ws"))
		// The answer differs from what was typed, since that is echoed.
		sc.answer("", "echo size-$(stty size | tr ' ' x)-$BIVY_WORKSPACE\r")
		sc.answer("size-33x101-ws", "sleep 1000; echo after-$((40+2))\r")
		w.eventually("sleep runs", func() bool { return strings.Contains(strings.Join(w.there(), "\n"), "sleep 1000") })
		sc.answer("", "\x03")
		w.eventually("sleep was interrupted", func() bool { return !strings.Contains(strings.Join(w.there(), "\n"), "sleep 1000") })
		w.must(proc.Resize(sc.control, proc.Size{Rows: 44, Cols: 102}))
		sc.answer("", "until test \"$(stty size)\" = '44 102'; do :; done; echo new-$((6*7))\r")
		sc.answer("new-42", "exit 5\r")
		if code := sc.wait(); code != 5 {
			t.Errorf("the shell ends with %d: %q", code, sc.text())
		}
	})
}

// TestOutputOnTerminal: colours stay, what acts on the terminal goes; a pipe
// gets the bytes as they are.
func TestOutputOnTerminal(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		script := `printf 'a\033[31mred\033[0m b\033]0;title\007c\033]52;c;Y2FuYXJ5\007d\033[6ne\n'`
		raw := "a\x1b[31mred\x1b[0m b\x1b]0;title\x07c\x1b]52;c;Y2FuYXJ5\x07d\x1b[6ne\n"
		if got := w.bivy("exec", "--host", "gpu1", "-c", script); got.stdout != raw {
			t.Errorf("a pipe gets %v", got)
		}
		sc := w.onTerminal(w.spec("exec", "--host", "gpu1", "-c", script))
		if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "a\x1b[31mred\x1b[0m bcde") {
			t.Errorf("a terminal gets code %d, %q", code, sc.text())
		}
		sc = w.onTerminal(w.spec("exec", "--host", "gpu1", "--raw", "-c", script))
		if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "\x1b]52;c;") {
			t.Errorf("a terminal with --raw gets code %d, %q", code, sc.text())
		}
	})
}
