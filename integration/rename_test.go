package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// slowMove gives the host a mv that waits, before or after it has renamed the
// workspace ws or a fork of it, the first time, until the file "go" is there.
// The search path of a host is asked for once, so this must come first.
func (w *world) slowMove(after bool) {
	w.tb.Helper()
	wait := `if mkdir "$HOME/blocked" 2>/dev/null; then while [ ! -e "$HOME/go" ]; do sleep 0.05; done; fi`
	before, behind := wait, ":"
	if after {
		before, behind = ":", wait
	}
	w.write(w.remote+"/.profile", "PATH=$HOME/bin:$PATH\n")
	w.script(w.remote+"/bin/mv", `PATH=${PATH#*:}
case " $* " in
  */proj/ws\ */proj/new\ *|*/.new-*/proj/new\ *) `+before+`; mv "$@"; code=$?; `+behind+`; exit $code ;;
esac
exec mv "$@"`)
}

// blockedMove starts a bivy and returns when its mv on the host waits.
func (w *world) blockedMove(args ...string) *running {
	w.tb.Helper()
	b := w.start(w.spec(args...))
	w.eventually("mv on the host waits", func() bool { return exists(w.remote + "/blocked") })
	return b
}

// cutOff kills a bivy whose part on the host waits, and lets that end.
func (w *world) cutOff(b *running) {
	w.tb.Helper()
	w.must(b.process.Signal(syscall.SIGKILL))
	_ = b.wait()
	w.goneThere()
	w.write(w.remote+"/go", "")
}

// names are those that the registry has.
func (w *world) names() string {
	w.tb.Helper()
	var names []string
	for line := range strings.Lines(w.wants(0, "ls").stdout) {
		if name := strings.Fields(line)[0]; name != "WORKSPACE" {
			names = append(names, strings.TrimPrefix(name, "proj/"))
		}
	}
	return strings.Join(names, " ")
}

func (w *world) recordFile(name string) string {
	return w.root + "/s/state/workspaces/proj/" + name + ".json"
}

// TestRenameCutOff: whenever it is cut off, the workspace has one name, and the
// same command completes it, or rm removes it.
func TestRenameCutOff(t *testing.T) {
	for _, after := range []bool{false, true} {
		name := "before"
		if after {
			name = "after"
		}
		t.Run(name, func(t *testing.T) {
			onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
				w.slowMove(after)
				w.wants(0, "new", "ws", "--host", "gpu1")
				w.wants(0, "exec", "ws", "-c", "echo x >note")
				b := w.blockedMove("rename", "ws", "new")
				if got := w.bivy("rm", "ws"); got.code != 97 {
					t.Errorf("while it is renamed, bivy rm gives %v", got)
				}
				if got := w.bivy("new", "new", "--host", "gpu1"); got.code != 97 {
					t.Errorf("while it is renamed, bivy new of the name gives %v", got)
				}
				w.cutOff(b)
				if got := w.names(); got != "ws" {
					t.Fatalf("the registry has %q", got)
				}
				if got := w.wants(82, "exec", "ws", "--", "true"); !strings.Contains(got.stderr, "bivy rename proj/ws new") {
					t.Errorf("bivy exec gives %v", got)
				}
				w.wants(82, "rename", "ws", "third")
				// rm looks where it is, and still protects what is in it.
				settled := "ws"
				if after {
					settled = "new"
				}
				file := w.recordFile("ws")
				record := w.read(file)
				w.wants(83, "rm", "ws")
				if got := w.names(); got != settled {
					t.Errorf("rm has settled it as %q, want %q", got, settled)
				}
				_ = os.Remove(w.recordFile("new"))
				w.write(file, record)
				if got := w.wants(0, "rename", "ws", "new"); got.stdout != "new\n" {
					t.Errorf("the repeated bivy rename gives %v", got)
				}
				if got := w.names(); got != "new" {
					t.Errorf("the registry has %q", got)
				}
				w.wants(0, "exec", "new", "--", "test", "-e", "note")
				w.nothingHalfMade()
				w.wants(0, "rm", "--force", "new")
			})
		})
	}
}

// TestForkCutOff: a fork that was cut off is completed by the same command, and
// removed by rm.
func TestForkCutOff(t *testing.T) {
	for _, after := range []bool{false, true} {
		name := "before"
		if after {
			name = "after"
		}
		t.Run(name, func(t *testing.T) {
			onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
				w.slowMove(after)
				w.wants(0, "new", "ws", "--host", "gpu1")
				w.wants(0, "exec", "ws", "-c", "echo x >note")
				w.cutOff(w.blockedMove("fork", "ws", "new", "--dirty"))
				if got := w.names(); got != "new ws" {
					t.Fatalf("the registry has %q", got)
				}
				w.wants(82, "exec", "new", "--", "true")
				// Neither bivy new nor another fork takes it for its own.
				w.wants(82, "new", "new", "--host", "gpu1")
				if got := w.wants(82, "fork", "ws", "new"); !strings.Contains(got.stderr, "cut off") {
					t.Errorf("another bivy fork gives %v", got)
				}
				if got := w.wants(0, "fork", "ws", "new", "--dirty"); got.stdout != "new\n" {
					t.Errorf("the repeated bivy fork gives %v", got)
				}
				w.wants(0, "exec", "new", "--", "test", "-e", "note")
				w.nothingHalfMade()
				w.wants(82, "fork", "ws", "new")
				w.wants(0, "rm", "--force", "new")
				if exists(w.remote + "/bivy/proj/new") {
					t.Error("the fork is there")
				}
			})
		})
	}
}
