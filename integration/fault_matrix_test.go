package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bivy/integration/sshdtest"
	"bivy/internal/leak"
)

// The moments of a fault: the session is there and has not started our shell;
// the command runs; the command has begun to write its last words.
const (
	beforeStart = "before the start"
	whileRuns   = "running"
	atExit      = "exiting"
)

// verdict is which states are true after a fault, and why.
type verdict struct{ states, why string }

// fault is one row of the table.
type fault struct {
	name                     string
	strike                   func(*tree)
	before, running, exiting verdict
}

// local signals the process of that role that belongs to this command.
func local(role sshdtest.LocalRole) func(*tree) {
	return func(t *tree) {
		t.w.tb.Helper()
		list := sshdtest.Local(role, "BIVY_HOME", t.w.root+"/s")
		if role == sshdtest.Session { // the guardian has one, too
			list = slices.DeleteFunc(list, func(p leak.Process) bool { return p.Parent != t.bivy.process.Pid() })
		}
		// One that is about to end may have done so by now.
		if len(list) != 1 && role != sshdtest.Session {
			t.w.tb.Errorf("want one process to kill, have:\n%s", leak.List(list))
		}
		for _, p := range list {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
}

func remote(role sshdtest.Role) func(*tree) {
	return func(t *tree) {
		t.w.tb.Helper()
		if n := t.w.server.Signal(t.w.tb, role, syscall.SIGKILL); n != 1 {
			t.w.tb.Errorf("killed %d processes of sshd, want 1", n)
		}
	}
}

func self(sig syscall.Signal) func(*tree) {
	return func(t *tree) { t.w.must(t.bivy.process.Signal(sig)) }
}

// What may be said where the link, or the session, is lost.
var (
	lostBefore = verdict{"unknown", "the host had the frame: whether it started the command after all, nobody can see"}
	lost       = verdict{"unknown", "its end cannot be seen any more"}
	lostOrSeen = verdict{"unknown exited", "the exit mark may have come before"}
)

// What must be said where the user ends it.
var (
	endedBefore = verdict{"canceled", "the link is up, and the command was not seen to start"}
	ended       = verdict{"canceled", "the host confirms it"}
	endedOrNot  = verdict{"canceled exited", "it may have ended by itself before the order came"}
)

// What a killed bivy has written, which is what it writes first.
var silent = verdict{"unknown", "nobody was left to say more"}

// untouched is for a fault that a command must not feel.
var untouched = verdict{"exited", "its connection lives on"}

// sessionsSSH is the fault that only an ssh for each session can have.
const sessionsSSH = "session's ssh"

var faults = []fault{
	{"bivy KILL", self(syscall.SIGKILL), silent, silent, silent},
	{"bivy TERM", self(syscall.SIGTERM), endedBefore, ended, endedOrNot},
	{"bivy INT", self(syscall.SIGINT), endedBefore, ended, endedOrNot},
	{"bivy HUP", self(syscall.SIGHUP), endedBefore, ended, endedOrNot},
	{sessionsSSH, local(sshdtest.Session), lostBefore, lost, lostOrSeen},
	{"master's ssh", local(sshdtest.Master), lostBefore, lost, lostOrSeen},
	{"holder", local(sshdtest.Holder), lostBefore, lost, lostOrSeen},
	{"sshd's worker", remote(sshdtest.Worker), lostBefore, lost, lostOrSeen},
	{"sshd's listener", remote(sshdtest.Listener), untouched, untouched, untouched},
}

// TestFaults kills everybody at every moment, and compares what bivy says
// became of the command with what the command itself has written on the host.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		if f.name == sessionsSSH && !throughSSH() {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			cells := func(w *world, moments ...string) {
				w.needProc()
				for i, moment := range []string{beforeStart, whileRuns, atExit} {
					if !slices.Contains(moments, moment) {
						continue
					}
					v := []verdict{f.before, f.running, f.exiting}[i]
					for j, flags := range [][]string{nil, {"-i"}} {
						what := fmt.Sprintf("%s, %s, %q", f.name, moment, flags)
						w.fault(what, fmt.Sprintf("t%d%d", i, j), moment, flags, f.strike, v)
					}
				}
			}
			t.Run("before", func(t *testing.T) {
				onSSHD(t, hostOptions{NoSpare: true}, func(_ *testing.T, w *world) { cells(w, beforeStart) })
			})
			t.Run("after", func(t *testing.T) {
				onSSHD(t, hostOptions{}, func(_ *testing.T, w *world) { cells(w, whileRuns, atExit) })
			})
		})
	}
}

// fault is one cell of the table.
func (w *world) fault(what, name, moment string, flags []string, strike func(*tree), v verdict) {
	w.tb.Helper()
	if len(w.server.Pids(sshdtest.Listener)) == 0 {
		w.server.Restart(w.tb)
	}
	// What the fault before this one has done needs nobody's hand.
	w.wants(0, "exec", "--host", "gpu1", "--", "true")
	t := w.newTree(name)
	out, stdout, err := os.Pipe()
	w.must(err)
	waiting := w.held()
	if moment == beforeStart {
		w.server.HoldSessions(w.tb)
	}
	s := w.spec(t.args(treeScript, flags...)...)
	s.Stdout = stdout
	t.startSpec(s)
	w.must(stdout.Close())
	t.stdout = out
	said := bufio.NewReader(out)
	switch moment {
	case beforeStart:
		w.eventually("the session is held", func() bool { return len(w.held()) > len(waiting) })
		for _, pid := range w.held() {
			if !slices.Contains(waiting, pid) {
				t.session = pid
			}
		}
	case whileRuns:
		t.up()
	case atExit:
		t.up()
		w.must(os.WriteFile(t.dir+"/go", nil, 0o600))
		if line, err := said.ReadString('\n'); line != "bye\n" {
			w.tb.Fatalf("%s: the command says %q, %v", what, line, err)
		}
	}
	before := t.log()
	strike(t)
	if moment == beforeStart {
		w.server.ReleaseSessions(w.tb)
	}
	if v == untouched {
		w.must(os.WriteFile(t.dir+"/go", nil, 0o600))
	}
	rest, _ := io.Copy(io.Discard, said)
	if moment == atExit {
		rest += int64(len("bye\n"))
	}
	got := t.wait()
	t.judge(what, v, before, got, rest)
}

// judge compares what bivy says with what the command has written.
func (t *tree) judge(what string, v verdict, before string, got result, written int64) {
	t.w.tb.Helper()
	receipt := t.w.receipt(t.result)
	state := t.state()
	fail := func(format string, args ...any) {
		t.w.tb.Helper()
		t.w.tb.Errorf("%s: %s; bivy: %v; receipt: %v; the command's log: %q", what, fmt.Sprintf(format, args...), got, receipt, t.log())
	}
	if !slices.Contains(strings.Fields(v.states), state) {
		fail("it is reported as %s, want %s (%s)", state, v.states, v.why)
	}
	if left := t.left(soon); len(left) > 0 {
		fail("%s later there still run:\n%s", soon, leak.List(left))
		t.clear()
	}
	log := t.log()
	if n := strings.Count(log, "started"); n > 1 {
		fail("it was started %d times", n)
	}
	wantCode := map[string]int{"unknown": 94, "canceled": 96, "exited": 7}[state]
	cut := state == "exited" && v == lostOrSeen && receipt["class"] == "link_lost"
	switch {
	case v == silent:
		wantCode = 137
	case cut: // its end is known, and not all of its output
		wantCode = 94
	}
	if wantCode != 0 && got.code != wantCode {
		fail("the exit code is %d, want %d", got.code, wantCode)
	}
	switch state {
	case "never_started":
		if log != "" {
			fail("it was started")
		}
	case "exited":
		if !strings.Contains(log, "ended 7") || receipt["code"] != 7.0 || strings.Contains(log, "term") {
			fail("it did not exit with 7 by itself")
		}
		if cut {
			break
		}
		if written != int64(treeOutput) || receipt["stdout_bytes"] != float64(treeOutput) {
			fail("%d bytes of its output arrived, want %d", written, treeOutput)
		}
	case "canceled":
		if strings.Contains(before, "ended") {
			fail("it had ended by itself before")
		}
	}
	if state != "exited" && receipt["code"] != nil {
		fail("there is a code")
	}
}
