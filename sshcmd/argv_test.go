package sshcmd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// words splits a line of a table at spaces; _ stands for a space in a word.
func words(s string) []string {
	list := strings.Fields(s)
	for i, word := range list {
		list[i] = strings.ReplaceAll(word, "_", " ")
	}
	return list
}

const (
	fixedHead = "-N -n -T -a -x -o ControlPersist=no -o ClearAllForwardings=yes -o Tunnel=no -o PermitLocalCommand=no" +
		" -o RemoteCommand=none -o RequestTTY=no" + delegation
	delegation = " -o GSSAPIDelegateCredentials=no"
	alive      = " -o ServerAliveInterval=15 -o ServerAliveCountMax=3"
	warm       = "-o ControlMaster=no -o ProxyCommand=false -o BatchMode=yes -o LogLevel=INFO -o ClearAllForwardings=yes"
)

func TestMasterArgs(t *testing.T) {
	ssh := []string{"ssh"}
	for _, tc := range []struct {
		name            string
		master          Master
		args, effective string
	}{
		{
			"plain",
			Master{SSH: ssh, Host: "gpu1", ControlPath: "/run/b/s"},
			"ssh -S /run/b/s -o ControlMaster=yes " + fixedHead + alive + " -o LogLevel=INFO -- gpu1",
			"ssh -v -G " + fixedHead + alive + " -- gpu1",
		},
		{
			"batch, all features",
			Master{SSH: ssh, Host: "gpu1", ControlPath: "/run/b/s", Batch: true, Features: AllFeatures()},
			"ssh -S /run/b/s -o ControlMaster=yes " + fixedHead + " -o ForkAfterAuthentication=no -o SetEnv=BIVY=1" + alive +
				" -o LogLevel=INFO -o BatchMode=yes -- gpu1",
			"ssh -v -G " + fixedHead + " -o ForkAfterAuthentication=no -o SetEnv=BIVY=1" + alive + " -- gpu1",
		},
		{
			"an order of ciphers, which the question does not have",
			Master{SSH: ssh, Host: "h", ControlPath: "/s", Ciphers: "b,a"},
			"ssh -S /s -o ControlMaster=yes " + fixedHead + alive + " -o LogLevel=INFO -o Ciphers=b,a -- h",
			"ssh -v -G " + fixedHead + alive + " -- h",
		},
		{
			"an ssh without GSSAPI",
			Master{SSH: ssh, Host: "h", ControlPath: "/s", Features: Features{NoGSSAPI: true}},
			"ssh -S /s -o ControlMaster=yes " + strings.TrimSuffix(fixedHead, delegation) + alive + " -o LogLevel=INFO -- h",
			"ssh -v -G " + strings.TrimSuffix(fixedHead, delegation) + alive + " -- h",
		},
		{
			"an ssh of 7.8",
			Master{SSH: ssh, Host: "h", ControlPath: "/s", Features: Features{SetEnv: true}},
			"ssh -S /s -o ControlMaster=yes " + fixedHead + " -o SetEnv=BIVY=1" + alive + " -o LogLevel=INFO -- h",
			"ssh -v -G " + fixedHead + " -o SetEnv=BIVY=1" + alive + " -- h",
		},
		{
			"percent signs, several words, user's options",
			Master{
				SSH: []string{"kitten", "ssh"}, Host: "u@::1", ControlPath: "/home/50%h/s",
				User: User{ConfigFile: "/x y/config", Options: []string{"Port=2222", "User a b"}},
			},
			"kitten ssh -S /home/50%%h/s -o ControlMaster=yes " + fixedHead + alive +
				" -o LogLevel=INFO -F /x_y/config -o Port=2222 -o User_a_b -- u@::1",
			"kitten ssh -v -G " + fixedHead + alive + " -F /x_y/config -o Port=2222 -o User_a_b -- u@::1",
		},
		{
			"the user's own keepalive",
			Master{SSH: ssh, Host: "h", ControlPath: "/s", User: User{Options: []string{"serveraliveINTERVAL = 60"}}},
			"ssh -S /s -o ControlMaster=yes " + fixedHead + " -o ServerAliveCountMax=3 -o LogLevel=INFO -o serveraliveINTERVAL_=_60 -- h",
			"ssh -v -G " + fixedHead + " -o ServerAliveCountMax=3 -o serveraliveINTERVAL_=_60 -- h",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(words(tc.args), tc.master.Args()); diff != "" {
				t.Errorf("Args (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(words(tc.effective), tc.master.EffectiveArgs()); diff != "" {
				t.Errorf("EffectiveArgs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarmArgs(t *testing.T) {
	ssh := []string{"/opt/ssh"}
	for _, tc := range []struct {
		name string
		got  []string
		want string
	}{
		{
			"session", Session{SSH: ssh, ControlPath: "/r/s", Log: "/r/log 1", Command: "exec /bin/sh"}.Args(),
			"/opt/ssh -F none -T -a -x -e none -S /r/s " + warm + " -E /r/log_1 -- bivy.invalid exec_/bin/sh",
		},
		{
			"terminal, login shell", Session{SSH: ssh, ControlPath: "/r/%C", TTY: true}.Args(),
			"/opt/ssh -F none -tt -a -x -e none -S /r/%%C " + strings.Replace(warm, "=INFO", "=ERROR", 1) + " -- bivy.invalid",
		},
		{
			"check", Control{SSH: ssh, ControlPath: "/r/%s", Op: "check"}.Args(),
			"/opt/ssh -F none -S /r/%%s -o ProxyCommand=false -o BatchMode=yes -O check -- bivy.invalid",
		},
		{
			"exit", Control{SSH: []string{"kitten", "ssh"}, ControlPath: "/s", Op: "exit"}.Args(),
			"kitten ssh -F none -S /s -o ProxyCommand=false -o BatchMode=yes -O exit -- bivy.invalid",
		},
		{
			"copy", Copy{
				SCP: []string{"scp"}, ControlPath: "/r/s", Sources: []string{LocalOperand("-x:y"), LocalOperand("/a")},
				Target: RemoteOperand("/tmp/b"),
			}.Args(),
			"scp -F none -o ControlPath=/r/s " + warm + " -- ./-x:y /a bivy.invalid:/tmp/b",
		},
		{
			"copy with all flags", Copy{
				SCP: []string{"scp"}, SSH: "/opt/ssh", ControlPath: "/r 1/%s", Sources: []string{RemoteOperand("a")},
				Target: LocalOperand("../b"), Recursive: true, Preserve: true, Legacy: true,
			}.Args(),
			`scp -S /opt/ssh -r -p -O -F none -o ControlPath="/r_1/%%s" ` + warm + " -- bivy.invalid:a ../b",
		},
		{"probe", ProbeArgs(ssh, AllFeatures()), "/opt/ssh -o GSSAPIDelegateCredentials=no -o ForkAfterAuthentication=no -o SetEnv=BIVY=1 -V"},
		{"probe for nothing", ProbeArgs(ssh, Features{NoGSSAPI: true}), "/opt/ssh -V"},
	} {
		if diff := cmp.Diff(words(tc.want), tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestGitCommand(t *testing.T) {
	got := GitCommand([]string{"/opt/my ssh"}, "/r 1/it's 50%")
	want := `'/opt/my ssh' -F none -T -a -x -e none -S '/r 1/it'\''s 50%%' ` + warm
	if got != want {
		t.Errorf("GitCommand = %s\nwant %s", got, want)
	}
}

// The builders share slices of their caller; none may write to them.
func TestArgsDoNotAlias(t *testing.T) {
	ssh := append(make([]string, 0, 64), "ssh")
	first := Session{SSH: ssh, ControlPath: "/1", Command: "one"}.Args()
	want := append([]string{}, first...)
	_ = Session{SSH: ssh, ControlPath: "/2", Command: "two"}.Args()
	_ = Master{SSH: ssh, Host: "h", ControlPath: "/3"}.Args()
	_ = Copy{SCP: ssh, ControlPath: "/4", Recursive: true}.Args()
	_ = Control{SSH: ssh, ControlPath: "/5", Op: "check"}.Args()
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("an argv changed after it was returned (-want +got):\n%s", diff)
	}
}

func TestFeaturesWithout(t *testing.T) {
	for _, tc := range []struct {
		stderr string
		want   Features
		ok     bool
	}{
		{"command-line: line 0: Bad configuration option: forkafterauthentication\r\n", Features{SetEnv: true}, true},
		{"command-line: line 0: Bad configuration option: setenv\n", Features{ForkAfterAuthentication: true}, true},
		{"command-line: line 0: Bad configuration option: setenvironment\n", AllFeatures(), false},
		{"Illegal option -- V\n", AllFeatures(), false},
		{
			"command-line line 0: Unsupported option \"gssapidelegatecredentials\"\r\nOpenSSH_10.6p1 Debian-1, OpenSSL 3.6.5\r\n",
			Features{ForkAfterAuthentication: true, SetEnv: true, NoGSSAPI: true},
			true,
		},
		{
			"command-line line 0: Unsupported option \"gssapidelegatecredentials\"\r\ncommand-line: line 0: Bad configuration option: forkafterauthentication\r\n",
			Features{SetEnv: true, NoGSSAPI: true},
			true,
		},
		{"command-line line 0: Unsupported option \"gssapiauthentication\"\n", AllFeatures(), false},
	} {
		if got, ok := AllFeatures().Without(tc.stderr); got != tc.want || ok != tc.ok {
			t.Errorf("Without(%q) = %+v, %v; want %+v, %v", tc.stderr, got, ok, tc.want, tc.ok)
		}
	}
}

func TestControlPathOK(t *testing.T) {
	long := func(n int) string { return "/" + strings.Repeat("x", n-1) }
	for _, tc := range []struct {
		path, goos, reason string
	}{
		{"/run/b/0123456789abcdef", "linux", ""},
		{"/home/50%/it's a # path/~x/$HOME", "linux", ""},
		{long(90), "linux", ""},
		{long(91), "linux", "it has 91 bytes, and ssh can use 90 here"},
		{long(86), "darwin", ""},
		{long(87), "darwin", "it has 87 bytes, and ssh can use 86 here"},
		{"none", "linux", "it is not an absolute path"},
		{"", "linux", "it is not an absolute path"},
		{"~/s", "linux", "it is not an absolute path"},
		{"/a/${HOME}/s", "linux", "ssh would expand ${"},
		{`/a"b`, "linux", "it holds a quote, a backslash or a control character"},
		{`/a\b`, "linux", "it holds a quote, a backslash or a control character"},
		{"/a\nb", "linux", "it holds a quote, a backslash or a control character"},
		{"/a\tb", "linux", "it holds a quote, a backslash or a control character"},
	} {
		err := ControlPathOK(tc.path, tc.goos)
		var want error
		if tc.reason != "" {
			want = &ControlPathError{Path: tc.path, Reason: tc.reason}
		}
		if diff := cmp.Diff(want, err); diff != "" {
			t.Errorf("ControlPathOK(%q, %s) (-want +got):\n%s", tc.path, tc.goos, diff)
		}
	}
}
