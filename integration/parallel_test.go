package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestColdHostAndManyAtOnce is the promise of one login per route.
func TestColdHostAndManyAtOnce(t *testing.T) {
	onBoth(t, hostOptions{MaxSessions: 10}, func(t *testing.T, w *world) {
		w.allRight(40)
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

// TestFewSessions has more commands than the host takes sessions.
func TestFewSessions(t *testing.T) {
	onBoth(t, hostOptions{MaxSessions: 2}, func(t *testing.T, w *world) {
		w.allRight(6)
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

// allRight runs n commands at once; each must give its own output and code.
func (w *world) allRight(n int) {
	w.tb.Helper()
	all := make([]*running, n)
	for i := range all {
		script := fmt.Sprintf("echo out %d; echo err %d >&2; exit %d", i, i, i)
		// Who waits long for a session says so; -q keeps that off stderr.
		all[i] = w.start(w.spec("exec", "-q", "--host", "gpu1", "-c", script))
	}
	for i, b := range all {
		want := result{i, fmt.Sprintf("out %d\n", i), fmt.Sprintf("err %d\n", i)}
		if got := b.wait(); got != want {
			w.tb.Errorf("command %d of %d gives %v", i, n, got)
		}
	}
}

// TestFailureIsShared: who waits for the login of another takes its failure.
func TestFailureIsShared(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.hostBlock("stranger", "IdentityFile "+w.server.NewKey(t))
		all := make([]*running, 8)
		for i := range all {
			all[i] = w.start(w.spec("exec", "--host", "stranger", "--", "true"))
		}
		for _, b := range all {
			if got := b.wait(); got.code != 91 || !strings.Contains(got.stderr, "Permission denied") {
				t.Errorf("with a wrong key: %v", got)
			}
		}
		if n := strings.Count(w.server.Log(t), "Connection from "); n >= len(all) {
			t.Errorf("%d connections for %d commands that failed alike", n, len(all))
		}
	})
}

// TestWarmPath counts the processes of ssh: a warm command starts none, or
// where it is to, one, and asks nobody what the configuration means.
func TestWarmPath(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		log := w.root + "/ssh.log"
		w.script(w.root+"/ssh", `{ for a do printf '%s|' "$a"; done; echo; } >>`+log+`
exec ssh "$@"`)
		w.env = append(w.env, "BIVY_SSH="+w.root+"/ssh")
		w.wants(0, "new", "ws", "--host", "gpu1")
		if text := w.read(log); !strings.Contains(text, "-G|") {
			t.Errorf("the wrapper was not asked for the configuration: %s", text)
		}
		session := 0
		if throughSSH() {
			session = 1
		}
		for _, args := range [][]string{
			{"exec", "ws", "--", "true"}, {"exec", "--host", "gpu1", "-c", "true"}, {"status", "ws"}, {"new", "ws2", "--host", "gpu1"}, {"fork", "ws", "ws3"},
		} {
			w.write(log, "")
			w.wants(0, args...)
			lines := slices.Collect(strings.Lines(w.read(log)))
			if len(lines) != session {
				t.Errorf("bivy %q starts ssh %d times, want %d: %q", args, len(lines), session, lines)
			}
			for _, line := range lines {
				if strings.Contains(line, "-G|") || !strings.Contains(line, "-F|none|") || !strings.Contains(line, "ProxyCommand=false|") {
					t.Errorf("bivy %q starts ssh with %s", args, line)
				}
			}
		}
		// A touched configuration costs one question and no login.
		w.append(w.config, "# nothing\n")
		w.write(log, "")
		w.wants(0, "exec", "ws", "--", "true")
		if text := w.read(log); strings.Count(text, "\n") != 1+session || strings.Count(text, "-G|") != 1 {
			t.Errorf("after a touch of the configuration: %s", text)
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

// TestAllSessionsBusy: who will not wait is told that the host is full.
func TestAllSessionsBusy(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		var all []*running
		for i := range 8 {
			all = append(all, w.start(w.spec("exec", "--host", "gpu1", "-c", fmt.Sprintf(": >up%d; while [ ! -e go ]; do sleep 0.05; done", i))))
		}
		for i := range all {
			w.eventually("the command runs", func() bool { return exists(fmt.Sprintf("%s/up%d", w.remote, i)) })
		}
		got := w.bivy("exec", "--host", "gpu1", "--wait-host", "0s", "--result", w.root+"/receipt", "--json", "--", "true")
		if got.code != 93 || !strings.Contains(got.stderr, `"class":"host_lacks"`) {
			t.Errorf("with all sessions busy: %v", got)
		}
		w.wantReceipt(w.root+"/receipt", map[string]any{"state": "never_started", "class": "host_lacks", "code": nil})
		// Who waits gets the session of the first that ends.
		last := w.start(w.spec("exec", "--host", "gpu1", "--", "echo", "at last"))
		w.write(w.remote+"/go", "")
		for _, b := range append(all, last) {
			if got := b.wait(); got.code != 0 {
				t.Errorf("a command that was to wait or to run gives %v", got)
			}
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

// TestFloodIsCutOff: a reader that goes away while the command floods it does
// not make us wait for the grace that stubborn commands get.
func TestFloodIsCutOff(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "host", "connect", "gpu1")
		r, stdout, err := os.Pipe()
		w.must(err)
		s := w.spec("exec", "--host", "gpu1", "--", "yes")
		s.Stdout = stdout
		b := w.start(s)
		w.must(stdout.Close())
		if _, err := r.Read(make([]byte, 2)); err != nil {
			t.Error(err)
		}
		began := time.Now()
		w.must(r.Close())
		if got := b.wait(); got.code != 141 || got.stderr != "" {
			t.Errorf("bivy exec -- yes | head -1 gives %v", got)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("bivy exec -- yes | head -1 ends %s after its reader", took)
		}
		w.goneThere()
	})
}
