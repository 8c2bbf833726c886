package sandbox_test

import (
	"bufio"
	"context"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"bivy/exec/proc"
	"bivy/integration/sandbox"
)

func TestTerminal(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	script := `stty size; echo $TERM; test -t 0 && test -t 1 && test -t 2 && test $(tty) = $SSH_TTY && echo terminal
trap 'stty size; exit 9' WINCH; echo ready; while :; do sleep 0.05; done`
	p, control, err := proc.StartTTY(ctx, proc.Spec{
		Args: append(append([]string{"ssh"}, b.options...), "-tt", "sandbox", script), Env: b.env,
	}, proc.Size{Rows: 33, Cols: 101})
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close() //nolint:errcheck // the test ends
	var lines []string
	for s := bufio.NewScanner(control); s.Scan(); {
		lines = append(lines, strings.TrimSpace(s.Text()))
		if s.Text() == "ready" {
			if err := proc.Resize(control, proc.Size{Rows: 12, Cols: 34}); err != nil {
				t.Fatal(err)
			}
		}
	}
	exit, err := p.Wait()
	if got := strings.Join(lines, ","); err != nil || exit.Code != 9 || got != "33 101,vt220,terminal,ready,12 34" {
		t.Errorf("%v, %v, output %q", exit, err, got)
	}
}

func TestTerminalModes(t *testing.T) {
	t.Parallel()
	s := newSession(t, connect(t, sandbox.Config{}))
	err := s.RequestPty("xterm", 5, 6, gossh.TerminalModes{
		gossh.ECHO: 0, gossh.VERASE: 8, gossh.VINTR: 255, gossh.IXON: 0, gossh.ONLCR: 0, gossh.TTY_OP_ISPEED: 9600,
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Output("stty -a; echo $TERM")
	if err != nil {
		t.Fatal(err)
	}
	words := " " + strings.Join(strings.Fields(string(out)), " ") + " "
	for _, want := range []string{" -echo ", " erase = ^H;", " intr = <undef>;", " -ixon ", " -onlcr ", " xterm "} {
		if !strings.Contains(words, want) {
			t.Errorf("stty -a lacks %q:\n%s", want, out)
		}
	}
}

func TestTerminalEndsWithItsLeader(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	// More than a pipe or a terminal holds, and somebody who keeps the
	// terminal open; the test's deadline is what it would run into.
	got := b.ssh(t, "-tt", "sandbox", `seq 20000; (trap '' HUP; exec sleep 1000) & exit 3`)
	if got.Code != 3 || !strings.HasSuffix(got.Stdout, "\n20000\r\n") || strings.Count(got.Stdout, "\n") != 20000 {
		t.Errorf("status %d, %d lines", got.Code, strings.Count(got.Stdout, "\n"))
	}
}

func TestTerminalHangsUpWithItsClient(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	_, warm := b.master(t)
	c := b.start(t, append(warm, "-tt", `trap 'echo gone >hup; exit' HUP; echo $$; while :; do sleep 0.05; done`)...)
	pid := c.pid(t)
	c.kill(t)
	eventually(t, "the command has got SIGHUP", func() bool { return b.wake(t) && b.exists("hup", "gone\n") })
	eventually(t, "the command has ended", func() bool { return !alive(pid) })
}

func TestResizeWithoutATerminalIsRefused(t *testing.T) {
	t.Parallel()
	s := newSession(t, connect(t, sandbox.Config{}))
	if ok, err := s.SendRequest("window-change", true, make([]byte, 16)); ok || err != nil {
		t.Errorf("window-change before anything: %v, %v", ok, err)
	}
}
