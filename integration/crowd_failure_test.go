package integration

import (
	"fmt"
	"strings"
	"testing"

	"bivy/integration/link"
	"bivy/integration/sshdtest"
)

// countingSSH makes a wrapper of ssh that bivy uses, and returns what counts
// the logins that were tried.
func (w *world) countingSSH() (tries func() int) {
	log := w.root + "/tries"
	w.write(log, "")
	w.script(w.root+"/ssh", `case " $* " in *" -G "*|*" -V "*) ;; *" ControlMaster=yes "*) echo try >>`+log+` ;; esac
exec ssh "$@"`)
	w.env = append(w.env, "BIVY_SSH="+w.root+"/ssh")
	return func() int { return strings.Count(w.read(log), "try\n") }
}

// atOnce runs so many commands on a host and wants all to end alike.
func (w *world) atOnce(n, code int, words ...string) {
	w.tb.Helper()
	all := make([]*running, n)
	for i := range all {
		all[i] = w.start(w.spec("exec", "--host", "bad", "-c", fmt.Sprintf("echo %d", i)))
	}
	for _, b := range all {
		w.says(b.wait(), code, words...)
	}
}

// TestWrongKeyIsTriedOnce: more attempts may lock an account.
func TestWrongKeyIsTriedOnce(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{}, func(t *testing.T, w *world) {
		tries := w.countingSSH()
		key := w.root + "/key"
		w.write(key, w.read(w.server.NewKey(t)))
		w.hostBlock("bad", "IdentityFile "+key)
		w.atOnce(10, 91, "Permission denied (publickey)", "bivy host connect bad")
		if n, m := strings.Count(w.server.Log(t), "Connection from "), tries(); n != 1 || m != 1 {
			t.Errorf("%d connections, %d logins tried, want 1", n, m)
		}
		w.atOnce(3, 91, "Permission denied (publickey)", "not tried again", "bivy host connect bad")
		got := w.bivy("exec", "--host", "bad", "--json", "--", "true")
		w.says(got, 91, `"class":"auth"`, "not tried again")
		if n := tries(); n != 1 {
			t.Errorf("%d logins tried, want 1", n)
		}
		// Who asks on purpose is not put off, and neither is anybody after that.
		got = w.bivy("host", "connect", "bad")
		w.says(got, 91, "Permission denied")
		if n := tries(); n != 2 || strings.Contains(got.stderr, "not tried again") {
			t.Errorf("%d logins tried, want 2: %v", n, got)
		}
		w.write(key, w.read(w.server.KeyFile))
		w.wants(0, "host", "connect", "bad")
		w.atOnce(3, 0)
		if n := tries(); n != 3 {
			t.Errorf("%d logins tried, want 3", n)
		}
	})
}

// TestRefusedIsShared: while nobody listens, all processes together try as
// often as one would.
func TestRefusedIsShared(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{}, func(t *testing.T, w *world) {
		tries := w.countingSSH()
		l := link.Start(t, w.server.Addr)
		w.server.HostAt(t, "bad", l.Addr())
		l.Refuse()
		w.env = append(w.env, "BIVY_WAIT_HOST=0s")
		w.atOnce(10, 90, "Connection refused")
		if n := tries(); n != 1 {
			t.Errorf("%d logins tried, want 1", n)
		}
		w.says(w.bivy("exec", "--host", "bad", "--", "true"), 90, "Connection refused")
		l.Restore()
		// Who has patience waits for the end of the back-off, and is let in.
		w.env = append(w.env, "BIVY_WAIT_HOST=30s")
		w.atOnce(5, 0)
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}
