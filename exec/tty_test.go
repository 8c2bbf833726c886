package exec

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

func newTTYWorld(t *testing.T) *world {
	t.Helper()
	sshdtest.RequireTerminal(t)
	return newWorld(t, sshdtest.Options{})
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	w := newTTYWorld(t)
	tty := &TTY{Size: proc.Size{Rows: 31, Cols: 97}, Term: "vt100"}
	r := w.run(Command{Script: "stty size; echo $TERM; tty >/dev/null && echo a terminal; echo err >&2; exit 7", TTY: tty})
	r.wantExited(t, 7)
	if want := "31 97\r\nvt100\r\na terminal\r\nerr\r\n"; r.stdout != want || r.stderr != "" {
		t.Errorf("output %q, want %q; stderr %q", r.stdout, want, r.stderr)
	}
	// The frame passes a terminal's line discipline unharmed, whatever it holds.
	words := hardWords()
	r = w.run(Command{Argv: append([]string{self(t)}, words...), Env: []EnvVar{noSleep, {roleVar, roleArgs}}, TTY: tty})
	r.wantExited(t, 0)
	if want := strings.ReplaceAll(strings.Join(append([]string{""}, words...), "\x00"), "\n", "\r\n"); r.stdout != want {
		t.Errorf("arguments came as %.300q, want %.300q", r.stdout, want)
	}
	r = w.run(Command{Script: strings.Repeat("# filler of a long script\n", 20_000) + "echo done; exit 255", TTY: tty})
	r.wantExited(t, 255)
	if r.stdout != "done\r\n" {
		t.Errorf("output %q", r.stdout)
	}
}

func TestTerminalInput(t *testing.T) {
	t.Parallel()
	w := newTTYWorld(t)
	// The end of the input is ^D.
	r := w.run(Command{Script: "read line; echo \"got $line\"; cat; exit 5", TTY: &TTY{}, Stdin: strings.NewReader("hello\nrest\n")})
	r.wantExited(t, 5)
	if !strings.Contains(r.stdout, "got hello\r\n") || strings.Count(r.stdout, "rest") != 2 {
		t.Errorf("output %q", r.stdout)
	}
}

// ^C is a signal to the terminal's group, where the supervisor is, too.
func TestTerminalInterrupt(t *testing.T) {
	t.Parallel()
	w := newTTYWorld(t)
	for name, c := range map[string]struct {
		script string
		code   int
	}{
		"handled": {"trap 'exit 9' INT; echo ready; while :; do sleep 0.1; done", 9},
		"default": {"echo ready; exec sleep 1000", 130},
	} {
		t.Run(name, func(t *testing.T) {
			in, keyboard := io.Pipe()
			t.Cleanup(func() { _ = keyboard.Close() })
			r := w.start(Command{Script: c.script, TTY: &TTY{}, Stdin: in})
			w.ready(r)
			go func() { _, _ = keyboard.Write([]byte("\x03")) }()
			w.wait(r).wantExited(t, c.code)
		})
	}
}

func TestTerminalCancel(t *testing.T) {
	t.Parallel()
	w := newTTYWorld(t)
	cause := errors.New("enough")
	r := w.start(Command{Script: "trap '' TERM; echo ready; while :; do sleep 1; done", TTY: &TTY{}, Grace: time.Second})
	w.ready(r)
	r.cancel(cause)
	w.wait(r).wantCanceled(t, cause)
	w.gone()
}

// A terminal of ours is made raw while the command runs, its size is followed,
// and it is as before at the end.
func TestTerminalOfTheUser(t *testing.T) {
	t.Parallel()
	w := newTTYWorld(t)
	control, local, err := proc.OpenTTY(proc.Size{Rows: 41, Cols: 101})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll([]*os.File{control, local}) })
	before, err := isRaw(control)
	if err != nil || before {
		t.Fatalf("the terminal is raw at first: %v, %v", before, err)
	}
	in, keyboard := io.Pipe()
	t.Cleanup(func() { _ = keyboard.Close() })
	r := w.start(Command{Script: `stty size; echo ready; until [ "$(stty size)" = "50 120" ]; do sleep 0.1; done; echo resized; read line; exit 3`, TTY: &TTY{Local: local}, Stdin: in})
	w.ready(r)
	if raw, err := isRaw(control); err != nil || !raw {
		t.Errorf("the terminal is not raw while the command runs: %v", err)
	}
	if !strings.HasPrefix(r.stdout.String(), "41 101\r\n") {
		t.Errorf("output %q", r.stdout.String())
	}
	if err := proc.Resize(control, proc.Size{Rows: 50, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	// The terminal is not the one that controls this process, so its signal
	// has to come from here.
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	awaitText(t, r.stdout, "resized")
	go func() { _, _ = keyboard.Write([]byte("x\n")) }()
	w.wait(r).wantExited(t, 3)
	if raw, err := isRaw(control); err != nil || raw {
		t.Errorf("the terminal is raw after the end: %v", err)
	}
}

// upper makes letters large, and has last words.
type upper struct{ out io.Writer }

func (u upper) Write(p []byte) (int, error) {
	return u.out.Write([]byte(strings.ToUpper(string(p))))
}

func (u upper) Close() error {
	_, err := io.WriteString(u.out, "<end>")
	return err
}

// What the output passes through sees all of it and nothing else, and its last
// words come before the terminal is given back.
func TestTerminalThrough(t *testing.T) {
	t.Parallel()
	w := newTTYWorld(t)
	r := w.run(Command{Script: "printf 'some words'; exit 3", TTY: &TTY{Through: func(out io.Writer) io.WriteCloser { return upper{out} }}})
	r.wantExited(t, 3)
	if r.stdout != "SOME WORDS<end>" {
		t.Errorf("output %q", r.stdout)
	}
	control, tty := openTTY(t)
	seen := make(chan string, 1)
	go func() {
		var all strings.Builder
		buf := make([]byte, 100)
		for !strings.Contains(all.String(), "<end>") {
			n, err := control.Read(buf)
			all.Write(buf[:n])
			if err != nil {
				break
			}
		}
		seen <- all.String()
	}()
	if _, err := Run(t.Context(), w.masters, w.target, Command{
		Script: "printf 'a\\033[?25l'", Stdout: tty, TTY: &TTY{Through: func(out io.Writer) io.WriteCloser { return upper{out} }},
	}); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "A\x1b[?25L<end>" {
		t.Errorf("the terminal shows %q", got)
	}
	// One that nobody reads keeps nobody waiting.
	read := make(chan struct{})
	ends(t, "a close that waits for ever", func() { _ = soon{closes(func() { <-read })}.Close() })
	close(read)
}

type closes func()

func (c closes) Close() error { c(); return nil }
