package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sandbox"
	"bivy/integration/sshdtest"
	"bivy/internal/leak"
)

// The two kinds of host.
const (
	kindSandbox = "sandbox"
	kindSSHD    = "sshd"
)

// patience is how long a test waits for what should take far less; machines
// are loaded.
const patience = 30 * time.Second

// world is everything around one test: a host called gpu1, and a user with a
// home, an ssh configuration and a project of their own.
type world struct {
	tb   testing.TB
	kind string
	// root is a short directory that no other test has; processes of this
	// test are known by its name in their environment.
	root string
	// remote is the HOME of sessions on the host.
	remote string
	// config is the user's ssh configuration, proj the project.
	config, proj string
	env          []string
	server       *sshdtest.Server // nil for the sandbox
}

// hostOptions are those that both kinds of host know.
type hostOptions struct {
	Shell       string
	MaxSessions int
	// RC and Extra are for sshd only.
	RC    string
	Extra []string
	// NoSpare leaves no session open for the next command, which must not be
	// where sessions are held or counted.
	NoSpare bool
}

func newWorld(tb testing.TB, kind string, o hostOptions) *world {
	tb.Helper()
	// A control socket's path may have 90 bytes, so the name must be short.
	root, err := os.MkdirTemp("/tmp", "b") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(root) })
	w := &world{tb: tb, kind: kind, root: root, remote: root + "/r", proj: root + "/w/proj"}
	for _, dir := range []string{w.remote, root + "/home", root + "/w"} {
		w.must(os.MkdirAll(dir, 0o700))
	}
	w.write(w.remote+"/.gitconfig", "[user]\n\tname = Remote\n\temail = remote@example.com\n")
	w.write(root+"/gitconfig", "[user]\n\tname = Ann\n\temail = ann@example.com\n")
	w.must(os.CopyFS(w.proj, os.DirFS(os.Getenv(templateVariable))))
	w.addHost(o)
	binary := os.Getenv(binaryVariable)
	w.env = []string{
		"HOME=" + root + "/home", "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"),
		"BIVY_HOME=" + root + "/s", "BIVY_SSH_CONFIG=" + w.config, "TMPDIR=" + root,
		"GIT_CONFIG_GLOBAL=" + root + "/gitconfig", "GIT_CONFIG_NOSYSTEM=1", "TERM=xterm", "LANG=C.UTF-8",
		leak.Mark(), wayVariable + "=" + os.Getenv(wayVariable), "REMOTE=" + w.remote, "PROJ=" + w.proj, "ROOT=" + root,
	}
	if o.NoSpare {
		w.env = append(w.env, "BIVY_SPARE=false")
	}
	return w
}

// addHost starts the host and writes its name into the ssh configuration.
func (w *world) addHost(o hostOptions) {
	if w.kind == kindSSHD {
		w.server = sshdtest.Start(w.tb, sshdtest.Options{
			Home: w.remote, LoginShell: o.Shell, MaxSessions: o.MaxSessions, RC: o.RC, Extra: o.Extra,
		})
		w.config = w.server.ConfigFile
		return
	}
	key := w.root + "/host_key"
	line, err := sandbox.PublicKeyLine(sandbox.Config{Home: w.remote, HostKeyFile: key})
	w.must(err)
	w.write(w.root+"/known_hosts", "gpu1 "+line+"\n")
	flags := ""
	if o.Shell != "" {
		flags += " --login-shell " + o.Shell
	}
	if o.MaxSessions > 0 {
		flags += fmt.Sprintf(" --max-sessions %d", o.MaxSessions)
	}
	// The script counts the logins; ssh itself starts the proxy with exec.
	w.script(w.root+"/proxy", fmt.Sprintf("echo login >>%s/logins\nexec %s sandbox --stdio --home %s --host-key %s%s",
		w.root, os.Getenv(binaryVariable), w.remote, key, flags))
	w.config = w.root + "/ssh_config"
	w.hostBlock("gpu1")
}

// hostBlock gives the host a further name. The lines of ssh_config(5) replace
// what gpu1 has for the same keyword.
func (w *world) hostBlock(name string, lines ...string) {
	if w.kind == kindSSHD {
		w.server.HostBlock(w.tb, name, lines...)
		return
	}
	text, given := "Host "+name+"\n", map[string]bool{}
	for _, line := range lines {
		text += "\t" + line + "\n"
		given[strings.ToLower(strings.Fields(line)[0])] = true
	}
	for _, line := range []string{
		"HostName gpu1", "User ann", "ProxyCommand " + w.root + "/proxy", "UserKnownHostsFile " + w.root + "/known_hosts",
		"GlobalKnownHostsFile none", "StrictHostKeyChecking yes", "IdentityFile none", "IdentityAgent none",
	} {
		if !given[strings.ToLower(strings.Fields(line)[0])] {
			text += "\t" + line + "\n"
		}
	}
	w.append(w.config, text)
}

// logins counts the logins on the host so far.
func (w *world) logins() int {
	if w.kind == kindSSHD {
		return w.server.Logins(w.tb)
	}
	data, _ := os.ReadFile(w.root + "/logins")
	return strings.Count(string(data), "login\n")
}

// result is how one bivy ended.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
}

// spec is a bivy in this world; its environment may be extended.
func (w *world) spec(args ...string) proc.Spec {
	return proc.Spec{Args: append([]string{os.Getenv(binaryVariable)}, args...), Dir: w.proj, Env: w.env}
}

// bivy runs the binary to its end.
func (w *world) bivy(args ...string) result { return w.run(w.spec(args...)) }

func (w *world) run(s proc.Spec) result {
	w.tb.Helper()
	b := w.start(s)
	return b.wait()
}

// wants runs the binary and wants that exit code.
func (w *world) wants(code int, args ...string) result {
	w.tb.Helper()
	got := w.bivy(args...)
	if got.code != code {
		w.tb.Fatalf("bivy %q gives %v; want code %d", args, got, code)
	}
	return got
}

// running is a bivy that runs.
type running struct {
	w              *world
	process        *proc.Process
	stdout, stderr *bytes.Buffer
	cancel         context.CancelFunc
}

func (w *world) start(s proc.Spec) *running {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	b := &running{w: w, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, cancel: cancel}
	if s.Stdout == nil {
		s.Stdout = b.stdout
	}
	if s.Stderr == nil {
		s.Stderr = b.stderr
	}
	var err error
	if b.process, err = proc.Start(ctx, s); err != nil {
		w.tb.Fatal(err)
	}
	return b
}

func (b *running) wait() result {
	b.w.tb.Helper()
	defer b.cancel()
	exit, err := b.process.Wait()
	if err != nil {
		b.w.tb.Errorf("bivy does not end: %v; stdout %q, stderr %q", err, b.stdout, b.stderr)
	}
	return result{exit.Code, b.stdout.String(), b.stderr.String()}
}

func (w *world) must(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) write(path, text string) {
	w.tb.Helper()
	w.must(os.MkdirAll(filepath.Dir(path), 0o700))
	w.must(os.WriteFile(path, []byte(text), 0o600))
}

func (w *world) append(path, text string) {
	w.tb.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	w.must(err)
	_, err = f.WriteString(text)
	w.must(err)
	w.must(f.Close())
}

func (w *world) script(path, text string) {
	w.tb.Helper()
	w.write(path, "#!/bin/sh\n"+text+"\n")
	w.must(os.Chmod(path, 0o700))
}

func (w *world) read(path string) string {
	w.tb.Helper()
	data, err := os.ReadFile(path)
	w.must(err)
	return string(data)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// eventually polls until the condition holds.
func (w *world) eventually(what string, holds func() bool) {
	w.tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			w.tb.Fatalf("after %s it does not hold that %s", patience, what)
		}
	}
}
