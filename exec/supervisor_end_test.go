package exec

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// needProc skips where the environment of processes cannot be read.
func needProc(t testing.TB) {
	t.Helper()
	if !exists("/proc/self/environ") {
		// macOS shows it to no one; the Linux runs cover the same script.
		t.Skip("there is no /proc to find survivors in")
	}
}

// variant is a way for the supervisor to see processes.
type variant struct {
	name  string
	frame func(t testing.TB, f []byte) []byte
}

func variants() []variant {
	return []variant{
		{"proc", func(_ testing.TB, f []byte) []byte { return f }},
		{"ps", withoutProc},
	}
}

func eachVariant(t *testing.T, test func(t *testing.T, sh shell, v variant)) {
	t.Helper()
	needProc(t)
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, sh shell) { test(t, sh, v) })
		})
	}
}

func TestSupervisorRunsWithoutProc(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		s := sh.start(t, setup{})
		s.feed(withoutProc(t, commandFrame(Command{Script: "exit 3"}, testID(), modeWatch)))
		r := s.wait()
		r.wantExit(t, 3)
		if r.out.bootID != "" || r.out.pgid != r.out.pid {
			t.Errorf("start mark %+v, want no boot id and the group %d", r.out, r.out.pid)
		}
	})
}

// wantEnded checks the marks of a command that the supervisor ended.
func (r result) wantEnded(t testing.TB) {
	t.Helper()
	for name, m := range map[string]marks{"stdout": r.out, "stderr": r.err} {
		if !m.started || !m.exited || !m.ended {
			t.Errorf("marks on %s are %+v, want a command that was ended; stdout %q, stderr %q", name, m, r.stdout, r.stderr)
		}
	}
}

func TestLifelineEndsPoliteCommand(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, sh shell, v variant) {
		s := sh.start(t, setup{})
		// The end is noticed: the grace is longer than this test waits.
		c := Command{Script: `trap 'echo cleaned; exit 3' TERM; echo ready; while :; do sleep 1; done`, Grace: 10 * patience}
		s.feed(v.frame(t, commandFrame(c, testID(), modeWatch)))
		awaitText(t, &s.stdout, "ready\n")
		_ = s.stdin.Close()
		r := s.wait()
		r.wantEnded(t)
		if r.out.code != 3 || r.stdout != "ready\ncleaned\n" {
			t.Errorf("code %d, output %q, stderr %q", r.out.code, r.stdout, r.stderr)
		}
		awaitGone(t, s.mark)
	})
}

func TestLifelineEndsPlainCommand(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, sh shell, v variant) {
		s := sh.start(t, setup{})
		s.feed(v.frame(t, commandFrame(Command{Script: `echo ready; exec sleep 1000`, Grace: 10 * patience}, testID(), modeWatch)))
		awaitText(t, &s.stdout, "ready\n")
		_ = s.stdin.Close()
		r := s.wait()
		r.wantEnded(t)
		if r.out.code != 128+int(syscall.SIGTERM) {
			t.Errorf("code %d, want TERM's", r.out.code)
		}
		awaitGone(t, s.mark)
	})
}

func TestLifelineKillsStubbornCommandAndItsChildren(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, sh shell, v variant) {
		s := sh.start(t, setup{})
		c := Command{
			Grace: time.Second,
			// Children of four kinds: one that ignores TERM, one whose parent
			// has gone, and one with its own session, and one of that.
			Script: `trap '' TERM
				sleep 1000 &
				(sleep 1001 & )
				setsid sh -c 'sleep 1002 & sleep 1003' &
				echo ready
				while :; do sleep 1; done`,
		}
		s.feed(v.frame(t, commandFrame(c, testID(), modeWatch)))
		awaitText(t, &s.stdout, "ready\n")
		eventually(t, func() string { return "the children are not there" }, func() bool {
			all := ""
			for _, line := range marked(s.mark) {
				all += line + "\n"
			}
			return strings.Contains(all, "sleep 1000") && strings.Contains(all, "sleep 1001") &&
				strings.Contains(all, "sleep 1002") && strings.Contains(all, "sleep 1003")
		})
		_ = s.stdin.Close()
		r := s.wait()
		r.wantEnded(t)
		if r.out.code != 128+int(syscall.SIGKILL) {
			t.Errorf("code %d, want KILL's; stdout %q, stderr %q", r.out.code, r.stdout, r.stderr)
		}
		awaitGone(t, s.mark)
	})
}

// The lifeline may have ended before the command is there.
func TestLifelineThatEndedBeforeTheStart(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, sh shell, v variant) {
		for range 5 {
			s := sh.start(t, setup{})
			s.feedAll(v.frame(t, commandFrame(Command{Argv: []string{"sleep", "1000"}, Grace: time.Second}, testID(), modeWatch)))
			s.wait().wantEnded(t)
			awaitGone(t, s.mark)
		}
	})
}

// A signal to the whole group, such as a terminal or a person sends, ends the
// command and leaves the supervisor to tell of it.
func TestSupervisorSurvivesSignalToItsGroup(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
			s := sh.start(t, setup{})
			s.feed(commandFrame(Command{Script: `echo ready; exec sleep 1000`}, testID(), modeWatch))
			awaitText(t, &s.stdout, "ready\n")
			m, _ := s.out.state()
			if err := syscall.Kill(-m.pgid, sig); err != nil {
				t.Fatal(err)
			}
			r := s.wait()
			if !r.out.exited || r.out.code != 128+int(sig) || r.out.ended {
				t.Errorf("signal %d to the group: marks %+v", sig, r.out)
			}
		}
	})
}

// A command that takes a signal to the group in its stride goes on: the
// lifeline was not cut.
func TestSignalToTheGroupIsNoCancel(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		for _, m := range []mode{modeWatch, modeUser} {
			s := sh.start(t, setup{})
			c := Command{Script: `trap 'echo reloaded; exit 4' HUP; trap 'echo interrupted' INT; echo ready; while :; do sleep 0.1; done`}
			s.feed(commandFrame(c, testID(), m))
			awaitText(t, &s.stdout, "ready\n")
			seen, _ := s.out.state()
			if err := syscall.Kill(-seen.pgid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			awaitText(t, &s.stdout, "interrupted\n")
			if err := syscall.Kill(-seen.pgid, syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			r := s.wait()
			r.wantExit(t, 4)
			if r.stdout != "ready\ninterrupted\nreloaded\n" {
				t.Errorf("output %q", r.stdout)
			}
		}
	})
}
