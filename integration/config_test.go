package integration

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// TestNastyHost: everything that a Host block can do to a session is without
// effect; the session works. For sshd only, since it grants what is asked for:
// an agent, variables, forwards.
func TestNastyHost(t *testing.T) {
	onSSHD(t, hostOptions{Extra: []string{"AcceptEnv *", "AllowAgentForwarding yes", "PermitTunnel yes"}}, func(t *testing.T, w *world) {
		port := freePort(w)
		agent, err := net.Listen("unix", w.root+"/agent") //nolint:noctx // a local bind does not wait
		w.must(err)
		t.Cleanup(func() { _ = agent.Close() })
		go func() { // ends with the listener
			for {
				conn, err := agent.Accept()
				if err != nil {
					return
				}
				_ = conn.Close()
			}
		}()
		w.env = append(w.env, "SSH_AUTH_SOCK="+w.root+"/agent", "CANARY_VARIABLE=CANARY")
		w.hostBlock("nasty",
			"RemoteCommand touch "+w.remote+"/remote-command", fmt.Sprintf("LocalForward 127.0.0.1:%d 127.0.0.1:%d", port, w.server.Port),
			fmt.Sprintf("DynamicForward 127.0.0.1:%d", port), fmt.Sprintf("RemoteForward %d 127.0.0.1:%d", port, w.server.Port),
			"RequestTTY force", "ForwardAgent yes", "PermitLocalCommand yes", "LocalCommand touch "+w.root+"/local-command",
			"SendEnv *", "SetEnv FOO=CANARY", "Tunnel point-to-point", "GSSAPIDelegateCredentials yes", "ForkAfterAuthentication yes",
			"ControlMaster auto", "ControlPath "+w.root+"/own-socket", "ControlPersist 10m", "LogLevel QUIET", "StdinNull yes", "SessionType none",
			"VisualHostKey yes", "EscapeChar x", "ForwardX11 yes", "BatchMode no", "ExitOnForwardFailure yes")
		w.wants(0, "new", "ws", "--host", "nasty")
		got := w.wants(0, "exec", "ws", "-c", `env; test ! -t 0; test ! -t 1 && echo no-terminal; ls -a ~`)
		for _, bad := range []string{"CANARY", "SSH_AUTH_SOCK", "SSH_TTY", "FOO=", "DISPLAY"} {
			if strings.Contains(got.stdout, bad) {
				t.Errorf("the command on the nasty host sees %s: %s", bad, got.stdout)
			}
		}
		if !strings.Contains(got.stdout, "no-terminal") || got.stderr != "" {
			t.Errorf("the command on the nasty host gives %v", got)
		}
		for _, path := range []string{w.remote + "/remote-command", w.root + "/local-command", w.root + "/own-socket"} {
			if exists(path) {
				t.Errorf("%s is there", path)
			}
		}
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil { //nolint:noctx // nobody listens, or at once
			_ = conn.Close()
			t.Errorf("a forward listens on port %d", port)
		}
		// What was started stays ours: ssh has not gone into the background.
		w.wants(0, "status", "ws")
		s := w.spec("exec", "ws", "-i", "--", "cat")
		s.Stdin = strings.NewReader("x~.\nabc\x00")
		if got := w.run(s); got.stdout != "x~.\nabc\x00" || got.code != 0 {
			t.Errorf("stdin on the nasty host gives %v", got)
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
		// LogLevel QUIET does not hide why a login fails.
		w.hostBlock("quiet", "LogLevel QUIET", "IdentityFile "+w.server.NewKey(t))
		if got := w.wants(91, "exec", "--host", "quiet", "--", "true"); !strings.Contains(got.stderr, "Permission denied") {
			t.Errorf("a wrong key with LogLevel QUIET gives %v", got)
		}
	})
}

func freePort(w *world) int {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a local bind does not wait
	w.must(err)
	defer l.Close() //nolint:errcheck // nothing was sent
	return l.Addr().(*net.TCPAddr).Port
}

// TestNastySandbox is what of the above needs no sshd.
func TestNastySandbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	w.hostBlock("nasty", "RemoteCommand touch remote-command", "RequestTTY force", "ForwardAgent yes", "PermitLocalCommand yes",
		"LocalCommand touch "+w.root+"/local-command", "SendEnv *", "SetEnv LANG=CANARY", "ForkAfterAuthentication yes",
		"ControlMaster auto", "ControlPath "+w.root+"/own-socket", "LogLevel QUIET", "SessionType none")
	w.wants(0, "new", "ws", "--host", "nasty")
	if got := w.wants(0, "exec", "ws", "-c", "test -t 0 || env"); strings.Contains(got.stdout, "CANARY") {
		t.Errorf("the command sees the variable: %v", got)
	}
	for _, path := range []string{w.remote + "/remote-command", w.root + "/local-command", w.root + "/own-socket"} {
		if exists(path) {
			t.Errorf("%s is there", path)
		}
	}
}

// TestRoutes: what leads to a host takes effect. For sshd only, since the
// sandbox has one way in.
func TestRoutes(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		port, key := fmt.Sprint(w.server.Port), w.server.KeyFile
		hostKey := strings.TrimPrefix(w.read(w.server.Dir+"/known_hosts"), "[127.0.0.1]:"+port+" ")
		w.write(w.root+"/aliased", "another-name "+hostKey)
		w.script(w.root+"/through", `echo "$@" >>`+w.root+`/proxied; exec ssh -F "$BIVY_SSH_CONFIG" -W "$1:$2" gpu1`)
		w.hostBlock("inner", "ProxyJump gpu1")
		w.hostBlock("proxied", "ProxyCommand "+w.root+"/through %h %p")
		w.hostBlock("aliased", "HostKeyAlias another-name", "UserKnownHostsFile "+w.root+"/aliased")
		w.hostBlock("unaliased", "UserKnownHostsFile "+w.root+"/aliased")
		common := "\tHostName 127.0.0.1\n\tUser " + w.account() + "\n\tIdentitiesOnly yes\n\tGlobalKnownHostsFile none\n\tUserKnownHostsFile " +
			w.server.Dir + "/known_hosts\n"
		w.write(w.root+"/more_config", "Host included\n\tPort "+port+"\n\tIdentityFile "+key+"\n"+common)
		w.append(w.config, "Match originalhost matched exec \"test -e "+w.root+"/flag\"\n\tPort "+port+"\n"+
			"Host matched\n\tPort 1\n\tIdentityFile "+key+"\n"+common+"Host *\n\tInclude "+w.root+"/more_config\n")

		for _, host := range []string{"inner", "proxied", "aliased", "included"} {
			before := w.logins()
			if got := w.bivy("exec", "--host", host, "--", "echo", host); got.code != 0 || got.stdout != host+"\n" {
				t.Errorf("%s gives %v", host, got)
			}
			want := map[string]int{"inner": 2, "proxied": 2}[host]
			if n := w.logins() - before; n != max(want, 1) {
				t.Errorf("%s takes %d logins, want %d", host, n, max(want, 1))
			}
		}
		if text := w.read(w.root + "/proxied"); text != "127.0.0.1 "+port+"\n" {
			t.Errorf("the ProxyCommand was called with %q", text)
		}
		w.wants(92, "exec", "--host", "unaliased", "--", "true")
		w.wants(90, "exec", "--host", "matched", "--", "true")
		w.write(w.root+"/flag", "")
		w.wants(0, "exec", "--host", "matched", "--", "true")
		// The command line's own ssh options take effect, too.
		w.wants(90, "exec", "--host", "gpu1", "-o", "Port=1", "--", "true")
		w.wants(91, "exec", "--host", "gpu1", "-o", "User=nobody-of-that-name", "--", "true")
		w.write(w.root+"/other_config", "Host gpu1\n\tProxyCommand sh -c 'echo other configuration >&2'\n")
		if got := w.wants(90, "exec", "--host", "gpu1", "--ssh-config", w.root+"/other_config", "--", "true"); !strings.Contains(got.stderr, "other configuration") {
			t.Errorf("with --ssh-config: %v", got)
		}
	})
}

// account is the user that the server lets in.
func (w *world) account() string {
	got := w.run(proc.Spec{Args: []string{"id", "-un"}, Env: os.Environ()})
	return strings.TrimSpace(got.stdout)
}
