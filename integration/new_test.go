package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOneNameTwice: one wins, the other says so.
func TestOneNameTwice(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "host", "connect", "gpu1")
		first, second := w.start(w.spec("new", "same", "--host", "gpu1")), w.start(w.spec("new", "same", "--host", "gpu1"))
		won, lost := first.wait(), second.wait()
		if won.code != 0 {
			won, lost = lost, won
		}
		if won.code != 0 || won.stdout != "same\n" {
			t.Errorf("the winner gives %v", won)
		}
		if lost.code != 97 && lost.code != 82 || lost.stdout != "" || !strings.Contains(lost.stderr, "proj/same") {
			t.Errorf("the loser gives %v", lost)
		}
		w.wants(0, "exec", "same", "--", "test", "-e", "README")
		w.nothingHalfMade()
	})
}

// nothingHalfMade wants no staging of ours on the host.
func (w *world) nothingHalfMade() {
	w.tb.Helper()
	entries, err := os.ReadDir(w.remote + "/bivy/proj")
	w.must(err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), ".store") {
			w.tb.Errorf("on the host is still %s", e.Name())
		}
	}
	nested, _ := filepath.Glob(w.remote + "/bivy/proj/*/.new-*")
	if len(nested) > 0 {
		w.tb.Errorf("on the host are still %v", nested)
	}
}

// TestHalfMade kills bivy while the host works on a new workspace; repeating
// the command completes it.
func TestHalfMade(t *testing.T) {
	for _, step := range []string{"symbolic-ref", "reset"} {
		t.Run(step, func(t *testing.T) {
			onBoth(t, hostOptions{}, func(t *testing.T, w *world) { halfMade(t, w, step) })
		})
	}
}

func halfMade(t *testing.T, w *world, step string) {
	t.Helper()
	b := w.blockedNew(step)
	if got := w.bivy("new", "ws", "--host", "gpu1"); got.code != 97 {
		t.Errorf("while it is made, another bivy new gives %v", got)
	}
	w.must(b.process.Signal(syscall.SIGKILL))
	_ = b.wait()
	if got := w.wants(0, "ls"); !strings.Contains(got.stdout, "ws") {
		t.Errorf("bivy ls does not show the unfinished workspace: %v", got)
	}
	w.wants(82, "exec", "ws", "--", "true")
	if got := w.wants(0, "new", "ws", "--host", "gpu1"); got.stdout != "ws\n" {
		t.Errorf("the repeated bivy new gives %v", got)
	}
	w.write(w.remote+"/go", "")
	w.goneThere()
	if got := w.wants(0, "status", "ws"); !strings.Contains(got.stdout, "clean") {
		t.Errorf("bivy status gives %v", got)
	}
	w.wants(0, "exec", "ws", "--", "test", "-e", "src/main.txt")
	w.nothingHalfMade()
	w.wants(0, "rm", "ws")
}

// blockedNew starts a `bivy new` whose git on the host stops at a step, the
// first time only, until the file "go" is there.
func (w *world) blockedNew(step string) *running {
	w.tb.Helper()
	w.write(w.remote+"/.profile", "PATH=$HOME/bin:$PATH\n")
	w.script(w.remote+"/bin/git", `PATH=${PATH#*:}
case " $* " in *" `+step+` "*)
	if mkdir "$HOME/blocked" 2>/dev/null; then while [ ! -e "$HOME/go" ]; do sleep 0.05; done; fi ;;
esac
exec git "$@"`)
	b := w.start(w.spec("new", "ws", "--host", "gpu1"))
	w.eventually("git on the host waits", func() bool { return exists(w.remote + "/blocked") })
	return b
}

// TestCanceledNew: a canceled command leaves nothing half-made on the host.
func TestCanceledNew(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		b := w.blockedNew("reset")
		w.must(b.process.Signal(syscall.SIGTERM))
		if got := b.wait(); got.code != 96 || got.stdout != "" {
			t.Errorf("SIGTERM to bivy new gives %v", got)
		}
		w.goneThere()
		w.nothingHalfMade()
		if exists(w.remote + "/bivy/proj/ws") {
			t.Error("the workspace is there")
		}
		w.wants(0, "new", "ws", "--host", "gpu1")
		w.wants(0, "rm", "ws")
	})
}

// TestRmHalfMade: what was cut off can be removed as well as completed.
func TestRmHalfMade(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		b := w.blockedNew("reset")
		w.must(b.process.Signal(syscall.SIGKILL))
		_ = b.wait()
		w.write(w.remote+"/go", "")
		w.goneThere()
		w.wants(0, "rm", "ws")
		w.wants(82, "status", "ws")
		w.nothingHalfMade()
		if exists(w.remote + "/bivy/proj/ws") {
			t.Error("the workspace is there")
		}
	})
}
