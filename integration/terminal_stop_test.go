package integration

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"bivy/exec/proc"
)

// jobShell is a shell with job control on a terminal: it continues what was
// stopped. It leaves the terminal's modes alone while it reads a line.
func (w *world) jobShell(line string) *screen {
	w.tb.Helper()
	s := w.spec()
	s.Args = []string{"bash", "--norc", "--noprofile", "--noediting", "-i"}
	s.Env = append(s.Env, "PS1=$ ", "HISTFILE=", "BASH_SILENCE_DEPRECATION_WARNING=1")
	sc := w.onTerminal(s)
	sc.answer("$ ", line+"\n")
	return sc
}

// awaitStopped waits until the shell has its terminal back, as it was.
func (s *screen) awaitStopped(times int) {
	s.w.tb.Helper()
	s.w.eventually("bivy is stopped", func() bool { return strings.Count(s.text(), "Stopped") == times })
	s.w.eventually("the terminal is as it was", s.asBefore)
}

// leave ends the shell after the job, whose exit code it tells.
func (s *screen) leave(code int) {
	s.w.tb.Helper()
	s.w.eventually("the shell asks for the next line", func() bool { return strings.HasSuffix(s.text(), "$ ") })
	s.answer("", "echo code-$?\nexit\n")
	if s.wait(); !strings.Contains(s.text(), "code-"+strconv.Itoa(code)) {
		s.w.tb.Errorf("the job ends otherwise than with %d: %q", code, s.text())
	}
}

// stop sends SIGTSTP to the bivy with these words in its command line.
func (w *world) stop(words string) {
	w.tb.Helper()
	for _, line := range w.processes(w.root) {
		pid, command, _ := strings.Cut(line, " ")
		if n, err := strconv.Atoi(pid); err == nil && strings.Contains(command, "bivy "+words) {
			w.must(syscall.Kill(n, syscall.SIGTSTP))
			return
		}
	}
	w.tb.Fatalf("no bivy %s runs", words)
}

// TestStoppedAndContinued: SIGTSTP gives the terminal back, and fg takes it
// again with what was on, in the size that it has by then; ^Z is the host's.
func TestStoppedAndContinued(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		w.needProc()
		w.wants(0, "host", "connect", "gpu1")
		w.script(w.remote+"/program", leavesOn+`
echo start-$(stty size | tr ' ' x)
until test "$(stty size)" = '44 102'; do sleep 0.1; done
echo first
until test "$(stty size)" = '50 110'; do sleep 0.1; done
stty raw -echo
echo type
byte=$(dd bs=1 count=1 2>/dev/null | od -An -tx1)
stty sane
echo got $byte
exit 7`)
		sc := w.jobShell("bivy exec -it --host gpu1 -- ./program")
		sc.answer("start-33x101", "")
		w.must(proc.Resize(sc.control, proc.Size{Rows: 44, Cols: 102}))
		sc.answer("first\r\n", "")
		w.stop("exec -it")
		sc.awaitStopped(1)
		if !strings.Contains(sc.text(), takenBack) {
			t.Errorf("the modes are not taken back: %q", sc.text())
		}
		w.must(proc.Resize(sc.control, proc.Size{Rows: 50, Cols: 110}))
		sc.answer("", "fg\n")
		sc.answer("type", "\x1a")
		sc.answer("got 1a\r\n", "")
		_, again, _ := strings.Cut(sc.text(), takenBack)
		if !strings.Contains(again, "\x1b[?1049h\x1b[?1h\x1b[?25l\x1b[?1000h\x1b[?1004h\x1b[?1006h\x1b[?2004h\x1b=") {
			t.Errorf("the modes are not set again: %q", sc.text())
		}
		sc.leave(7)
		if strings.Count(sc.text(), takenBack[:len(takenBack)-len("\x1b[0m")]) != 2 {
			t.Errorf("the modes are not taken back at the end: %q", sc.text())
		}
	})
}

// TestRedrawn: a program with the whole screen draws it again when it is
// continued, in the size that it had.
func TestRedrawn(t *testing.T) {
	onTerminals(t, func(_ *testing.T, w *world) {
		w.needProc()
		w.wants(0, "host", "connect", "gpu1")
		w.script(w.remote+"/program", `trap 'echo drawn $(stty size | tr " " x)' WINCH
printf '\033[?1049h'
echo ready
until test -e done; do sleep 0.1; done`)
		sc := w.jobShell("bivy exec -it --host gpu1 -- ./program")
		sc.answer("ready\r\n", "")
		w.stop("exec -it")
		sc.awaitStopped(1)
		sc.answer("", "fg\n")
		sc.answer("drawn 33x101", "")
		w.write(w.remote+"/done", "")
		sc.leave(0)
	})
}

// TestStoppedFromTheKeyboard: where the keyboard is not the command's, ^Z stops
// bivy alone. The command goes on, and what it said meanwhile comes after fg.
func TestStoppedFromTheKeyboard(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		w.needProc()
		w.wants(0, "host", "connect", "gpu1")
		for _, flags := range []string{"", " -t"} {
			for _, name := range []string{"said", "go", "done"} {
				w.must(os.RemoveAll(w.remote + "/" + name))
			}
			w.script(w.remote+"/program", `echo ready
until test -e go; do sleep 0.05; done
echo meanwhile
: >said
until test -e done; do sleep 0.05; done
echo after-$((40+2))
exit 3`)
			sc := w.jobShell("bivy exec" + flags + " --host gpu1 -- ./program")
			sc.answer("ready\r\n", "\x1a")
			sc.awaitStopped(1)
			w.write(w.remote+"/go", "")
			w.eventually("the command goes on", func() bool { return exists(w.remote + "/said") })
			if strings.Contains(sc.text(), "meanwhile") {
				t.Errorf("bivy%s is stopped and shows %q", flags, sc.text())
			}
			sc.answer("", "fg\n")
			sc.answer("meanwhile\r\n", "\x1a")
			sc.awaitStopped(2)
			sc.answer("", "fg\n")
			w.write(w.remote+"/done", "")
			sc.answer("after-42\r\n", "")
			sc.leave(3)
			if strings.Contains(sc.text(), "\r\r\n") {
				t.Errorf("with%s carriage returns are doubled: %q", flags, sc.text())
			}
		}
	})
}

// TestNotStopped: where nobody could continue us SIGTSTP does nothing, as for
// every program (POSIX, orphaned process groups).
func TestNotStopped(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		w.wants(0, "host", "connect", "gpu1")
		sc := w.onTerminal(w.spec("exec", "-it", "--host", "gpu1", "-c", "echo ready; read line; echo got $line; exit 4"))
		sc.answer("ready\r\n", "")
		w.must(sc.process.Signal(syscall.SIGTSTP))
		sc.answer("", "word\r")
		if code := sc.wait(); code != 4 || !strings.Contains(sc.text(), "got word\r\n") {
			t.Errorf("code %d, the terminal shows %q", code, sc.text())
		}
	})
}
