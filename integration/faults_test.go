package integration

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

// TestKilledMaster: what became of the command is unknown, and that is said.
func TestKilledMaster(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		for _, extra := range [][]string{nil, {"--json"}} {
			_ = os.Remove(w.remote + "/up")
			args := append([]string{"exec", "--host", "gpu1", "--result", w.root + "/receipt"}, extra...)
			b := w.start(w.spec(append(args, "-c", ": >up; exec sleep 1000")...))
			w.eventually("the command runs", func() bool { return exists(w.remote + "/up") })
			w.killMaster()
			got := b.wait()
			if got.code != 94 || !strings.Contains(got.stderr, "gpu1") {
				t.Errorf("%q with a killed master gives %v", args, got)
			}
			if len(extra) > 0 && extra[0] == "--json" && !strings.Contains(got.stderr, `"class":"link_lost"`) {
				t.Errorf("the error is no JSON of class link_lost: %v", got)
			}
			w.wantReceipt(w.root+"/receipt", map[string]any{
				"state": "unknown", "class": "link_lost", "code": nil, "signal": nil,
			})
			w.goneThere()
		}
		// The next command logs in again.
		w.wants(0, "exec", "--host", "gpu1", "--", "true")
	})
}

func (w *world) killMaster() {
	w.tb.Helper()
	list := w.masters()
	if len(list) != 1 {
		w.tb.Fatalf("want one master, have %v", list)
	}
	w.must(syscall.Kill(list[0].PID, syscall.SIGKILL))
}

// TestKilledMasterTerminal: a command with a terminal ends with its link, too.
func TestKilledMasterTerminal(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		if w.kind == kindSSHD {
			sshdtest.RequireTerminal(t)
		}
		b := w.start(w.spec("exec", "--host", "gpu1", "-t", "--result", w.root+"/receipt", "-c", ": >up; sleep 1000; :"))
		w.eventually("the command runs", func() bool { return exists(w.remote + "/up") })
		w.killMaster()
		if got := b.wait(); got.code != 94 {
			t.Errorf("-t with a killed master gives %v", got)
		}
		w.wantReceipt(w.root+"/receipt", map[string]any{"state": "unknown", "class": "link_lost", "code": nil})
		w.goneThere()
	})
}

// TestKilledSession: the supervisor is killed, the link is up.
func TestKilledSession(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		got := w.bivy("exec", "--host", "gpu1", "--result", w.root+"/receipt", "-c", `
			p=$$
			while [ "$p" -gt 1 ]; do
				read -r line </proc/$p/stat; line=${line##*) }; set -- $line
				[ "$3" != "$p" ] || [ "$4" != "$p" ] || break
				p=$2
			done
			kill -9 $p; sleep 1000`)
		if got.code != 94 {
			t.Errorf("a killed session gives %v", got)
		}
		w.wantReceipt(w.root+"/receipt", map[string]any{"state": "unknown", "class": "link_lost", "code": nil})
		w.goneThere()
	})
}

// TestSignals: cancel means gone.
func TestSignals(t *testing.T) {
	tree := `sleep 1001 & (sleep 1002; :) & sh -c 'sleep 1003; :'; :`
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		for i, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			for _, extra := range [][]string{nil, {"-i"}} {
				r, stdin, err := os.Pipe() // held open: -i has no end of input
				w.must(err)
				file := fmt.Sprintf("%s/receipt%d", w.root, i)
				s := w.spec(append(append([]string{"exec", "--host", "gpu1", "--result", file}, extra...), "-c", tree)...)
				s.Stdin = r
				b := w.start(s)
				w.eventually("the whole tree runs", func() bool {
					text := strings.Join(w.there(), "\n")
					return strings.Contains(text, " sleep 1001") && strings.Contains(text, " sleep 1002") && strings.Contains(text, " sleep 1003")
				})
				w.must(b.process.Signal(sig))
				got := b.wait()
				if got.code != 96 || got.stderr == "" {
					t.Errorf("%v to bivy exec %v gives %v", sig, extra, got)
				}
				w.must(stdin.Close())
				w.must(r.Close())
				w.wantReceipt(file, map[string]any{"state": "canceled", "class": "canceled", "code": nil})
				for _, line := range w.there() {
					if strings.Contains(line, "sleep 100") {
						t.Errorf("after %v and the end of bivy exec %v (%v) there still runs %s", sig, extra, got, line)
					}
				}
				w.goneThere()
			}
		}
	})
}

// TestStubborn ignores TERM: KILL follows after the grace.
func TestStubborn(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		got := w.bivy("exec", "--host", "gpu1", "--timeout", "1s", "-c", `trap "" TERM HUP INT; sleep 1001 & while :; do sleep 1002; done`)
		if got.code != 95 {
			t.Errorf("a command that ignores TERM gives %v", got)
		}
		w.goneThere()
	})
}

// TestKilledBivy: without the client the command ends; its stdin was the
// lifeline.
func TestKilledBivy(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		b := w.start(w.spec("exec", "--host", "gpu1", "-c", ": >up; sleep 1001; :"))
		w.eventually("the command runs", func() bool { return exists(w.remote + "/up") })
		w.must(b.process.Signal(syscall.SIGKILL))
		if got := b.wait(); got.code != 137 {
			t.Errorf("a killed bivy ends with %v", got)
		}
		w.goneThere()
		// Its lease went with it.
		w.wants(0, "exec", "--host", "gpu1", "--wait-host", "20s", "--", "true")
	})
}

// TestFullDisk has a small file system as the remote home.
func TestFullDisk(t *testing.T) {
	if who, err := user.Current(); err != nil || who.Uid != "0" {
		// Only root may mount a small disk.
		t.Skip("needs root to mount a tmpfs")
	}
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.must(os.Mkdir(w.remote+"/bivy", 0o700))
		mount := w.run(proc.Spec{Args: []string{"mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", w.remote + "/bivy"}})
		if mount.code != 0 {
			// Containers often may not mount, not even as root.
			t.Skipf("cannot mount a tmpfs: %s", mount.stderr)
		}
		t.Cleanup(func() { w.run(proc.Spec{Args: []string{"umount", "-l", w.remote + "/bivy"}}) })
		random := w.run(proc.Spec{Args: []string{"head", "-c", "2000000", "/dev/urandom"}})
		w.write(w.proj+"/big", random.stdout)
		for _, args := range [][]string{{"add", "big"}, {"commit", "-q", "-m", "big"}} {
			w.git(args...)
		}
		got := w.bivy("new", "ws", "--host", "gpu1", "--json")
		if got.code != 93 || !strings.Contains(got.stderr, `"class":"host_lacks"`) || !strings.Contains(got.stderr, "space") {
			t.Errorf("a full disk gives %v", got)
		}
		if got := w.wants(0, "ls"); got.stdout != "" {
			t.Errorf("a workspace is remembered: %v", got)
		}
		w.nothingHalfMade()
		// There is room for a small tree.
		w.wants(0, "new", "ws", "--host", "gpu1", "--ref", "HEAD~1")
	})
}

// git runs git in the project.
func (w *world) git(args ...string) result {
	w.tb.Helper()
	got := w.run(proc.Spec{Args: append([]string{"git"}, args...), Dir: w.proj, Env: w.env})
	if got.code != 0 {
		w.tb.Fatalf("git %q gives %v", args, got)
	}
	return got
}

// TestGoneHost: sshd ends the connection under a command, and listens no more.
func TestGoneHost(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		b := w.start(w.spec("exec", "--host", "gpu1", "--result", w.root+"/receipt", "-c", ": >up; exec sleep 1000"))
		w.eventually("the command runs", func() bool { return exists(w.remote + "/up") })
		w.server.Kill()
		w.server.KillConnections()
		began := time.Now()
		if got := b.wait(); got.code != 94 {
			t.Errorf("a lost connection gives %v", got)
		}
		// The link's end is seen at once, not by a timeout.
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the lost connection was seen after %s", took)
		}
		w.wantReceipt(w.root+"/receipt", map[string]any{"state": "unknown", "class": "link_lost", "code": nil})
		w.wants(90, "exec", "--host", "gpu1", "--", "true")
		w.goneThere()
	})
}
