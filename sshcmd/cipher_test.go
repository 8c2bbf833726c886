package sshcmd

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The defaults of OpenSSH until 9.9, and from 10.0 on.
const (
	oldCiphers = "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
	newCiphers = "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
)

func TestPreferAES(t *testing.T) {
	many := "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com" + strings.Repeat(",x", 70)
	for _, tc := range []struct {
		name                 string
		user                 []string
		effective, own, want string
	}{
		{
			name: "the default until 9.9", effective: oldCiphers, own: oldCiphers,
			want: "aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes256-gcm@openssh.com",
		},
		{
			name: "the default from 10.0 on", effective: newCiphers, own: newCiphers,
			want: "aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr",
		},
		{name: "other options of the user", user: []string{"Compression=yes", "MACs=hmac-sha2-256"}, effective: "a,aes128-gcm@openssh.com", own: "a,aes128-gcm@openssh.com", want: "aes128-gcm@openssh.com,a"},
		{name: "the user's option", user: []string{"Ciphers=chacha20-poly1305@openssh.com"}, effective: "chacha20-poly1305@openssh.com", own: oldCiphers},
		{name: "the user's option, which is the default", user: []string{"ciphers " + oldCiphers}, effective: oldCiphers, own: oldCiphers},
		{name: "a configuration with one more", effective: oldCiphers + ",aes128-cbc", own: oldCiphers},
		{name: "a configuration with one less", effective: strings.TrimSuffix(oldCiphers, ",aes256-gcm@openssh.com"), own: oldCiphers},
		{name: "a configuration with another order", effective: newCiphers, own: oldCiphers},
		{name: "only chacha", effective: "chacha20-poly1305@openssh.com", own: oldCiphers},
		{name: "an ssh without GCM", effective: "aes128-ctr,aes256-ctr", own: "aes128-ctr,aes256-ctr"},
		{name: "GCM comes first", effective: "aes128-gcm@openssh.com,aes128-ctr", own: "aes128-gcm@openssh.com,aes128-ctr"},
		{name: "another GCM comes first", effective: "aes256-gcm@openssh.com,aes128-gcm@openssh.com", own: "aes256-gcm@openssh.com,aes128-gcm@openssh.com"},
		{name: "an ssh that says nothing"},
		{name: "only the one list is known", effective: oldCiphers},
		{name: "a name in part", effective: "a,not-aes128-gcm@openssh.com", own: "a,not-aes128-gcm@openssh.com"},
		{name: "an empty name", effective: "a,,aes128-gcm@openssh.com", own: "a,,aes128-gcm@openssh.com"},
		{name: "a name twice", effective: "a,aes128-gcm@openssh.com,a", own: "a,aes128-gcm@openssh.com,a"},
		{name: "a space", effective: "a b,aes128-gcm@openssh.com", own: "a b,aes128-gcm@openssh.com"},
		{name: "a sign that Ciphers understands", effective: "+a,aes128-gcm@openssh.com", own: "+a,aes128-gcm@openssh.com"},
		{name: "no ASCII", effective: "š,aes128-gcm@openssh.com", own: "š,aes128-gcm@openssh.com"},
		{name: "too many", effective: many, own: many},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, PreferAES(User{Options: tc.user}, tc.effective, tc.own)); diff != "" {
				t.Errorf("PreferAES (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzPreferAES: whatever ssh says, the result has the members of the list
// that counts, and no others.
func FuzzPreferAES(f *testing.F) {
	f.Add(oldCiphers)
	f.Add("a,aes128-gcm@openssh.com,a")
	f.Add(" ,aes128-gcm@openssh.com\n")
	f.Fuzz(func(t *testing.T, effective string) {
		got := PreferAES(User{}, effective, effective)
		if got == "" {
			return
		}
		was, is := strings.Split(effective, ","), strings.Split(got, ",")
		if is[0] != fastCipher {
			t.Errorf("%q does not begin with %s", got, fastCipher)
		}
		slices.Sort(was)
		slices.Sort(is)
		if diff := cmp.Diff(was, is); diff != "" {
			t.Errorf("the members differ (-want +got):\n%s", diff)
		}
	})
}

// ciphers asks this ssh for the list that a master would offer.
func ciphers(t *testing.T, args []string) string {
	t.Helper()
	got := run(t, args...)
	if got.code != 0 {
		t.Fatalf("%q: status %d, %q", args, got.code, got.stderr)
	}
	return ParseConfig([]byte(got.stdout)).Get("ciphers")
}

// The installed ssh takes the new order as it is, the digest of a route does
// not know of it, and what a user's file says is not taken for a default.
func TestPreferAESOfThisSSH(t *testing.T) {
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "config"), "Host mine\n  Ciphers ^aes256-ctr\nHost less\n  Ciphers -*-cbc,aes192-ctr\n")
	own := ciphers(t, DefaultsArgs([]string{"ssh"}))
	if own == "" {
		t.Fatal("ssh does not say which ciphers it has")
	}
	m := Master{SSH: []string{"ssh"}, Host: "plain", ControlPath: "/x", User: User{ConfigFile: config}, Features: known(t)}
	prefer := PreferAES(m.User, ciphers(t, m.EffectiveArgs()), own)
	if !strings.HasPrefix(prefer, fastCipher+",") {
		t.Fatalf("of %s comes %q", own, prefer)
	}
	plain := ParseConfig([]byte(run(t, m.EffectiveArgs()...).stdout))
	m.Ciphers = prefer
	if got := ParseConfig([]byte(run(t, m.EffectiveArgs()...).stdout)); got.Digest() != plain.Digest() {
		t.Error("the preference changes the digest")
	}
	m.SSH = []string{"ssh", "-G"}
	if got := ciphers(t, m.Args()); got != prefer {
		t.Errorf("ssh makes %s of %s", got, prefer)
	}
	for _, host := range []Host{"mine", "less"} {
		m := Master{SSH: []string{"ssh"}, Host: host, User: User{ConfigFile: config}}
		if got := PreferAES(m.User, ciphers(t, m.EffectiveArgs()), own); got != "" {
			t.Errorf("a configuration of the user's becomes %q", got)
		}
	}
}
