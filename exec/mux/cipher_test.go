package mux

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

const (
	fast   = "aes128-gcm@openssh.com"
	chacha = "chacha20-poly1305@openssh.com"
)

// cipherFixture is a server whose log tells the ciphers.
func cipherFixture(t *testing.T) *fixture {
	t.Helper()
	if !hasAES() {
		// Then nothing is ever preferred here.
		t.Skip("this processor has no instructions for AES")
	}
	f := newFixtureWith(t, sshdtest.Options{Extra: []string{"LogLevel DEBUG1"}})
	f.cfg.PreferAES = true
	return f
}

var (
	agreed  = regexp.MustCompile(`kex: server->client cipher: (\S+)`)
	offered = regexp.MustCompile(`-o Ciphers=(\S+)`)
)

// login makes a master and returns what it agreed on with the host and what it
// was told to offer. The master is closed again.
func (f *fixture) login(t *testing.T, m *Masters, at Target) (cipher string, told []string) {
	t.Helper()
	before := len(f.Log(t))
	_ = f.calls(t)
	l := lease(t, m, at)
	told = masterCiphers(f.calls(t))
	defer closeMaster(t, m, l)
	found := agreed.FindStringSubmatch(f.Log(t)[before:])
	if found == nil {
		t.Fatal("sshd's log does not tell the cipher")
	}
	return found[1], told
}

// masterCiphers are the lists that masters were told.
func masterCiphers(calls []string) []string {
	var told []string
	for _, call := range calls {
		if m := offered.FindStringSubmatch(call); m != nil && strings.Contains(call, "ControlMaster=yes") {
			told = append(told, m[1])
		}
	}
	return told
}

func closeMaster(t *testing.T, m *Masters, l *Lease) {
	t.Helper()
	id, host := l.RouteID(), l.Host()
	l.Release()
	if closed, err := m.CloseID(t.Context(), id, host); err != nil || !closed {
		t.Errorf("the master is not closed: %v, %v", closed, err)
	}
}

// hostHas writes down what a host's processor has, as if that were known.
func hostHas(t *testing.T, m *Masters, at Target, text string) {
	t.Helper()
	r, err := m.route(t.Context(), at, false)
	if err != nil {
		t.Fatal(err)
	}
	keepAES(m.cpuFile(r.ID), text)
	if got, err := os.ReadFile(m.cpuFile(r.ID)); err != nil || string(got) != text {
		t.Fatalf("the file says %q, %v", got, err)
	}
}

// ownList is the list that this ssh offers by default, in its order.
func ownList(t *testing.T) string {
	t.Helper()
	var out text
	if exit, err := proc.Run(t.Context(), proc.Spec{Args: sshcmd.DefaultsArgs([]string{"ssh"}), Stdout: &out}); err != nil || !exit.OK() {
		t.Fatalf("ssh -G: %v, %v", exit, err)
	}
	return sshcmd.ParseConfig([]byte(out.String())).Get("ciphers")
}

// TestCipherLearned: the first master is as ssh makes it; while it lives the
// guardian tells of the host's processor, and the next offers AES first.
func TestCipherLearned(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := cipherFixture(t)
	m, at := f.masters(t), f.target("gpu1")
	l := lease(t, m, at)
	id := l.RouteID()
	if told := masterCiphers(f.calls(t)); len(told) != 0 {
		t.Errorf("the first master was told %q", told)
	}
	c := f.run(t, l, polite)
	g := c.guard(t, l, Run{})
	eventually(t, "the host's processor is known", func() bool { return knownAES(m.cpuFile(id)) })
	_ = syscall.Kill(c.pid, syscall.SIGKILL)
	g.Over()
	closeMaster(t, m, l)
	cipher, told := f.login(t, m, at)
	if cipher != fast || len(told) != 1 {
		t.Fatalf("the second master uses %s and was told %q", cipher, told)
	}
	sorted := func(list string) []string { return slices.Sorted(strings.SplitSeq(list, ",")) }
	if own := ownList(t); !slices.Equal(sorted(told[0]), sorted(own)) {
		t.Errorf("it offers %s, and ssh %s", told[0], own)
	}
	again := lease(t, m, at)
	if again.RouteID() != id {
		t.Errorf("the route is %s, and was %s", again.RouteID(), id)
	}
	m.cfg.PreferAES = false
	if other := lease(t, m, at); other.RouteID() != id || f.Logins(t) != 3 {
		t.Errorf("without the preference: route %s, was %s; %d logins, want 3", other.RouteID(), id, f.Logins(t))
	}
}

// TestCipherChosenByTheUser: nothing is added where somebody chose, or where
// it is not known that the host has AES.
func TestCipherChosenByTheUser(t *testing.T) {
	t.Parallel()
	f := cipherFixture(t)
	f.HostBlock(t, "only", "Ciphers "+chacha)
	f.HostBlock(t, "ordered", "Ciphers ^aes256-ctr")
	f.HostBlock(t, "less", "Ciphers -aes192-ctr")
	f.HostBlock(t, "last", "Ciphers "+chacha+","+fast)
	f.HostBlock(t, "plain", "Compression yes")
	m := f.masters(t)
	off := f.masters(t, func(c *Config) { c.PreferAES = false })
	for _, tc := range []struct {
		name, host, option, known string
		masters                   *Masters
		want                      string
	}{
		{name: "nobody chose", host: "gpu1", known: hostAES, masters: m, want: fast},
		{name: "a Host block says other things", host: "plain", known: hostAES, masters: m, want: fast},
		{name: "the host has no AES", host: "gpu1", known: hostNoAES, masters: m, want: chacha},
		{name: "the file says something else", host: "gpu1", known: hostAES + "\n", masters: m, want: chacha},
		{name: "it is turned off", host: "gpu1", known: hostAES, masters: off, want: chacha},
		{name: "the command line chose", host: "gpu1", option: "Ciphers=aes256-ctr," + fast, known: hostAES, masters: m, want: "aes256-ctr"},
		{name: "the command line chose the default", host: "gpu1", option: "Ciphers=" + ownList(t), known: hostAES, masters: m, want: chacha},
		{name: "a Host block chose one", host: "only", known: hostAES, masters: m, want: chacha},
		{name: "a Host block chose an order", host: "ordered", known: hostAES, masters: m, want: "aes256-ctr"},
		{name: "a Host block left one out", host: "less", known: hostAES, masters: m, want: chacha},
		{name: "a Host block names it last", host: "last", known: hostAES, masters: m, want: chacha},
	} {
		at := f.target(tc.host)
		if tc.option != "" {
			at.User.Options = []string{tc.option}
		}
		hostHas(t, tc.masters, at, tc.known)
		cipher, told := f.login(t, tc.masters, at)
		if tc.option != "" {
			told = slices.DeleteFunc(told, func(list string) bool { return "Ciphers="+list == tc.option })
		}
		if cipher != tc.want || (len(told) == 1) != (tc.want == fast) {
			t.Errorf("%s: the cipher is %s, want %s; the master was told %q", tc.name, cipher, tc.want, told)
		}
	}
}

// TestCipherChosenByTheSystem: what /etc/ssh/ssh_config says, such as a policy
// that it includes, is not ssh's own default.
func TestCipherChosenByTheSystem(t *testing.T) {
	t.Parallel()
	f := cipherFixture(t)
	const system = "/etc/ssh/ssh_config"
	mount := []string{"unshare", "-m", "/bin/sh", "-c", `mount --bind "$0" ` + system + ` && exec "$@"`}
	exit, err := proc.Run(t.Context(), proc.Spec{Args: append(mount, f.ConfigFile, "true")})
	if err != nil || !exit.OK() {
		// Only root may mount, and in some containers not even root.
		t.Skipf("%s cannot be replaced: %v, %v", system, exit, err)
	}
	for _, tc := range []struct{ policy, want string }{{"", fast}, {"Host *\n\tCiphers aes256-ctr," + fast + "\n", "aes256-ctr"}} {
		policy := filepath.Join(f.Home, "policy")
		hosts, err := os.ReadFile(f.ConfigFile)
		if err == nil {
			err = os.WriteFile(f.ConfigFile+"2", []byte("Include "+policy+"\n"+string(hosts)), 0o600)
		}
		if err == nil {
			err = os.WriteFile(policy, []byte(tc.policy), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf(`echo "$*" >>%s/calls; exec unshare -m /bin/sh -c 'mount --bind "$0" %s && exec ssh "$@"' %s "$@"`,
			f.Home, system, f.ConfigFile+"2")
		m := f.masters(t, func(c *Config) { c.SSH = []string{f.script(t, "ssh-system", script)} })
		at := Target{Host: "gpu1"}
		if tc.policy != "" {
			// The bind mount hides from us that the file has changed.
			at.User.Options = []string{"ConnectTimeout=20"}
		}
		hostHas(t, m, at, hostAES)
		if cipher, told := f.login(t, m, at); cipher != tc.want || (len(told) == 1) != (tc.want == fast) {
			t.Errorf("with %q the cipher is %s, want %s; the master was told %q", tc.policy, cipher, tc.want, told)
		}
	}
}

func TestWardenLearnsOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cpu", "x")
	w := &warden{spec: holderSpec{CPUFile: file}}
	for _, answer := range []string{"", "2", "1 0", "1\n", "yes", "0", "1", "x"} {
		w.heard(time.Now(), nil, "aes "+answer)
		w.work.Wait()
		if _, err := os.Stat(file); (err == nil) != w.aesKnown {
			t.Errorf("after %q it is known: %v, and the file: %v", answer, w.aesKnown, err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != hostNoAES {
		t.Errorf("the first answer that is one was 0, and the file says %q, %v", text, err)
	}
}

func TestKnownAES(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if knownAES(dir) || knownAES(filepath.Join(dir, "none")) {
		t.Error("a directory or a file that is missing says that there is AES")
	}
	for text, want := range map[string]bool{
		hostAES: true, hostNoAES: false, "": false, "aes yes": false, "aes yes\r\n": false, hostAES + hostAES: false,
		hostAES + "x": false, " " + hostAES: false, strings.Repeat("aes yes\n", 1<<16): false,
	} {
		file := filepath.Join(dir, "cpu")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := knownAES(file); got != want {
			t.Errorf("%.20q is read as %v", text, got)
		}
	}
}
