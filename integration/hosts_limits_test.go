package integration

import (
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/link"
	"bivy/integration/sshdtest"
)

// TestMaxSessions has more commands than the host takes sessions.
func TestMaxSessions(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 10} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			onServer(t, sshdtest.Start, sshdtest.Options{MaxSessions: n}, func(t *testing.T, w *world) {
				// A second login, which a second in line is worth on a busy
				// machine, is not for those who have an askpass.
				w.env = append(w.env, "SSH_ASKPASS=/none", "DISPLAY=:none")
				w.allRight(12)
				w.basics()
				if n := w.logins(); n != 1 {
					t.Errorf("%d logins, want 1", n)
				}
				w.cancels()
				if n == 1 {
					oneSession(t, w)
				} else {
					w.cancels("-i")
				}
				w.cancels("-t")
			})
		})
	}
}

// oneSession: what a guardian would be needed for is not promised on a host
// that has no session for it, and bivy says so. The end of its input is all
// that such a command gets, and that is not the end of what was to be sent.
func oneSession(t *testing.T, w *world) {
	t.Helper()
	for _, c := range []struct {
		name, script string
		words        []string
	}{
		{"deaf", "while [ ! -e go ]; do sleep 0.05; done; cat >/dev/null", []string{"canceled", "did not confirm", "one session at a time"}},
		{"reads", "cat >/dev/null", []string{"canceled"}},
	} {
		r, stdin, err := os.Pipe()
		w.must(err)
		file := w.root + "/receipt"
		s := w.spec("exec", "--host", "gpu1", "-i", "--result", file, "-c", ": >on-"+c.name+"; "+c.script+"; : >over-"+c.name)
		s.Stdin = r
		b := w.start(s)
		w.eventually("the command runs", func() bool { return exists(w.remote + "/on-" + c.name) })
		w.must(b.process.Signal(syscall.SIGINT))
		w.says(b.wait(), 96, c.words...)
		w.must(stdin.Close())
		w.must(r.Close())
		w.wantReceipt(file, map[string]any{"state": "canceled", "class": "canceled"})
		w.write(w.remote+"/go", "")
		w.eventually("the command has read the end of its input", func() bool { return exists(w.remote + "/over-" + c.name) })
	}
}

// TestNoSession: a host that gives none says so precisely.
func TestNoSession(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{Extra: []string{"MaxSessions 0"}}, func(t *testing.T, w *world) {
		got := w.bivy("exec", "--host", "gpu1", "--wait-host", "1s", "--result", w.root+"/receipt", "--", "true")
		w.says(got, 93, "gpu1 refuses every session", "MaxSessions")
		w.wantReceipt(w.root+"/receipt", map[string]any{"state": "never_started", "class": "host_lacks"})
		if strings.Contains(got.stderr, "end something that runs there") {
			t.Errorf("the hint does not fit a host where nothing runs: %v", got)
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

// TestForwardingForbidden: bivy needs none.
func TestForwardingForbidden(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{Extra: []string{"AllowTcpForwarding no", "DisableForwarding yes"}}, func(_ *testing.T, w *world) {
		w.basics()
		w.cancels("-i")
	})
}

// TestTerminalForbidden: all but -t works, and -t says what is forbidden.
func TestTerminalForbidden(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{Extra: []string{"PermitTTY no"}}, func(_ *testing.T, w *world) {
		w.basics()
		got := w.bivy("exec", "--host", "gpu1", "-t", "--result", w.root+"/receipt", "--", "true")
		w.says(got, 93, "gpu1 gave no terminal", "PermitTTY", "without -t")
		w.wantReceipt(w.root+"/receipt", map[string]any{"state": "never_started", "class": "host_lacks"})
		w.basics()
	})
}

// TestForcedCommand: a host that runs something else says what that said.
func TestForcedCommand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options sshdtest.Options
		words   []string
	}{
		"speaks":  {sshdtest.Options{ForceCommand: "echo only backups here; exit 3"}, []string{"status 3", "it said: only backups here"}},
		"stderr":  {sshdtest.Options{ForceCommand: "echo interactive shell is not enabled >&2; exit 128"}, []string{"status 128", "it said: interactive shell is not enabled"}},
		"silent":  {sshdtest.Options{ForceCommand: "exit 0"}, []string{"status 0"}},
		"nologin": {sshdtest.Options{LoginShell: "false"}, []string{"status 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			onServer(t, sshdtest.Start, c.options, func(_ *testing.T, w *world) {
				for _, flag := range []string{"-q", "-i", "-t"} {
					got := w.bivy("exec", "--host", "gpu1", flag, "--result", w.root+"/receipt", "-c", ": >ran")
					w.says(got, 93, append(c.words, "gpu1 did not start /bin/sh for us", "nothing was run")...)
					w.wantReceipt(w.root+"/receipt", map[string]any{"state": "never_started", "class": "host_lacks"})
				}
				if exists(w.remote + "/ran") {
					t.Error("the command ran")
				}
			})
		})
	}
}

// TestSlowLogin: many processes at once make one login, however long it takes.
func TestSlowLogin(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{}, func(t *testing.T, w *world) {
		l := link.Start(t, w.server.Addr)
		l.Setup(3 * time.Second)
		w.server.HostAt(t, "far", l.Addr())
		all := make([]*running, 8)
		for i := range all {
			all[i] = w.start(w.spec("exec", "-q", "--host", "far", "--", "echo", strconv.Itoa(i)))
		}
		for i, b := range all {
			if got := b.wait(); got != (result{0, strconv.Itoa(i) + "\n", ""}) {
				t.Errorf("command %d gives %v", i, got)
			}
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

// TestThrottled: a host that turns new connections away is tried again, and a
// little later.
func TestThrottled(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{MaxStartups: "1:100:1"}, func(t *testing.T, w *world) {
		// Somebody else has connected and does not log in.
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.server.Addr)
		w.must(err)
		defer conn.Close() //nolint:errcheck // nothing was said
		w.eventually("sshd has a process for it", func() bool { return len(w.server.Connections()) == 1 })
		all := make([]*running, 4)
		for i := range all {
			all[i] = w.start(w.spec("exec", "-q", "--host", "gpu1", "--", "true"))
		}
		w.eventually("sshd has turned one away", func() bool { return strings.Contains(w.server.Log(t), "past MaxStartups") })
		w.must(conn.Close())
		for i, b := range all {
			if got := b.wait(); got != (result{}) {
				t.Errorf("command %d gives %v", i, got)
			}
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
		// Who will not wait is told why.
		w.wants(0, "host", "close", "gpu1")
		conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", w.server.Addr)
		w.must(err)
		defer conn.Close() //nolint:errcheck // nothing was said
		w.eventually("sshd has a process for it", func() bool { return len(w.server.Connections()) == 1 })
		w.says(w.bivy("exec", "--host", "gpu1", "--wait-host", "0s", "--", "true"), 90, "closed the connection before the login", "MaxStartups")
	})
}

// TestUserMaster: sessions go over the user's own connection, which bivy never
// closes.
func TestUserMaster(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{}, func(t *testing.T, w *world) {
		socket := w.root + "/own"
		w.hostBlock("own", "ControlPath "+socket, "ControlMaster no")
		s := w.spec()
		s.Args = []string{"ssh", "-F", w.config, "-M", "-N", "own"}
		master := w.start(s)
		w.eventually("the user's master is there", func() bool { return exists(socket) })
		w.env = append(w.env, "BIVY_USER_MASTER=1")
		for _, c := range []string{"0", "7"} {
			if got := w.bivy("exec", "--host", "own", "-c", "echo out; exit "+c); strconv.Itoa(got.code) != c || got.stdout != "out\n" {
				t.Errorf("over the user's master: %v", got)
			}
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want the user's", n)
		}
		w.says(w.bivy("host", "close", "own"), 81, "your own master", "ssh -O exit own")
		w.wants(0, "exec", "--host", "own", "--", "true")
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want the user's", n)
		}
		w.must(master.process.Signal(syscall.SIGTERM))
		master.wait()
	})
}
