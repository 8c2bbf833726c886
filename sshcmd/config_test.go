package sshcmd

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const effective = `host gpu1
user ann
hostname 10.0.0.7
port 22
loglevel INFO
canonicalizePermittedcnames none
identityfile ~/.ssh/a
identityfile ~/.ssh/b
proxycommand nc %h %p
controlpath /home/u/cm-%n
setenv A=1
sendenv LC_*
`

func TestParseConfig(t *testing.T) {
	c := ParseConfig([]byte(effective + "bare\r\n\n noise\n"))
	for key, want := range map[string][]string{
		"identityfile": {"~/.ssh/a", "~/.ssh/b"}, "IdentityFile": {"~/.ssh/a", "~/.ssh/b"},
		"proxycommand": {"nc %h %p"}, "canonicalizepermittedcnames": {"none"}, "bare": {""}, "missing": nil, "": nil,
	} {
		if diff := cmp.Diff(want, c.All(key)); diff != "" {
			t.Errorf("All(%q) (-want +got):\n%s", key, diff)
		}
		first := ""
		if len(want) > 0 {
			first = want[0]
		}
		if got := c.Get(key); got != first {
			t.Errorf("Get(%q) = %q, want %q", key, got, first)
		}
	}
	c.All("port")[0] = "changed"
	if got := c.Get("port"); got != "22" {
		t.Errorf("All gives away the inside: port is now %q", got)
	}
}

func TestDigest(t *testing.T) {
	base := digestOf(effective)
	for _, tc := range []struct {
		name, old, new string
		same           bool
	}{
		{"another alias of the route", "host gpu1", "host gpu-one", true},
		{"other log level", "loglevel INFO", "loglevel QUIET", true},
		{"the user's own control path", "cm-%n", "other", true},
		{"other environment", "setenv A=1", "setenv A=2", true},
		{"other forwards", "sendenv LC_*", "localforward 1 [localhost]:1", true},
		{"other order of keys", "user ann\nhostname 10.0.0.7", "hostname 10.0.0.7\nuser ann", true},
		{"other user", "user ann", "user bob", false},
		{"other proxy", "nc %h", "nc -v %h", false},
		{"other order of identities", "identityfile ~/.ssh/a\nidentityfile ~/.ssh/b", "identityfile ~/.ssh/b\nidentityfile ~/.ssh/a", false},
		{"one value moved to another key", "user ann\nhostname 10.0.0.7", "user ann hostname 10.0.0.7", false},
	} {
		text := string(bytes.Replace([]byte(effective), []byte(tc.old), []byte(tc.new), 1))
		if text == effective {
			t.Fatalf("%s: the test changes nothing", tc.name)
		}
		if got := digestOf(text) == base; got != tc.same {
			t.Errorf("%s: same digest %v, want %v", tc.name, got, tc.same)
		}
	}
	if len(base) != 64 {
		t.Errorf("digest %q has %d digits", base, len(base))
	}
}

// The name as typed matters as soon as a value that counts expands it.
func TestDigestOfTypedName(t *testing.T) {
	for _, tc := range []struct {
		proxy string
		same  bool
	}{{"nc %h", true}, {"nc %n", false}, {"nc %k", false}, {"nc %%n", true}, {"nc %%%n", false}, {"nc %", true}} {
		a := digestOf("host a\nproxycommand " + tc.proxy + "\n")
		b := digestOf("host b\nproxycommand " + tc.proxy + "\n")
		if got := a == b; got != tc.same {
			t.Errorf("two names behind %q: same digest %v, want %v", tc.proxy, got, tc.same)
		}
	}
}

func TestDigestExtra(t *testing.T) {
	c := ParseConfig([]byte(effective))
	seen := map[string][]string{}
	for _, extra := range [][]string{nil, {""}, {"a"}, {"a", "b"}, {"b", "a"}, {"ab"}, {"a", "", "b"}, {"a\n1:b"}} {
		d := c.Digest(extra...)
		if other, dup := seen[d]; dup {
			t.Errorf("extra %q and %q have one digest", extra, other)
		}
		seen[d] = extra
	}
}

func TestConfigFiles(t *testing.T) {
	stderr := "OpenSSH_9.2p1 Debian-2, OpenSSL\r\n" +
		"debug1: Reading configuration data /home/u/.ssh/config\r\n" +
		"debug1: /home/u/.ssh/config line 1: Applying options for *\r\n" +
		"debug1: Reading configuration data /x/\\303\\251 a\\\\b\r\n" +
		"debug1: Reading configuration data /home/u/.ssh/config\r\n" +
		"a proxy says: debug1: Reading configuration data /y\n" +
		"debug1: Reading configuration data \n" +
		"debug1: /home/u/.ssh/config line 3: include /h/conf.d/*.conf matched no files\r\n" +
		"debug1: Reading configuration data /etc/ssh/ssh_config"
	want := []string{"/home/u/.ssh/config", "/x/é a\\b", "/h/conf.d/*.conf", "/etc/ssh/ssh_config"}
	if diff := cmp.Diff(want, ConfigFiles([]byte(stderr))); diff != "" {
		t.Errorf("ConfigFiles (-want +got):\n%s", diff)
	}
}

func digestOf(text string) string { return ParseConfig([]byte(text)).Digest() }

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(effective))
	f.Add([]byte("a \\1"))
	f.Fuzz(func(t *testing.T, out []byte) {
		c := ParseConfig(out)
		if c.Digest() == c.Digest("x") {
			t.Error("an extra changes nothing")
		}
		total := 0
		for key, values := range c.values {
			total += len(values)
			if diff := cmp.Diff(values, c.All(key)); diff != "" || c.Get(key) != values[0] {
				t.Errorf("key %q (-want +got):\n%s", key, diff)
			}
		}
		if lines := bytes.Count(out, []byte("\n")) + 1; total > lines {
			t.Errorf("%d values from %d lines", total, lines)
		}
	})
}

func FuzzConfigFiles(f *testing.F) {
	f.Add([]byte("/a b"))
	f.Add([]byte("\\303\\251\\\\ \\9"))
	f.Fuzz(func(t *testing.T, name []byte) {
		if bytes.ContainsAny(name, "\r\n") || len(name) == 0 {
			return
		}
		// vis encodes each odd byte; ConfigFiles must undo exactly that.
		want := []string{string(name)}
		stderr := append([]byte(readingFile), vis(name)...)
		if diff := cmp.Diff(want, ConfigFiles(stderr)); diff != "" {
			t.Errorf("ConfigFiles (-want +got):\n%s", diff)
		}
	})
}

func vis(name []byte) []byte {
	var out []byte
	for _, b := range name {
		switch {
		case b == '\\':
			out = append(out, `\\`...)
		case b < ' ' || b > '~':
			out = append(out, '\\', '0'+b>>6, '0'+b>>3&7, '0'+b&7)
		default:
			out = append(out, b)
		}
	}
	return out
}
