package sshcmd

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	const (
		space   = "it holds whitespace"
		control = "it holds a control character"
		shell   = "it holds a character that a shell would interpret"
		hostOpt = "the host name starts with a dash, which a program behind ssh could read as an option"
		userOpt = "the user name starts with a dash, which a program behind ssh could read as an option"
		badUser = "its user name is not valid in an ssh:// form"
		badPort = "its port is not a number from 1 to 65535"
	)
	for _, tc := range []struct{ in, reason, scp string }{
		{"gpu1", "", "gpu1"},
		{"coder.my-ws", "", "coder.my-ws"},
		{"u@h", "", "u@h"},
		{"a@b@h", "", "a@b@h"},
		{`CORP\ann@h`, "", `CORP\ann@h`},
		{"host$@h", "", "host$@h"},
		{"10.0.0.1", "", "10.0.0.1"},
		{"::1", "", "[::1]"},
		{"[::1]", "", "[::1]"},
		{"u@::1", "", "u@[::1]"},
		{"u@[fe80::1]", "", "u@[fe80::1]"},
		{"fe80::1%eth0", "", "[fe80::1%eth0]"},
		{"ssh://h", "", "h"},
		{"ssh://h:", "", "h"},
		{"ssh://u@h:2222/", "", "u@h"},
		{"ssh://u@[::1]:22", "", "u@[::1]"},
		{"ssh://a%20b@h", badUser, ""},
		{"ssh://a%40b@h", "", "a@b@h"},
		{"ssh://u;x=y@h", "", "u@h"},
		{"münchen", "", "münchen"},

		{"", "it is empty", ""},
		{"-oProxyCommand=x", "it starts with a dash, which ssh would read as an option", ""},
		{"u@-oProxyCommand=x", hostOpt, ""},
		{"ssh://-h", hostOpt, ""},
		{"ssh://u@-h", hostOpt, ""},
		{"[-h]", hostOpt, ""},
		{"ssh://-u@h", userOpt, ""},
		{"ssh://%2du@h", userOpt, ""},
		{"u@", "it names no host", ""},
		{"ssh://", "it names no host", ""},
		{"ssh:///", "it names no host", ""},
		{"@h", "the user name before @ is empty", ""},
		{"ssh://@h", badUser, ""},
		{"ssh://a@b@h", "an @ in the user name of an ssh:// form is written %40", ""},
		{"ssh://%zz@h", badUser, ""},
		{"ssh://a%00@h", badUser, ""},
		{"ssh://h:0", badPort, ""},
		{"ssh://h:65536", badPort, ""},
		{"ssh://h:22x", badPort, ""},
		{"ssh://::1", badPort, ""},
		{"ssh://h/path", "an ssh:// form has no path", ""},
		{"ssh://[::1]x", "nothing but a port may follow the brackets", ""},
		{"a b", space, ""},
		{"a\n", space, ""},
		{"a\tb", space, ""},
		{"a\x00b", control, ""},
		{"a\x1b", control, ""},
		{"a\x7f", control, ""},
		{"$(id)", shell, ""},
		{"a;b", shell, ""},
		{"`id`@h", shell, ""},
		{`u\@h`, shell, ""},
	} {
		host, err := ParseHost(tc.in)
		if tc.reason == "" {
			if err != nil || string(host) != tc.in {
				t.Errorf("ParseHost(%q) = %q, %v; want it as it is", tc.in, host, err)
			}
			if got := host.SCP(); got != tc.scp {
				t.Errorf("Host(%q).SCP() = %q, want %q", tc.in, got, tc.scp)
			}
			continue
		}
		var refused *HostError
		if !errors.As(err, &refused) || refused.Reason != tc.reason || refused.Host != tc.in {
			t.Errorf("ParseHost(%q) = %q, %v; want the reason %q", tc.in, host, err, tc.reason)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"gpu1", "u@h", "ssh://u@h:22/", "u@[::1]", "-x", "u@-x", "a%b", "ssh://%2d@x", "[[]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, err := ParseHost(s)
		if err != nil {
			return
		}
		// ssh splits at the last @, with or without ssh:// in front.
		name := s[strings.LastIndexByte(s, '@')+1:]
		if string(host) != s || s == "" || s[0] == '-' || name == "" || name[0] == '-' {
			t.Errorf("ParseHost(%q) accepts %q", s, host)
		}
		if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
			t.Errorf("ParseHost(%q) accepts the byte at %d", s, i)
		}
		scp := host.SCP()
		if scp == "" || scp[0] == '-' {
			t.Errorf("Host(%q).SCP() = %q", s, scp)
		}
		// A zone may hold anything for netip, but an @ ends a user name.
		if addr, err := netip.ParseAddr(s); err == nil && addr.Is6() && name == s && scp != "["+s+"]" {
			t.Errorf("Host(%q).SCP() = %q, want brackets", s, scp)
		}
	})
}
