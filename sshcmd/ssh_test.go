package sshcmd

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/exec/proc"
	"bivy/internal/leak"
)

// The tests in this file ask the installed ssh. It connects to nothing but
// 127.0.0.1 and reads no configuration but ours.

type result struct {
	code           int
	stdout, stderr string
}

// run runs a program without terminal, agent and stdin, in the C locale.
func run(t *testing.T, args ...string) result {
	t.Helper()
	var out, words bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{Args: args, Stdout: &out, Stderr: &words, Env: plainEnv(t), Isolation: proc.Session})
	var missing *proc.NotFoundError
	if errors.As(err, &missing) {
		t.Fatalf("the tests need an OpenSSH client: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return result{exit.Code, out.String(), words.String()}
}

func plainEnv(t *testing.T) []string {
	t.Helper()
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C", "USER=nobody", leak.Mark()}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The user's block wants everything that bivy fixes, and some things that
// must stay.
const greedyConfig = `Host alias other
  HostName 127.0.0.9
  User ann
  Port 2222
  ProxyCommand nc %h %p
  IdentityFile /k/one
  HostKeyAlias name
  ConnectTimeout 7
  RemoteCommand evil
  LocalForward 1234 localhost:1
  RemoteForward 1235 localhost:1
  DynamicForward 1236
  RequestTTY force
  ForwardAgent yes
  ForwardX11 yes
  PermitLocalCommand yes
  LocalCommand evil
  SetEnv EVIL=1
  Tunnel yes
  GSSAPIDelegateCredentials yes
  ForkAfterAuthentication yes
  SessionType default
  StdinNull no
  ControlMaster auto
  ControlPath /tmp/user-%C
  ControlPersist 10m
  LogLevel QUIET
  ServerAliveInterval 99
  BatchMode no
`

// greedy is that configuration for this ssh.
func greedy(t *testing.T) (text string, f Features) {
	t.Helper()
	f, text = known(t), greedyConfig
	if !f.ForkAfterAuthentication {
		// Older releases do not know all of these options.
		t.Skip("this ssh is older than 8.7")
	}
	if f.NoGSSAPI {
		text = strings.Replace(text, "  GSSAPIDelegateCredentials yes\n", "", 1)
	}
	return text, f
}

func TestMasterOptionsWin(t *testing.T) {
	text, f := greedy(t)
	config := write(t, filepath.Join(t.TempDir(), "config"), text)
	m := Master{
		SSH: []string{"ssh", "-G"}, Host: "alias", ControlPath: "/tmp/50%/$HOME/it's", Batch: true, Features: f,
		User: User{ConfigFile: config, Options: []string{"Compression=yes", "ServerAliveCountMax 9"}},
	}
	got := run(t, m.Args()...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("ssh -G: status %d, %q", got.code, got.stderr)
	}
	c := ParseConfig([]byte(got.stdout))
	delegates := "no"
	if f.NoGSSAPI {
		delegates = "" // it has no such option
	}
	for key, want := range map[string]string{
		"clearallforwardings": "yes", "tunnel": "false", "permitlocalcommand": "no", "remotecommand": "", "requesttty": "false",
		"gssapidelegatecredentials": delegates, "forkafterauthentication": "no", "setenv": "BIVY=1", "forwardagent": "no", "forwardx11": "no",
		"localforward": "", "remoteforward": "", "dynamicforward": "", "sessiontype": "none", "stdinnull": "yes",
		"controlmaster": "true", "controlpath": "/tmp/50%/$HOME/it's", "controlpersist": "no", "loglevel": "INFO",
		"serveraliveinterval": "15", "batchmode": "yes",
		// These are the user's.
		"hostname": "127.0.0.9", "user": "ann", "port": "2222", "proxycommand": "nc %h %p", "identityfile": "/k/one",
		"hostkeyalias": "name", "connecttimeout": "7", "compression": "yes", "serveralivecountmax": "9",
	} {
		if diff := cmp.Diff(want, strings.Join(c.All(key), "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

// Every option that CheckOption calls fixed is one that ssh knows, so that a
// slip of the pen here does not let it through.
func TestFixedOptionsExist(t *testing.T) {
	v, _ := ParseVersion(run(t, "ssh", "-V").stderr)
	if !v.AtLeast(9, 2) {
		// Older releases do not know all of these options.
		t.Skipf("%s is older than 9.2", v.Raw)
	}
	for key := range fixed {
		got := run(t, "ssh", "-F", "none", "-o", key+"=\x01", "-V")
		if strings.Contains(got.stderr, "Bad configuration option") {
			t.Errorf("ssh does not know %s: %q", key, got.stderr)
		}
	}
}

func TestEffectiveConfig(t *testing.T) {
	dir := t.TempDir()
	included := write(t, filepath.Join(dir, "an é file"), "Host other\n  Compression yes\n")
	text, f := greedy(t)
	config := write(t, filepath.Join(dir, "config"), text+"Match all\n  Include \""+included+"\"\n")
	ask := func(m Master) (Config, []string) {
		m.SSH, m.User.ConfigFile, m.Features = []string{"ssh"}, config, f
		got := run(t, m.EffectiveArgs()...)
		if got.code != 0 {
			t.Fatalf("ssh -G: status %d, %q", got.code, got.stderr)
		}
		return ParseConfig([]byte(got.stdout)), ConfigFiles([]byte(got.stderr))
	}
	alias, files := ask(Master{Host: "alias"})
	if diff := cmp.Diff([]string{config, included}, files); diff != "" {
		t.Errorf("files that ssh read (-want +got):\n%s", diff)
	}
	if got := alias.Get("hostname"); got != "127.0.0.9" {
		t.Errorf("hostname %q", got)
	}
	if again, _ := ask(Master{Host: "alias", Batch: true, ControlPath: "/x"}); again.Digest() != alias.Digest() {
		t.Error("batch mode or the control path change the digest")
	}
	if other, _ := ask(Master{Host: "other"}); other.Digest() == alias.Digest() {
		t.Error("two hosts that differ in Compression have one digest")
	}
	if other, _ := ask(Master{Host: "other", User: User{Options: []string{"Compression=no"}}}); other.Digest() != alias.Digest() {
		t.Error("two aliases of one route have two digests")
	}
	if jump, _ := ask(Master{Host: "alias", User: User{Options: []string{"ProxyCommand=nc %n"}}}); jump.Digest() == alias.Digest() {
		t.Error("another ProxyCommand leaves the digest as it is")
	}
}

// What ParseHost lets through, ssh takes as a host, and what it refuses as
// dangerous never becomes an option.
func TestHostsOfThisSSH(t *testing.T) {
	for host, want := range map[string]string{
		"h": "|h|22", "u@h": "u|h|22", "a@b@h": "a@b|h|22", "u@::1": "u|::1|22", "ssh://h": "|h|22", "ssh://u@h:2222/": "u|h|2222",
		"ssh://h:": "|h|22", "ssh://u;x=y@h": "u|h|22", `CORP\ann@h`: `CORP\ann|h|22`,
	} {
		if _, err := ParseHost(host); err != nil {
			t.Error(err)
		}
		m := Master{SSH: []string{"ssh"}, Host: Host(host), User: User{ConfigFile: "none"}}
		said := run(t, m.EffectiveArgs()...)
		if strings.Contains(host, `\`) && strings.Contains(said.stderr, "remote username contains invalid characters") {
			continue // newer releases (10.6) refuse a backslash themselves
		}
		c := ParseConfig([]byte(said.stdout))
		got := c.Get("user") + "|" + c.Get("hostname") + "|" + c.Get("port")
		if !strings.HasSuffix(got, want) {
			t.Errorf("ssh reads %s as %s, want %s", host, got, want)
		}
	}
}

// closedPort returns a port of 127.0.0.1 on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it is only there to reserve a number
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestFailuresOfThisSSH(t *testing.T) {
	dir := t.TempDir()
	bad := write(t, filepath.Join(dir, "bad"), "Host *\n  Port abc\n  Foo bar\n")
	remote := write(t, filepath.Join(dir, "remote"), "Host *\n  RemoteCommand foo\n")
	port := closedPort(t)
	refused := "ssh: connect to host 127.0.0.1 port " + port + ": Connection refused"
	master := func(host string, options ...string) []string {
		m := Master{
			SSH: []string{"ssh"}, Host: Host(host), ControlPath: "/nonexistent/s", Batch: true, Features: known(t),
			User: User{ConfigFile: "none", Options: append(options, "UserKnownHostsFile=none", "ConnectTimeout=20")},
		}
		return m.Args()
	}
	// A proxy's shell must keep its stdout until it has spoken: ssh kills the
	// proxy as soon as that ends, and words that come later are lost.
	speak := "ProxyCommand=sh -c 'echo workspace is stopped >&2; exit 1'"
	for _, tc := range []struct {
		name  string
		args  []string
		class Class
		line  string
	}{
		{"refused", master("127.0.0.1", "Port="+port), ClassRefused, refused},
		{"jump host refused", master("h", "ProxyJump=127.0.0.1:"+port), ClassRefused, refused},
		{"proxy speaks and dies", master("h", speak), ClassProxy, "workspace is stopped"},
		{"proxy is slow", master("h", "ConnectTimeout=1", "ProxyCommand=sleep 5"), ClassBanner, "Connection timed out during banner exchange"},
		{"bad option", master("h", "Foo=1"), ClassConfig, "command-line: line 0: Bad configuration option: foo"},
		{"bad value", master("h", "Port=abc"), ClassConfig, "command-line line 0: Bad port 'abc'."},
		{"bad file", []string{"ssh", "-F", bad, "h"}, ClassConfig, bad + ": line 3: Bad configuration option: foo"},
		{"no file", []string{"ssh", "-F", dir + "/no", "h"}, ClassConfig, "Can't open user config file " + dir + "/no: No such file or directory"},
		{"remote command", []string{"ssh", "-F", remote, "h", "true"}, ClassRemoteCommand, "Cannot execute command-line and remote command."},
		{"usage", []string{"ssh", "-F", "none", "-o"}, ClassConfig, "option requires an argument -- o"},
		{"no socket", Control{SSH: []string{"ssh"}, ControlPath: dir + "/s", Op: "check"}.Args(), ClassMux, "Control socket connect(" + dir + "/s): No such file or directory"},
		{"no such operation", Control{SSH: []string{"ssh"}, ControlPath: dir + "/s", Op: "dance"}.Args(), ClassConfig, "Invalid multiplex command."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := run(t, tc.args...)
			e := Classify("h", got.code, got.stderr)
			if tc.name == "bad file" && strings.HasSuffix(e.Line, "line 2: Bad port 'abc'.") {
				// An older ssh (8.4) ends at the first bad value.
				t.Skip("this ssh does not read on")
			}
			if got.code != 255 || e.Class != tc.class || e.Line != tc.line {
				t.Errorf("status %d, class %q, line %q\nwant 255, %q, %q\nall words: %q", got.code, e.Class, e.Line, tc.class, tc.line, got.stderr)
			}
		})
	}
}

// A proxy without a word dies before or after ssh has written its version,
// and the lines differ.
func TestSilentProxyOfThisSSH(t *testing.T) {
	got := run(t, "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ProxyCommand=false", "--", "h")
	e := Classify("h", got.code, got.stderr)
	if e.Class != ClassProxy || !strings.Contains(e.Line, "UNKNOWN port 65535") {
		t.Errorf("class %q, line %q of %q", e.Class, e.Line, got.stderr)
	}
}

// The name service of a test machine may answer slowly or with a temporary
// failure, so only the class is compared.
func TestResolveFailureOfThisSSH(t *testing.T) {
	got := run(t, "ssh", "-F", "none", "-o", "BatchMode=yes", "--", "nobody."+PlaceholderHost)
	if e := Classify("h", got.code, got.stderr); e.Class != ClassResolve {
		t.Errorf("class %q of %q", e.Class, got.stderr)
	}
}
