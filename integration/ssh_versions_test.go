package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bivy/integration/sshdtest"
)

// versionsVariable names the directory in which versions.sh has unpacked other
// releases of OpenSSH, each below its number.
const versionsVariable = "BIVY_OPENSSH"

// release is one of them.
type release struct{ number, dir string }

func (r release) ssh() string  { return r.dir + "/usr/bin/ssh" }
func (r release) sshd() string { return r.dir + "/usr/sbin/sshd" }

// options are a server of that release, whose log tells versions and ciphers.
// Since 9.8 sshd starts other programs, by their paths.
func (r release) options() sshdtest.Options {
	o := sshdtest.Options{SSHD: r.sshd(), Extra: []string{"LogLevel DEBUG1"}}
	for key, program := range map[string]string{"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"} {
		if path := r.dir + "/usr/lib/openssh/" + program; exists(path) {
			o.Extra = append(o.Extra, key+" "+path)
		}
	}
	return o
}

func releases(t *testing.T) []release {
	t.Helper()
	dir := os.Getenv(versionsVariable)
	if dir == "" {
		// They come from the network, and integration/versions.sh fetches them.
		t.Skip(versionsVariable + " names no directory; see integration/versions.sh")
	}
	programs, err := filepath.Glob(filepath.Join(dir, "*", "usr", "bin", "ssh"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("there is no OpenSSH in %s: %v", dir, err)
	}
	var list []release
	for _, program := range programs {
		root := strings.TrimSuffix(program, "/usr/bin/ssh")
		list = append(list, release{filepath.Base(root), root})
	}
	return list
}

// TestOpenSSHVersions runs the core with the ssh and against the sshd of other
// releases than the machine's, by both ways to open sessions.
func TestOpenSSHVersions(t *testing.T) {
	for _, r := range releases(t) {
		plain := sshdtest.Options{Extra: []string{"LogLevel DEBUG1"}}
		for _, role := range []struct {
			name, ssh string
			server    sshdtest.Options
		}{
			{"ssh", r.ssh(), plain},
			{"sshd", "ssh", r.options()},
			{"both", r.ssh(), r.options()},
		} {
			for _, way := range []string{"direct", "ssh"} {
				t.Run(r.number+"/"+role.name+"/"+way, func(t *testing.T) {
					versionCore(t, r, role.ssh, way, role.server)
				})
				t.Run(r.number+"/"+role.name+"/"+way+"/refused", func(t *testing.T) {
					versionRefuses(t, role.ssh, way, role.server)
				})
			}
		}
	}
}

// withVersion makes a world whose user has that ssh, and that way.
func withVersion(t *testing.T, ssh, way string, o sshdtest.Options, test func(*testing.T, *world)) {
	t.Helper()
	withServer(t, sshdtest.Start, o, func(t *testing.T, w *world) {
		w.env = append(w.env, "BIVY_SSH="+ssh, "BIVY_MUX="+way)
		test(t, w)
	})
}

var (
	remoteVersion = regexp.MustCompile(`remote software version OpenSSH_(\d+\.\d+)`)
	localVersion  = regexp.MustCompile(`Local version string SSH-2\.0-OpenSSH_(\d+\.\d+)`)
)

// versionCore: exit codes, input, signals, cancels, terminals, a lost link, and
// the choice of ciphers.
func versionCore(t *testing.T, r release, ssh, way string, o sshdtest.Options) {
	t.Parallel()
	withVersion(t, ssh, way, o, func(t *testing.T, w *world) {
		sc := w.onTerminal(w.spec("host", "connect", "gpu1"))
		if code := sc.wait(); code != 0 || strings.Contains(sc.text(), "ption") {
			t.Errorf("the login ends with %d and shows %q", code, sc.text())
		}
		w.basics()
		w.saidVersion(r, ssh == r.ssh(), remoteVersion)
		w.saidVersion(r, o.SSHD == r.sshd(), localVersion)
		w.signals("")
		for _, flags := range [][]string{nil, {"-i"}, {"-t"}} {
			w.cancels(flags...)
		}
		if got := w.bivy("exec", "--host", "gpu1", "-t", "-c", "test -t 1 && echo terminal; exit 9"); got.code != 9 || got.stdout != "terminal\r\n" {
			t.Errorf("with -t: %v", got)
		}
		w.wants(0, "new", "ws", "--host", "gpu1")
		if got := w.wants(0, "exec", "ws", "--", "cat", "README"); got.stdout != "a small project\n" {
			t.Errorf("in a workspace: %v", got)
		}
		b := w.start(w.spec("exec", "--host", "gpu1", "-c", ": >going; exec sleep 1000"))
		w.eventually("the command runs", func() bool { return exists(w.remote + "/going") })
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
		w.killMaster()
		if got := b.wait(); got.code != 94 {
			t.Errorf("with a killed master: %v", got)
		}
		w.goneThere()
		w.cipherOfNext("")
	})
}

// saidVersion checks that the release is there where it should be, and not
// where it should not.
func (w *world) saidVersion(r release, want bool, by *regexp.Regexp) {
	w.tb.Helper()
	found := by.FindStringSubmatch(w.server.Log(w.tb))
	if found == nil || (found[1] == r.number) != want {
		w.tb.Errorf("%s says %q; that it is %s: want %v", by, found, r.number, want)
	}
}

// versionRefuses: fewer sessions than commands, one, and none.
func versionRefuses(t *testing.T, ssh, way string, o sshdtest.Options) {
	t.Parallel()
	for _, most := range []int{2, 1} {
		o.MaxSessions = most
		withVersion(t, ssh, way, o, func(t *testing.T, w *world) {
			w.allRight(8)
			if n := w.logins(); n != 1 {
				t.Errorf("%d sessions at most: %d logins, want 1", most, n)
			}
			w.cancels()
		})
	}
	o.MaxSessions, o.Extra = 0, append([]string{"MaxSessions 0"}, o.Extra...)
	withVersion(t, ssh, way, o, func(_ *testing.T, w *world) {
		w.says(w.bivy("exec", "--host", "gpu1", "--wait-host", "1s", "--", "true"), 93, "gpu1 refuses every session")
	})
}
