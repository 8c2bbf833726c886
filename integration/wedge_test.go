package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

// pauseOf is how long a process stands still that goes on afterwards: longer
// than any answer of it is waited for.
const pauseOf = 6 * time.Second

// signalLocal signals the only process of that role.
func (w *world) signalLocal(role sshdtest.LocalRole, sig syscall.Signal) {
	w.tb.Helper()
	if n := len(sshdtest.SignalLocal(w.tb, role, "BIVY_HOME", w.root+"/s", sig)); n != 1 {
		w.tb.Fatalf("signal %d went to %d processes, want 1", sig, n)
	}
}

// TestStoppedMaster: a master that stands still is replaced, once, whoever
// comes, and what ran on it is unknown, and ended.
func TestStoppedMaster(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		const replaced = "did not answer; it was replaced"
		for i, atOnce := range []int{1, 4} {
			w.wants(0, "exec", "--host", "gpu1", "--", "true")
			logins := w.logins()
			plain, stdin := w.newTree(fmt.Sprintf("a%d", i)), w.newTree(fmt.Sprintf("b%d", i))
			plain.start(treeScript)
			stdin.start(treeScript, "-i")
			plain.up()
			stdin.up()
			w.signalLocal(sshdtest.Master, syscall.SIGSTOP)
			var next []*running
			for range atOnce {
				next = append(next, w.start(w.spec("exec", "--host", "gpu1", "-c", `echo once >>"$HOME/count"; echo here`)))
			}
			told := 0
			for _, b := range next {
				got := b.wait()
				if got.code != 0 || got.stdout != "here\n" {
					t.Errorf("%d after a stopped master: %v", atOnce, got)
				}
				told += strings.Count(got.stderr, replaced)
			}
			if told != 1 {
				t.Errorf("%d commands were told %d times that the master was replaced, want once", atOnce, told)
			}
			if n := w.logins() - logins; n != 1 {
				t.Errorf("%d commands made %d logins, want 1", atOnce, n)
			}
			if n := strings.Count(w.read(w.remote+"/count"), "once\n"); n != atOnce {
				t.Errorf("%d commands ran %d times", atOnce, n)
			}
			w.must(os.Remove(w.remote + "/count"))
			for _, tr := range []*tree{plain, stdin} {
				if got := tr.wait(); got.code != 94 {
					t.Errorf("a command on a master that was replaced gives %v", got)
				}
				w.wantReceipt(tr.result, map[string]any{"state": "unknown", "class": "link_lost", "code": nil})
				if tr.gone(soon); strings.Contains(tr.log(), "ended") {
					t.Errorf("a command on a master that was replaced ended by itself: %q", tr.log())
				}
			}
		}
	})
}

// TestStoppedBivy: who is stopped for a while is not gone.
func TestStoppedBivy(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		all := []*tree{w.newTree("a"), w.newTree("b")}
		all[0].start(treeScript)
		all[1].start(treeScript, "-i")
		for _, tr := range all {
			tr.up()
			w.must(tr.bivy.process.Signal(syscall.SIGSTOP))
		}
		w.worksFor(pauseOf)
		for _, tr := range all {
			w.must(tr.bivy.process.Signal(syscall.SIGCONT))
		}
		w.unharmed(all)
	})
}

// TestStoppedHolder: commands work without it, and nothing is ended when it
// goes on.
func TestStoppedHolder(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		all := []*tree{w.newTree("a"), w.newTree("b"), w.newTree("c"), w.newTree("d")}
		all[0].start(treeScript)
		all[1].start(treeScript, "-i")
		all[0].up()
		all[1].up()
		w.signalLocal(sshdtest.Holder, syscall.SIGSTOP)
		all[2].start(treeScript)
		all[3].start(treeScript, "-i")
		all[2].up()
		all[3].up()
		w.worksFor(pauseOf)
		w.signalLocal(sshdtest.Holder, syscall.SIGCONT)
		w.worksFor(grace / 2) // in which it does what it has missed
		w.unharmed(all)
	})
}

// worksFor runs commands for so long.
func (w *world) worksFor(d time.Duration) {
	w.tb.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.wants(0, "exec", "--host", "gpu1", "--", "sleep", "0.3")
	}
}

// unharmed wants commands to have felt nothing: they come to their own end
// now, on the first login.
func (w *world) unharmed(all []*tree) {
	w.tb.Helper()
	for _, tr := range all {
		w.must(os.WriteFile(tr.dir+"/go", nil, 0o600))
	}
	for _, tr := range all {
		got := tr.wait()
		if got.code != 7 || len(got.stdout) != treeOutput || tr.log() != "started\nended 7\n" {
			w.tb.Errorf("the command in %s gives code %d, %d bytes, %q; its log: %q", tr.dir, got.code, len(got.stdout), got.stderr, tr.log())
		}
		w.wantReceipt(tr.result, map[string]any{"state": "exited", "code": 7.0})
		tr.clear()
	}
	if n := w.logins(); n != 1 {
		w.tb.Errorf("%d logins, want 1", n)
	}
}
