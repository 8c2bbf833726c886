package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

// trouble is one way to fail: where, how, and what must be said of it.
type trouble struct {
	name  string
	host  string // gpu1 where empty
	flags []string
	env   string
	code  int
	class string
	words []string // of the message
	hint  string
}

// troubles prepares a host with many names, each of which fails otherwise.
func (w *world) troubles(t *testing.T) []trouble {
	t.Helper()
	w.write(w.root+"/changed", fmt.Sprintf("[127.0.0.1]:%d %s", w.server.Port, w.read(w.server.NewKey(t)+".pub")))
	through := `for a do case $a in -G|-V) exec ssh "$@" ;; esac; done; `
	w.script(w.root+"/mute", through+"exit 255")
	w.script(w.root+"/moon", through+"echo the moon is full >&2; exit 255")
	stranger := "IdentityFile " + w.server.NewKey(t)
	for name, lines := range map[string][]string{
		"stranger": {stranger}, "quiet": {stranger, "LogLevel QUIET", "Port " + strconv.Itoa(w.server.Port)},
		"refused": {"Port 1"}, "lost": {"HostName nowhere.invalid"},
		"stopped": {"ProxyCommand sh -c 'echo workspace is stopped >&2; exit 255'"},
		"dumb":    {"ProxyCommand sh -c 'exit 255'"}, "jump": {"ProxyJump refused"},
		"unknown": {"UserKnownHostsFile /dev/null"},
		"changed": {"UserKnownHostsFile " + w.root + "/changed", "HostKeyAlgorithms ssh-ed25519"},
		"crypto":  {"KexAlgorithms diffie-hellman-group1-sha1"},
	} {
		w.hostBlock(name, lines...)
	}
	return []trouble{
		{"wrong key", "stranger", nil, "", 91, "auth", []string{"stranger refused the login", "Permission denied (publickey)"}, "bivy host connect stranger"},
		{"wrong key, silent ssh", "quiet", nil, "", 91, "auth", []string{"quiet refused the login", "Permission denied (publickey)"}, "bivy host connect quiet"},
		{"refused", "refused", nil, "", 90, "unreachable", []string{"cannot reach refused", "port 1: Connection refused"}, "sshd runs there"},
		{"no such name", "lost", nil, "", 90, "unreachable", []string{"cannot reach lost", "resolve hostname nowhere.invalid"}, "the spelling"},
		{"proxy's words", "stopped", nil, "", 90, "unreachable", []string{"ProxyCommand or jump host for stopped", "workspace is stopped"}, "try the proxy"},
		{"proxy without words", "dumb", nil, "", 90, "unreachable", []string{"ProxyCommand or jump host for dumb", "onnection closed"}, "try the proxy"},
		{"jump host", "jump", nil, "", 90, "unreachable", []string{"cannot reach jump", "Connection refused"}, "ssh -G jump"},
		{"unknown key", "unknown", nil, "", 92, "host_key", []string{"host key of unknown is not known"}, "bivy host connect unknown"},
		{"changed key", "changed", nil, "", 92, "host_key", []string{"host key of changed has changed", "Offending ED25519 key in " + w.root + "/changed:1"}, "ssh-keygen -R"},
		{"cryptography", "crypto", nil, "", 90, "unreachable", []string{"cannot agree on cryptography", "no matching key exchange"}, "ssh -v crypto"},
		{"bad option", "", []string{"-o", "NoSuchOption=1"}, "", 81, "local", []string{"refuses its configuration", "nosuchoption"}, "correct that"},
		{"no ssh", "", nil, "BIVY_SSH=/no/such/ssh", 81, "local", []string{"cannot find the program", "/no/such/ssh"}, "BIVY_SSH"},
		{"ssh without words", "", nil, "BIVY_SSH=" + w.root + "/mute", 90, "unreachable", []string{"ssh to gpu1 failed", "gave no reason"}, "bivy host ls"},
		{"odd words", "", nil, "BIVY_SSH=" + w.root + "/moon", 90, "unreachable", []string{"ssh to gpu1 failed", "the moon is full"}, "ssh -v gpu1"},
		{"no directory", "", []string{"--dir", "nowhere"}, "", 82, "not_found", []string{"gpu1 has no directory", "nowhere"}, ""},
		{"too long", "", []string{"--timeout", "50ms"}, "", 95, "timed_out", []string{"ran on gpu1 for 50ms", "was ended"}, ""},
	}
}

// bare255 is the number that says nothing.
var bare255 = regexp.MustCompile(`\b255\b`)

// TestDiagnosis: each failure is one line that says what was tried and what
// was seen, and one that says what to do, in text and as JSON.
func TestDiagnosis(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{}, func(t *testing.T, w *world) {
		for _, c := range w.troubles(t) {
			if c.host == "" {
				c.host = "gpu1"
			}
			// The first is tried, the others need not be.
			for _, level := range []string{"-q", "--json", "-v", "-vv"} {
				args := append([]string{"exec", level, "--host", c.host, "--wait-host", "0s"}, c.flags...)
				s := w.spec(append(args, "--", "sleep", "1000")...)
				if c.env != "" {
					s.Env = append(s.Env, c.env)
				}
				got := w.run(s)
				if got.code != c.code || strings.Contains(got.stderr+got.stdout, "exit status 255") {
					t.Errorf("%s, %s: %v", c.name, level, got)
				}
				// The whole truth of -vv has ssh's status as well.
				if level != "-vv" && bare255.MatchString(got.stderr+got.stdout) {
					t.Errorf("%s, %s: it says 255: %v", c.name, level, got)
				}
				message, hint := w.diagnosis(got, level, c)
				for _, word := range c.words {
					if !strings.Contains(message, word) {
						t.Errorf("%s, %s: the message %q lacks %q", c.name, level, message, word)
					}
				}
				again := strings.Contains(message, "not tried again") && hint == "to try now, log in: bivy host connect "+c.host
				// One that may be an attack is called so every time.
				if !strings.Contains(hint, c.hint) && (!again || c.host == "changed") {
					t.Errorf("%s, %s: the hint %q lacks %q", c.name, level, hint, c.hint)
				}
			}
		}
	})
}

// diagnosis takes the message and the hint out of what bivy said.
func (w *world) diagnosis(got result, level string, c trouble) (message, hint string) {
	w.tb.Helper()
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	if level == "--json" {
		var object struct {
			Error struct{ Class, Message, Hint, Host string }
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &object); err != nil || object.Error.Class != c.class || len(lines) != 1 {
			w.tb.Errorf("%s: the error is no JSON of class %s: %v", c.name, c.class, got)
		}
		return object.Error.Message, object.Error.Hint
	}
	var own []string
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "bivy: "); ok {
			own = append(own, text)
		} else if level == "-q" || !phase.MatchString(line) {
			w.tb.Errorf("%s, %s: the line %q is neither a message nor a phase", c.name, level, line)
		}
	}
	switch own = append(own, ""); {
	case len(own) > 3, own[0] == "":
		w.tb.Errorf("%s, %s: want a message and perhaps a hint: %v", c.name, level, got)
	case strings.HasSuffix(own[0], "."), len(own[0]) > 1000:
		w.tb.Errorf("%s, %s: the message is not in our voice: %q", c.name, level, own[0])
	}
	return own[0], own[1]
}

// phase is a line of -v or -vv: a time, and what happened.
var phase = regexp.MustCompile(`^[0-2][0-9]:[0-5][0-9]:[0-6][0-9] bivy: .`)

// TestPhases: -v says where the time went, -vv what was asked for or started.
func TestPhases(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		cold := w.wants(0, "exec", "-v", "--host", "gpu1", "--", "true")
		warm := w.wants(3, "exec", "-v", "--host", "gpu1", "-c", "exit 3")
		for _, word := range []string{"logged in host=gpu1 took=", "connect=", "queue=", "start=", "ran=", "state=exited", "way="} {
			if !strings.Contains(cold.stderr, word) {
				t.Errorf("cold: no %q in %v", word, cold)
			}
		}
		if n := strings.Count(warm.stderr, "\n"); n != 1 || !strings.Contains(warm.stderr, "connect=0 ") {
			t.Errorf("warm: %v", warm)
		}
		failed := w.bivy("exec", "-v", "--host", "gpu1", "-o", "ConnectTimeout=1", "-o", "ProxyCommand=false", "--", "true")
		if failed.code != 90 || !strings.Contains(failed.stderr, "took=") {
			t.Errorf("-v does not say how long the login took that failed: %v", failed)
		}
		if got := w.wants(0, "exec", "-vv", "--host", "gpu1", "--", "true"); !throughSSH() &&
			(strings.Contains(got.stderr, "argv=") || !strings.Contains(got.stderr, "session opened") && !strings.Contains(got.stderr, "session was open")) {
			t.Errorf("-vv does not say how the session was opened: %v", got)
		}
		w.env = append(w.env, wayVariable+"="+waySSH)
		// The argv of the session, as JSON, word for word.
		log := w.root + "/argv"
		w.script(w.root+"/ssh", `printf '%s\n' "$@" >`+log+`; exec ssh "$@"`)
		w.env = append(w.env, "BIVY_SSH="+w.root+"/ssh")
		w.wants(0, "exec", "--host", "gpu1", "--", "true") // another ssh is asked for its configuration
		got := w.wants(0, "exec", "-vv", "--host", "gpu1", "--", "true")
		_, after, _ := strings.Cut(got.stderr, "argv=")
		var argv []string
		if err := json.NewDecoder(strings.NewReader(after)).Decode(&argv); err != nil {
			t.Fatalf("no argv in %v: %v", got, err)
		}
		if text := strings.Join(argv[1:], "\n") + "\n"; text != w.read(log) {
			t.Errorf("-vv shows %q, ssh got %q", text, w.read(log))
		}
	})
}

// TestSecretsAreInNoArgv looks at all processes while a command runs that has
// a secret in its environment.
func TestSecretsAreInNoArgv(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		mark := "canary-" + w.kind
		secret, other := mark+"-a81f", mark+"-77c2"
		for _, flag := range []string{"-q", "-i"} {
			_ = os.Remove(w.remote + "/up")
			s := w.spec("exec", "-vv", flag, "--host", "gpu1", "--env", "TOKEN="+secret, "--env", "OTHER", "--login-env", "full", "-c",
				`printf '%s' "$TOKEN$OTHER" >up; until [ -e go ]; do sleep 0.02; done; exit 5`)
			s.Env = append(s.Env, "OTHER="+other)
			_ = os.Remove(w.remote + "/go")
			b := w.start(s)
			seen := 0
			look := func() {
				seen++
				for _, line := range w.argvWith(mark) {
					// bivy itself was given it in its argv, which a child has until
					// it is another program.
					if !strings.Contains(line, strings.Join(s.Args, " ")) {
						t.Errorf("the secret stands in the argv of %s", line)
					}
				}
			}
			w.eventually("the command runs", func() bool { look(); return exists(w.remote + "/up") })
			look()
			w.write(w.remote+"/go", "")
			got := b.wait()
			if got.code != 5 || seen < 2 || strings.Contains(got.stderr+got.stdout, "canary-") {
				t.Errorf("%s: after %d looks %v", flag, seen, got)
			}
			w.eventually("the secret has arrived", func() bool { return w.read(w.remote+"/up") == secret+other })
		}
	})
}

// argvWith lists the processes of this machine with that text in their argv.
func (w *world) argvWith(text string) []string {
	var list []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		argv, err := os.ReadFile(dir + "/cmdline")
		if err == nil && strings.Contains(string(argv), text) {
			list = append(list, filepath.Base(dir)+" "+strings.ReplaceAll(string(argv), "\x00", " "))
		}
	}
	return list
}

// TestLostIsExplained: the two ways to lose a command, in one line each.
func TestLostIsExplained(t *testing.T) {
	// The sandbox ends what runs on it when it ends itself.
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		for _, flags := range [][]string{nil, {"-v"}, {"--on-disconnect", "keep"}} {
			_ = os.Remove(w.remote + "/up")
			b := w.start(w.spec(append(append([]string{"exec", "--host", "gpu1"}, flags...), "-c", "echo $$ >pid; : >up; exec sleep 1001")...))
			w.eventually("the command runs", func() bool { return exists(w.remote + "/up") })
			began := time.Now()
			w.killMaster()
			got := b.wait()
			w.says(got, 94, "the link to gpu1 was lost; what became of the command is unknown")
			if bare255.MatchString(got.stderr) || time.Since(began) > 15*time.Second {
				t.Errorf("%v after %s: %v", flags, time.Since(began), got)
			}
			if len(flags) == 2 {
				w.says(got, 94, "it was told to go on there", "follow it with: bivy exec --host gpu1 -c")
				w.wants(0, "exec", "--host", "gpu1", "-c", `kill "$(cat pid)"`)
			}
		}
	})
}
