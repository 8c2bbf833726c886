package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

const (
	// leavesOn switches much of a terminal on and nothing off, as a program
	// does that is cut off; takenBack is what bivy then has to say.
	leavesOn  = `printf '\033[?1049h\033[?1000;1006h\033[?1004h\033[?2004h\033[?25l\033[?1h\033=\033[31m'`
	takenBack = "\x1b[?1049l\x1b[?1l\x1b[?25h\x1b[?1000l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b>\x1b[0m"
)

// onTerminals runs a test on both kinds of host that has terminals.
func onTerminals(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		if w.kind == kindSSHD {
			sshdtest.RequireTerminal(t)
		}
		test(t, w)
	})
}

// TestTerminalGivenBack: on every way out the terminal is as before: its modes
// in the kernel (which wait compares) and what the host has switched on.
func TestTerminalGivenBack(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		w.wants(0, "host", "connect", "gpu1")
		signaled := func(s syscall.Signal) func(*screen) {
			return func(sc *screen) { w.must(sc.process.Signal(s)) }
		}
		for _, c := range []struct {
			name, flag, end string
			then            func(*screen)
			code            int
		}{
			{"the command ends", "-it", "exit 5", nil, 5},
			{"the command is killed", "-it", "kill -KILL $$", nil, 137},
			{"TERM", "-it", "sleep 1000", signaled(syscall.SIGTERM), 96},
			{"HUP", "-it", "sleep 1000", signaled(syscall.SIGHUP), 96},
			{"INT", "-it", "sleep 1000", signaled(syscall.SIGINT), 96},
			// Go's own end, with the stacks of all goroutines.
			{"QUIT", "-it", "sleep 1000", signaled(syscall.SIGQUIT), 2},
			{"^C for the command", "-it", "exec sleep 1000", func(sc *screen) { sc.answer("", "\x03") }, 130},
			{"the command ends, output only", "-t", "exit 5", nil, 5},
			{"^C for bivy", "-t", "sleep 1000", func(sc *screen) { sc.answer("", "\x03") }, 96},
			{"TERM, output only", "-t", "sleep 1000", signaled(syscall.SIGTERM), 96},
		} {
			sc := w.onTerminal(w.spec("exec", c.flag, "--host", "gpu1", "-c", leavesOn+"; echo ready; "+c.end))
			sc.answer("ready\r\n", "")
			if c.then != nil {
				if sc.asBefore() {
					t.Errorf("%s: the terminal is not the command's while that runs", c.name)
				}
				c.then(sc)
			}
			if code := sc.wait(); code != c.code {
				t.Errorf("%s: code %d, want %d; the terminal shows %q", c.name, code, c.code, sc.text())
			}
			if n := strings.Count(sc.text(), takenBack); n != 1 {
				t.Errorf("%s: the terminal got its modes back %d times: %q", c.name, n, sc.text())
			}
			if strings.Contains(sc.text(), "\r\r\n") {
				t.Errorf("%s: carriage returns are doubled: %q", c.name, sc.text())
			}
		}
	})
}

// TestTerminalGivenBackByShell: the same for a shell, also when its link is
// lost.
func TestTerminalGivenBackByShell(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		for name, end := range map[string]func(*screen){
			"exit": func(sc *screen) { sc.answer("", "exit 0\r") },
			"TERM": func(sc *screen) { w.must(sc.process.Signal(syscall.SIGTERM)) },
			"lost": func(*screen) { w.must(syscall.Kill(w.masters()[0].PID, syscall.SIGKILL)) },
		} {
			sc := w.onTerminal(w.spec("shell", "--host", "gpu1"))
			sc.answer("", leavesOn+"; echo ready-$((6*7))\r")
			sc.answer("ready-42", "")
			end(sc)
			code := sc.wait()
			if (code == 0) != (name == "exit") || !strings.Contains(sc.text(), takenBack) {
				t.Errorf("%s: code %d, the terminal shows %q", name, code, sc.text())
			}
		}
	})
}

// TestTerminalUntouched: what was cut is ended, so that it swallows nothing;
// where nothing was left on, and where the output is no terminal's, nothing is
// added.
func TestTerminalUntouched(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ script, want string }{
			{`printf 'a\033[?1049h\033]52;c;QUJD'`, "a\x1b[?1049h\x1b]52;c;QUJD\x18\x1b\\\x1b[?1049l"},
			{`printf 'a\033[3'`, "a\x1b[3\x18"},
			{`printf 'a\033[31mb\033[0m\033[?25l\033[?25hc\n'`, "a\x1b[31mb\x1b[0m\x1b[?25l\x1b[?25hc\r\n"},
		} {
			sc := w.onTerminal(w.spec("exec", "-it", "--host", "gpu1", "-c", c.script))
			if code := sc.wait(); code != 0 || sc.text() != c.want {
				t.Errorf("%s: code %d, the terminal shows %q, want %q", c.script, code, sc.text(), c.want)
			}
		}
		file, err := os.Create(w.root + "/out")
		w.must(err)
		s := w.spec("exec", "-it", "--host", "gpu1", "-c", `printf '\033[?25l\033[3'`)
		s.Stdout = file
		sc := w.onTerminal(s)
		if code := sc.wait(); code != 0 || sc.text() != "" {
			t.Errorf("with its output in a file: code %d, the terminal shows %q", code, sc.text())
		}
		w.must(file.Close())
		if got := w.read(file.Name()); got != "\x1b[?25l\x1b[3" {
			t.Errorf("the file has %q", got)
		}
	})
}

// TestSizeFollowed: the size travels also where only the output is a terminal.
func TestSizeFollowed(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		for _, flag := range []string{"-t", "-it"} {
			sc := w.onTerminal(w.spec("exec", flag, "--host", "gpu1", "-c",
				`echo start-$(stty size | tr ' ' x); until test "$(stty size)" = '44 102'; do sleep 0.1; done; echo followed`))
			sc.answer("start-33x101", "")
			w.must(proc.Resize(sc.control, proc.Size{Rows: 44, Cols: 102}))
			if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "followed") {
				t.Errorf("%s: code %d, the terminal shows %q", flag, code, sc.text())
			}
		}
	})
}
