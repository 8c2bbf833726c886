package exec

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// escapees are ways for a child to leave the tree, the group and the session
// of a command. hidden ones show nothing of where they come from.
func escapees() map[string]struct {
	script string
	hidden bool
} {
	return map[string]struct {
		script string
		hidden bool
	}{
		"orphan":               {script: `(sleep 1000 &)`},
		"nohup":                {script: `(nohup sleep 1000 >/dev/null 2>&1 &)`},
		"session":              {script: `(setsid sleep 1000 </dev/null >/dev/null 2>&1 &)`},
		"daemon":               {script: `(setsid sh -c '(sleep 1000 &) ' </dev/null >/dev/null 2>&1 &)`},
		"no environment":       {script: `(env -i sleep 1000 &)`},
		"no environment as it": {script: `echo ready; exec env -i sleep 1000`},
		"hidden":               {script: `(env -i setsid sleep 1000 </dev/null >/dev/null 2>&1 &)`, hidden: true},
	}
}

// The way out of the process group is no way out.
func TestNothingEscapesTheEnd(t *testing.T) {
	t.Parallel()
	needProc(t)
	for name, c := range escapees() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, sh shell) {
				s := sh.start(t, setup{})
				// The number 1000 of the sleep is made unique, so that it can be
				// found without its environment.
				unique := strconv.FormatInt(1_000_000_000+time.Now().UnixNano()%1_000_000_000, 10)
				script := strings.ReplaceAll(c.script, "sleep 1000", "sleep "+unique) + "; echo ready; sleep 100 & wait"
				s.feed(commandFrame(Command{Script: script, Grace: time.Second}, testID(), modeWatch))
				awaitText(t, &s.stdout, "ready\n")
				eventually(t, func() string { return "the child is not there" }, func() bool { return len(called("sleep", unique)) == 1 })
				t.Cleanup(func() {
					for _, pid := range called("sleep", unique) {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				})
				_ = s.stdin.Close()
				r := s.wait()
				r.wantEnded(t)
				if left := called("sleep", unique); c.hidden != (len(left) == 1) {
					t.Errorf("hidden %v, alive %v; marks %+v", c.hidden, left, r.out)
				}
				if c.hidden && r.out.complete {
					t.Error("a process without any trace escaped, and the list of survivors claims to be complete")
				}
				if len(r.out.left) != 0 {
					t.Errorf("survivors %v", r.out.left)
				}
			})
		})
	}
}

// called returns the processes with exactly this command line.
func called(argv ...string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && string(line) == strings.Join(argv, "\x00")+"\x00" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// A second word cuts the grace short.
func TestLifelineKillsAtTheSecondWord(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, sh shell, v variant) {
		for _, words := range [][]string{{wordEnd, wordKill}, {wordKill}} {
			s := sh.start(t, setup{})
			c := Command{Script: `trap 'echo told' TERM; echo ready; while :; do sleep 0.1; done`, Grace: 10 * patience}
			s.feed(v.frame(t, commandFrame(c, testID(), modeWatch)))
			awaitText(t, &s.stdout, "ready\n")
			for i, word := range words {
				s.feed([]byte(word))
				if i < len(words)-1 {
					awaitText(t, &s.stdout, "told\n")
				}
			}
			r := s.wait()
			r.wantEnded(t)
			if r.out.code != 128+int(syscall.SIGKILL) {
				t.Errorf("%q: code %d, want KILL's; stdout %q", words, r.out.code, r.stdout)
			}
			awaitGone(t, s.mark)
		}
	})
}

// The end of the lifeline behind a polite word takes nothing from the grace.
func TestLifelineEndsPolitelyAfterAWord(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		s := sh.start(t, setup{})
		c := Command{Script: `trap 'sleep 1; echo cleaned; exit 3' TERM; echo ready; while :; do sleep 0.1; done`, Grace: 10 * patience}
		s.feed(commandFrame(c, testID(), modeWatch))
		awaitText(t, &s.stdout, "ready\n")
		s.feedAll([]byte("nonsense\n" + wordEnd))
		r := s.wait()
		r.wantEnded(t)
		if r.out.code != 3 || r.stdout != "ready\ncleaned\n" {
			t.Errorf("code %d, output %q", r.out.code, r.stdout)
		}
	})
}

// The command may signal its whole group, also with what we use ourselves.
func TestSignalsOfOurOwnFromTheCommand(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		for _, m := range []mode{modeWatch, modeUser} {
			for _, sig := range []string{"USR1", "USR2", "ALRM"} {
				s := sh.start(t, setup{})
				c := Command{Script: fmt.Sprintf(`trap : %s; kill -%s 0; sleep 0.2; exit 4`, sig, sig)}
				s.feed(commandFrame(c, testID(), m))
				r := s.wait()
				r.wantExit(t, 4)
			}
		}
	})
}

// Names of processes are theirs to choose.
func TestOddProcessNames(t *testing.T) {
	t.Parallel()
	needProc(t)
	eachShell(t, func(t *testing.T, sh shell) {
		bin := t.TempDir()
		for _, name := range []string{"a b", "a) S 1 1 1 (b", "a\nb) R 1", "(("} {
			sleep, err := os.ReadFile("/bin/sleep")
			if err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(bin, name)
			if err := os.WriteFile(program, sleep, 0o700); err != nil {
				t.Fatal(err)
			}
			s := sh.start(t, setup{})
			s.feed(commandFrame(Command{Script: `(setsid "$ODD" 1000 &) ; echo ready; exec sleep 1000`, Grace: time.Second, Env: []EnvVar{{"ODD", program}}}, testID(), modeWatch))
			awaitText(t, &s.stdout, "ready\n")
			_ = s.stdin.Close()
			s.wait().wantEnded(t)
			awaitGone(t, s.mark)
		}
	})
}

// A command that may outlive its link does, with all that it says.
func TestKeepOutlivesTheLink(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		s := sh.start(t, setup{})
		id := testID()
		c := Command{Script: `echo ready; echo error >&2; sleep 1; echo more; echo woe >&2; sleep 0.2; echo last; exit 5`, Keep: true}
		s.feed(commandFrame(c, id, modeWatch))
		awaitText(t, &s.stdout, "ready\n")
		awaitText(t, &s.stderr, "error\n")
		s.hangUp()
		kept := filepath.Join(s.home, ".bivy", "kept", id.run)
		read := func(stream string) string {
			data, err := os.ReadFile(kept + "." + stream)
			if err != nil {
				return err.Error()
			}
			return string(data)
		}
		eventually(t, func() string { return read("out") + read("err") }, func() bool {
			return strings.Contains(read("out"), "last\n") && strings.Contains(read("err"), "woe\n") && read("exit") == "5\n"
		})
		if read("out") != "more\nlast\n" || read("err") != "woe\n" {
			t.Errorf("kept %q and %q", read("out"), read("err"))
		}
		awaitGone(t, s.mark)
	})
}

func TestKeepWithoutATrouble(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		r := sh.run(t, setup{}, Command{Script: `echo out; echo err >&2; exit 5`, Keep: true})
		for name, m := range map[string]marks{"stdout": r.out, "stderr": r.err} {
			if !m.started || !m.exited || m.code != 5 {
				t.Errorf("marks on %s are %+v", name, m)
			}
		}
		if r.stdout != "out\n" || r.stderr != "err\n" {
			t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
		}
		// Who asks for the end gets it all the same.
		s := sh.start(t, setup{})
		s.feed(commandFrame(Command{Script: `echo ready; exec sleep 1000`, Keep: true, Grace: 10 * patience}, testID(), modeWatch))
		awaitText(t, &s.stdout, "ready\n")
		s.feed([]byte(wordEnd))
		s.wait().wantEnded(t)
		awaitGone(t, s.mark)
	})
}

// A host that was slow may get to the command when its session is long gone;
// then nobody could end what starts.
func TestNothingStartsForNobody(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		for _, m := range []mode{modeWatch, modeUser} {
			for _, keep := range []bool{false, true} {
				canary := filepath.Join(t.TempDir(), "canary")
				s := sh.start(t, setup{})
				closeAll(s.link[1:]) // stdout and stderr
				<-s.unread
				s.feedAll(commandFrame(Command{Argv: []string{"touch", canary}, Keep: keep}, testID(), m))
				s.wait()
				if exists(canary) {
					t.Errorf("mode %s, keep %v: the command ran", m, keep)
				}
			}
		}
	})
}
