package exec

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

// direct skips a test of what only the direct way has.
func direct(t *testing.T) {
	t.Helper()
	if os.Getenv(wayVar) == wayClient {
		// There is no session to hand over where each is a process of ssh.
		t.Skip("sessions are opened by ssh")
	}
}

// warm runs commands until one gets a session that was open already.
func (w *world) warm() {
	w.t.Helper()
	eventually(w.t, func() string { return "no command gets a spare session" }, func() bool {
		end := w.wait(w.start(Command{Argv: []string{"true"}}))
		if end.State != Exited || end.Code != 0 || end.err != nil {
			w.t.Fatalf("true: %+v, %v", end.Receipt, end.err)
		}
		return end.Way == waySpare
	})
}

// waiting are the shells of this host's sessions that wait for a frame.
func (w *world) waiting() []int {
	var pids []int
	for _, pid := range w.server.Pids(sshdtest.Command) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.HasSuffix(string(line), "\x00bivy-spare\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Everything that a command sees and does is the same in a session that was
// open already.
func TestSpareIsLikeAnother(t *testing.T) {
	t.Parallel()
	direct(t)
	w := newWorld(t, sshdtest.Options{})
	w.warm()
	script := `printf '%s|' "$#" "$1" "$V"; pwd; umask; ps -o pgid= -o tty= -p $$ | wc -w; cat; echo err >&2; exit 7`
	var seen []ran
	for range 12 {
		c := Command{Script: script, Env: []EnvVar{{"V", "a b\n'c"}}, Dir: "/", Stdin: strings.NewReader("the user's\n")}
		seen = append(seen, w.wait(w.start(c)))
	}
	spares := 0
	for _, end := range seen {
		if end.State != Exited || end.Code != 7 || end.stdout != seen[0].stdout || end.stderr != "err\n" || end.err != nil {
			t.Errorf("%s: %+v, stdout %q, stderr %q, %v", end.Way, end.Receipt, end.stdout, end.stderr, end.err)
		}
		if end.Way == waySpare {
			spares++
		}
	}
	if spares == 0 || !strings.HasSuffix(seen[0].stdout, "the user's\n") {
		t.Errorf("%d of the commands had a spare session; stdout %q", spares, seen[0].stdout)
	}
}

// A command whose spare session ends under its hands runs all the same, once.
func TestSpareThatEnded(t *testing.T) {
	t.Parallel()
	direct(t)
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("there is no /proc to find the shell in")
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		w := newWorld(t, sshdtest.Options{})
		w.warm()
		eventually(t, func() string { return "no shell waits" }, func() bool { return len(w.waiting()) == 1 })
		holder := w.master().Holder
		// The holder must not see that it is gone.
		if err := syscall.Kill(holder, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for _, pid := range w.waiting() {
			_ = syscall.Kill(pid, sig)
		}
		eventually(t, func() string { return "the shell does not end" }, func() bool { return len(w.waiting()) == 0 })
		log := t.TempDir() + "/log"
		r := w.start(Command{Script: "echo once >>" + log})
		if err := syscall.Kill(holder, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		end := w.wait(r)
		said, _ := os.ReadFile(log)
		if end.State != Exited || end.err != nil || string(said) != "once\n" {
			t.Errorf("%v: %+v, %v; it ran %q", sig, end.Receipt, end.err, said)
		}
	}
}

// A holder that has stopped keeps nobody from a session of its own.
func TestStoppedHolderHasNoSpare(t *testing.T) {
	t.Parallel()
	direct(t)
	w := newWorld(t, sshdtest.Options{})
	w.warm()
	holder := w.master().Holder
	if err := syscall.Kill(holder, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(holder, syscall.SIGCONT) })
	// It may have been about to answer when the signal came.
	end := w.wait(w.start(Command{Argv: []string{"true"}}))
	began := time.Now()
	if end.Way == waySpare {
		end = w.wait(w.start(Command{Argv: []string{"true"}}))
	}
	if end.State != Exited || end.Way == waySpare || end.err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %+v, %v", time.Since(began), end.Receipt, end.err)
	}
}

// A host that gives few sessions gives them to commands.
func TestSpareMakesRoom(t *testing.T) {
	t.Parallel()
	direct(t)
	for _, sessions := range []int{1, 2, 3} {
		w := newWorld(t, sshdtest.Options{MaxSessions: sessions})
		eventually(t, func() string { return "" }, func() bool {
			end := w.wait(w.start(Command{Argv: []string{"sleep", "0.3"}}))
			return end.State == Exited && sessions < 3 || end.Way == waySpare
		})
		var all []*running
		for range 2 * sessions {
			all = append(all, w.start(Command{Argv: []string{"sleep", "0.2"}}))
		}
		for _, r := range all {
			if end := w.wait(r); end.State != Exited || end.err != nil {
				t.Errorf("of %d sessions: %+v, %v", sessions, end.Receipt, end.err)
			}
		}
	}
}
