package sshcmd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
)

// server is a real sshd that a ProxyCommand starts for each connection, with
// its own keys: no port, no service, no root.
type server struct {
	dir string
	// user are the options that reach it.
	user User
}

const sshdPath = "/usr/sbin/sshd"

func newServer(t *testing.T, more string) server {
	t.Helper()
	require := os.Getenv("BIVY_REQUIRE_SSHD") == "1"
	if _, err := os.Stat(sshdPath); err != nil && !require {
		// Without sshd there is nothing to ask; CI sets BIVY_REQUIRE_SSHD=1.
		t.Skip("no sshd here")
	}
	if _, err := os.Stat("/run/sshd"); err != nil && os.Getuid() == 0 && !require {
		// sshd as root refuses to start without this directory, which its
		// service makes, and which a test has no business to make.
		t.Skip("no /run/sshd here")
	}
	dir, err := os.MkdirTemp("/tmp", "bivy-") //nolint:usetesting // t.TempDir may be too long for a control socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, key := range []string{"host", "id", "wrong"} {
		if got := run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)); got.code != 0 {
			t.Fatalf("ssh-keygen: %s", got.stderr)
		}
	}
	public := func(key string) string {
		text, err := os.ReadFile(filepath.Join(dir, key+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write(t, filepath.Join(dir, "authorized"), public("id"))
	write(t, filepath.Join(dir, "known"), "h "+public("host"))
	write(t, filepath.Join(dir, "changed"), "# a comment\nh "+public("wrong"))
	conf := write(t, filepath.Join(dir, "sshd_config"), "HostKey "+dir+"/host\nAuthorizedKeysFile "+dir+"/authorized\n"+
		"StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"+
		"Subsystem sftp internal-sftp\n"+more)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return server{dir, User{ConfigFile: "none", Options: []string{
		"ProxyCommand=" + QuoteAll([]string{sshdPath, "-i", "-E", dir + "/sshd.log", "-f", conf}), "HostKeyAlias=h", "User=" + me.Username,
		"IdentitiesOnly=yes", "IdentityAgent=none", "GlobalKnownHostsFile=none",
	}}}
}

func (s server) master(t *testing.T, path string, options ...string) Master {
	t.Helper()
	u := s.user
	u.Options = append(append(options, u.Options...), "IdentityFile="+s.dir+"/id", "UserKnownHostsFile="+s.dir+"/known")
	return Master{SSH: []string{"ssh"}, Host: "h", ControlPath: path, Batch: true, Features: known(t), User: u}
}

// up starts a master and waits until it answers. The returned function ends
// it, waits, and returns its words.
func up(t *testing.T, m Master) (end func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	words := new(bytes.Buffer)
	p, err := proc.Start(ctx, proc.Spec{Args: m.Args(), Stderr: words, Env: plainEnv(t), Isolation: proc.Session})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Wait() // how it ends is what each test asks by its words
	}()
	t.Cleanup(func() { cancel(); <-done })
	for run(t, Control{SSH: m.SSH, ControlPath: m.ControlPath, Op: "check"}.Args()...).code != 0 {
		select {
		case <-done:
			t.Fatalf("the master ended: %s", words)
		default:
		}
	}
	return func() string {
		run(t, Control{SSH: m.SSH, ControlPath: m.ControlPath, Op: "exit"}.Args()...)
		<-done
		return words.String()
	}
}

// Every kind of warm invocation works over a socket whose path holds all that
// ControlPathOK allows.
func TestWarmInvocations(t *testing.T) {
	s := newServer(t, "MaxSessions 1\n")
	dir := filepath.Join(s.dir, "a 50%h # it's $HOME")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	socket, ssh := filepath.Join(dir, "s"), []string{"ssh"}
	if err := ControlPathOK(socket, "linux"); err != nil {
		t.Fatal(err)
	}
	end := up(t, s.master(t, socket))

	log := filepath.Join(dir, "log %h")
	session := Session{SSH: ssh, ControlPath: socket, Log: log, Command: "echo out; echo err >&2; env | grep -c '^BIVY=1$'; exit 255"}
	got := run(t, session.Args()...)
	// sshd takes our SetEnv only where AcceptEnv allows it, so none arrives.
	if want := (result{255, "out\n0\n", "err\n"}); got != want {
		t.Errorf("session = %+v, want %+v", got, want)
	}
	if words, err := os.ReadFile(log); err != nil || len(words) != 0 {
		t.Errorf("log of a session whose command exits with 255: %q, %v", words, err)
	}
	got = run(t, Session{SSH: ssh, ControlPath: socket, Log: log, TTY: true, Command: "test -t 0 && tty"}.Args()...)
	if !known(t).ForkAfterAuthentication {
		// Older releases (8.4) say it at every level but QUIET.
		got.stderr = strings.TrimSuffix(got.stderr, "Shared connection to "+PlaceholderHost+" closed.\r\n")
	}
	if got.code != 0 || !strings.HasPrefix(got.stdout, "/dev/") || got.stderr != "" {
		t.Errorf("session with a terminal = %+v", got)
	}

	source := write(t, filepath.Join(dir, "x:y"), "content")
	target := filepath.Join(s.dir, "copied")
	cp := Copy{SCP: []string{"scp"}, ControlPath: socket, Sources: []string{LocalOperand(source)}, Target: RemoteOperand(target)}
	if got := run(t, cp.Args()...); got.code != 0 {
		t.Errorf("scp = %+v", got)
	}
	if text, err := os.ReadFile(target); err != nil || string(text) != "content" {
		t.Errorf("copied file: %q, %v", text, err)
	}
	cp.Sources = []string{LocalOperand(filepath.Join(dir, "missing"))}
	if got := run(t, cp.Args()...); got.code == 0 || !strings.Contains(got.stderr, "No such file or directory") {
		t.Errorf("scp of a missing file = %+v", got)
	}
	testGit(t, s.dir, GitCommand(ssh, socket))
	testRefused(t, session)

	words := end()
	if e := Classify("h", 255, words); e.Class != ClassNone {
		t.Errorf("a master that was told to exit: class %q, %q", e.Class, words)
	}
	if got := run(t, cp.Args()...); got.code != 255 || ClassifySession("h", got.code, got.stderr).Class != ClassMux {
		t.Errorf("scp without a master = %+v", got)
	}
}

// git fetches over the master with any host in the URL.
func testGit(t *testing.T, dir, command string) {
	t.Helper()
	if got := run(t, "git", "init", "-q", "--bare", dir+"/repo"); got.code != 0 {
		t.Fatalf("git init: %+v", got)
	}
	got := run(t, "git", "-c", "core.sshCommand="+command, "-c", "ssh.variant=ssh", "ls-remote", "ssh://"+PlaceholderHost+dir+"/repo")
	if got.code != 0 || got.stdout != "" {
		t.Errorf("git ls-remote of an empty repository = %+v", got)
	}
}

// While one session holds the only place, the next is refused and nothing
// runs.
func testRefused(t *testing.T, session Session) {
	t.Helper()
	holdIn, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, readyOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	first := session
	first.Log, first.Command = session.Log+"-1", "echo; cat"
	p, err := proc.Start(t.Context(), proc.Spec{Args: first.Args(), Stdin: holdIn, Stdout: readyOut, Isolation: proc.Session})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	session.Log, session.Command = session.Log+"-2", "echo ran"
	got := run(t, session.Args()...)
	words, _ := os.ReadFile(session.Log)
	e := ClassifySession("h", got.code, string(words))
	if got.code != 255 || got.stdout != "" || e.Class != ClassMuxRefused {
		t.Errorf("second session of one = %+v, class %q, log %q", got, e.Class, words)
	}
	if plain := Classify("h", got.code, string(words)); plain.Class != ClassMuxRefused {
		t.Errorf("Classify says %q of %q", plain.Class, words)
	}
	for _, f := range []*os.File{hold, holdIn, readyOut, ready} {
		_ = f.Close()
	}
	if _, err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestLoginFailures(t *testing.T) {
	s := newServer(t, "MaxAuthTries 1\n")
	for _, tc := range []struct {
		name   string
		option string
		class  Class
		line   string
	}{
		{"wrong key", "IdentityFile=" + s.dir + "/wrong", ClassAuth, "Too many authentication failures"},
		{"no key", "PubkeyAuthentication=no", ClassAuth, "Permission denied ("},
		{"unknown host", "UserKnownHostsFile=none", ClassHostKeyUnknown, "Host key verification failed."},
		{"unknown host, strict", "StrictHostKeyChecking=yes", ClassHostKeyUnknown, "No ED25519 host key is known for "},
		{"changed host", "UserKnownHostsFile=" + s.dir + "/changed", ClassHostKeyChanged, "Offending ED25519 key in " + s.dir + "/changed:2"},
		{"no common cipher", "Ciphers=aes128-cbc", ClassCrypto, "no matching cipher found"},
		{"no directory for the socket", "Compression=no", ClassMux, "unix_listener: cannot bind to path /nonexistent/s."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			options := []string{tc.option}
			if strings.HasPrefix(tc.option, "Strict") {
				// With "none" ssh does not even say this much.
				options = append(options, "UserKnownHostsFile="+s.dir+"/empty")
			}
			got := run(t, s.master(t, "/nonexistent/s", options...).Args()...)
			e := Classify("h", got.code, got.stderr)
			if got.code != 255 || e.Class != tc.class || !strings.Contains(e.Line, tc.line) {
				t.Errorf("status %d, class %q, line %q\nwant 255, %q, …%q…\nall words: %q", got.code, e.Class, e.Line, tc.class, tc.line, got.stderr)
			}
			jumped := Classify("h", got.code, got.stderr+proxyEnd)
			if jumped.Class != e.Class || jumped.Line != e.Line {
				t.Errorf("the same from a jump host: class %q, line %q", jumped.Class, jumped.Line)
			}
		})
	}
}

// A server that falls silent, and one that dies. The command notes the pid of
// its sshd first: a stopped one would never end by itself.
func TestLostConnections(t *testing.T) {
	s := newServer(t, "")
	for _, tc := range []struct {
		name, signal string
		class        Class
	}{
		{"dies", "KILL", ClassConnectionLost},
		{"is silent", "STOP", ClassAliveTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			note := filepath.Join(s.dir, tc.signal)
			t.Cleanup(func() { killNoted(t, note) })
			// Not over a master: the words are those of the connection's owner.
			m := s.master(t, "none", "ServerAliveInterval=1", "ServerAliveCountMax=1")
			args := append([]string{"ssh", "-T", "-o", "BatchMode=yes"}, m.User.args()...)
			got := run(t, append(args, "--", "h", "echo $PPID >"+note+"; kill -"+tc.signal+" $PPID")...)
			if e := Classify("h", got.code, got.stderr); got.code != 255 || e.Class != tc.class {
				t.Errorf("status %d, class %q, words %q; want class %q", got.code, e.Class, got.stderr, tc.class)
			}
		})
	}
}

func killNoted(t *testing.T, note string) {
	t.Helper()
	text, err := os.ReadFile(note)
	if err != nil {
		t.Errorf("the command did not run: %v", err)
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		t.Errorf("the command noted the pid %q", text)
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
}
