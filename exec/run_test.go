package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	r := w.run(Command{Script: "echo out; echo err >&2"})
	r.wantExited(t, 0)
	if r.stdout != "out\n" || r.stderr != "err\n" || r.StdoutBytes != 4 || r.StderrBytes != 4 || r.Lingering {
		t.Errorf("receipt %+v, stdout %q, stderr %q", r.Receipt, r.stdout, r.stderr)
	}
	if r.Timing.Connect == 0 || r.Timing.Start == 0 || r.Duration == 0 {
		t.Errorf("timing %+v, duration %s", r.Timing, r.Duration)
	}
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && r.BootID != strings.TrimSpace(string(boot)) {
		t.Errorf("boot id %q, want %q", r.BootID, boot)
	}
	for _, code := range []int{1, 2, 126, 127, 130, 137, 254, 255} {
		r := w.run(Command{Argv: []string{"sh", "-c", fmt.Sprintf("exit %d", code)}})
		r.wantExited(t, code)
		if want := signalPossible(code); r.SignalPossible != want {
			t.Errorf("exit %d may be signal %d, want %d", code, r.SignalPossible, want)
		}
	}
	if n := w.server.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestRunReportsSignals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	for _, sig := range []int{9, 15, 11} {
		r := w.run(Command{Script: fmt.Sprintf("echo x; kill -%d $$", sig)})
		if r.err != nil || r.State != Signaled || r.Signal != sig || r.Code != 0 || r.SignalPossible != 0 || r.stdout != "x\n" || r.stderr != "" {
			t.Errorf("signal %d: receipt %+v, error %v, stdout %q, stderr %q", sig, r.Receipt, r.err, r.stdout, r.stderr)
		}
	}
}

func TestRunPassesEverythingThroughEveryLoginShell(t *testing.T) {
	t.Parallel()
	for _, login := range []string{"sh", "bash", "zsh", "fish", "tcsh", "busybox ash"} {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			requireShell(t, login)
			w := newWorld(t, sshdtest.Options{LoginShell: login, RC: `echo NOISE; sh -c "echo NOISE >&2"`})
			words := hardWords()
			r := w.run(Command{Argv: append([]string{self(t)}, words...), Env: []EnvVar{noSleep, {roleVar, roleArgs}, {"VALUE", words[len(words)-2]}}})
			r.wantExited(t, 0)
			if diff := cmp.Diff(append([]string{words[len(words)-2]}, words...), strings.Split(r.stdout, "\x00")); diff != "" {
				t.Errorf("arguments (-sent +received):\n%s", diff)
			}
			if r.stderr != "" {
				t.Errorf("stderr %q", r.stderr)
			}
			r = w.run(Command{Script: strings.Repeat("# it's \"a\" $long `script`\n", 40_000) + "echo out; echo err >&2; exit 255"})
			r.wantExited(t, 255)
			if r.stdout != "out\n" || r.stderr != "err\n" {
				t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
			}
			data := randomBytes(300 << 10)
			r = w.run(Command{Argv: []string{"cat"}, Stdin: bytes.NewReader(data)})
			r.wantExited(t, 0)
			if r.stdout != string(data) {
				t.Errorf("%d bytes of stdin came back as %d others", len(data), len(r.stdout))
			}
			if n := w.server.Logins(t); n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
		})
	}
}

// requireShell skips where a login shell is not installed.
func requireShell(t testing.TB, name string) {
	t.Helper()
	program, _, _ := strings.Cut(name, " ")
	_, err := proc.Run(t.Context(), proc.Spec{Args: []string{program, "-c", "true"}, Isolation: proc.Session})
	var missing *proc.NotFoundError
	if errors.As(err, &missing) {
		// .ci/run installs all of them; a laptop tests those it has.
		t.Skipf("%s is not installed", program)
	}
}

func randomBytes(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data) // never fails
	return data
}

func TestRunCarriesStdin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	data := randomBytes(3 << 20)
	r := w.run(Command{Argv: []string{"cat"}, Stdin: bytes.NewReader(data)})
	r.wantExited(t, 0)
	if r.stdout != string(data) || r.StdoutBytes != int64(len(data)) {
		t.Errorf("%d bytes of stdin came back as %d others", len(data), len(r.stdout))
	}
	// A command that does not read to the end is not kept waiting by a stdin
	// that never ends.
	in, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	go func() { _, _ = feed.Write([]byte("first\nsecond\n")) }()
	r = w.run(Command{Script: "read line; echo \"$line\"", Stdin: in})
	r.wantExited(t, 0)
	if r.stdout != "first\n" {
		t.Errorf("output %q", r.stdout)
	}
	// Without stdin a command finds an empty one.
	r = w.run(Command{Script: "cat; echo end"})
	r.wantExited(t, 0)
	if r.stdout != "end\n" {
		t.Errorf("output %q", r.stdout)
	}
}

func TestRunDirectories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	home, err := filepath.EvalSymlinks(w.server.Home)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "a b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"": home, "~/a b": home + "/a b", "/": "/"} {
		r := w.run(Command{Dir: dir, Argv: []string{"pwd"}})
		r.wantExited(t, 0)
		if r.stdout != want+"\n" {
			t.Errorf("dir %q is %q, want %q", dir, r.stdout, want)
		}
	}
	r := w.run(Command{Dir: "~/missing", Argv: []string{"touch", "canary"}})
	var not *NotStartedError
	if !errors.As(r.err, &not) || r.State != NeverStarted || not.Dir != "~/missing" || not.Said != nil || r.stdout+r.stderr != "" {
		t.Errorf("receipt %+v, error %#v", r.Receipt, r.err)
	}
}

// A host that runs something of its own in our place has run nothing of ours.
func TestRunOnHostWithForcedCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{ForceCommand: "echo only git is spoken here; exit 3"})
	for _, in := range []io.Reader{nil, strings.NewReader("input")} {
		r := w.run(Command{Script: "touch canary", Stdin: in})
		var not *NotStartedError
		if !errors.As(r.err, &not) || r.State != NeverStarted || not.ExitCode != 3 || r.stdout+r.stderr != "" || not.Said != nil {
			t.Fatalf("receipt %+v, error %v", r.Receipt, r.err)
		}
		if !strings.Contains(r.err.Error(), "only git is spoken here") {
			t.Errorf("the error does not say what the host said: %v", r.err)
		}
	}
	if exists(filepath.Join(w.server.Home, "canary")) {
		t.Error("the command ran")
	}
}

func TestRunChecksTheCommandFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	r := w.run(Command{Argv: []string{"true"}, Env: []EnvVar{{"not a name", ""}}})
	var bad *EnvError
	if r.State != NeverStarted || !errors.As(r.err, &bad) {
		t.Errorf("receipt %+v, error %v", r.Receipt, r.err)
	}
	if n := w.server.Logins(t); n != 0 {
		t.Errorf("%d logins for a command that cannot be sent", n)
	}
}

// A host with room for one session refuses the second; it is tried again and
// nothing runs twice.
func TestRunWaitsForRefusedSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{MaxSessions: 1})
	in, feed := io.Pipe()
	first := w.start(Command{Script: "echo ready; cat", Stdin: in})
	w.ready(first)
	second := w.start(Command{Script: "echo run >>runs; echo all of it"})
	eventually(t, func() string { return "sshd has refused no session" }, func() bool {
		return strings.Contains(w.server.Log(t), "no more sessions")
	})
	_ = feed.Close()
	w.wait(first).wantExited(t, 0)
	r := w.wait(second)
	r.wantExited(t, 0)
	if r.stdout != "all of it\n" || r.Timing.Queue == 0 {
		t.Errorf("output %q, timing %+v", r.stdout, r.Timing)
	}
	if runs, err := os.ReadFile(filepath.Join(w.server.Home, "runs")); string(runs) != "run\n" {
		t.Errorf("runs: %q, %v", runs, err)
	}
	if n := w.server.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestRunWithLoginEnvironment(t *testing.T) {
	t.Parallel()
	const posix = "echo NOISE; PATH=/opt/bivy-test/bin:$PATH; LANG=C.UTF-8; OTHER='a b'; export PATH LANG OTHER"
	for login, rc := range map[string]string{
		"sh": posix, "bash": posix, "zsh": posix,
		"fish": "echo NOISE; set -gx PATH /opt/bivy-test/bin $PATH; set -gx LANG C.UTF-8; set -gx OTHER 'a b'",
		"tcsh": "echo NOISE; setenv PATH /opt/bivy-test/bin:$PATH; setenv LANG C.UTF-8; setenv OTHER 'a b'",
	} {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			requireShell(t, login)
			// The sessions are counted, so there must be no spare ones.
			w := newWorld(t, sshdtest.Options{LoginShell: login, RC: rc}, func(c *mux.Config) { c.Spare = false })
			show := Command{Script: `printf '%s,%s,%s\n' "${PATH%%:*}" "$LANG" "$OTHER"`}
			for want, c := range map[string]Command{
				"/opt/bivy-test/bin,C.UTF-8,":    {Login: LoginPath},
				"/opt/bivy-test/bin,C.UTF-8,a b": {Login: LoginFull},
				"/mine,C.UTF-8,":                 {Login: LoginPath, Env: []EnvVar{{"PATH", "/mine:/bin"}}},
			} {
				c.Script = show.Script
				if c.Login == LoginPath {
					c.Script = "unset OTHER; " + c.Script // the session's own shell may have read it
				}
				r := w.run(c)
				r.wantExited(t, 0)
				if r.stdout != want+"\n" || r.stderr != "" {
					t.Errorf("login %s: output %q, want %q; stderr %q", c.Login, r.stdout, want, r.stderr)
				}
			}
			// The shell was asked once for each of the two, not for each command.
			before := strings.Count(w.server.Log(t), "Starting session")
			w.run(Command{Argv: []string{"true"}, Login: LoginPath}).wantExited(t, 0)
			if after := strings.Count(w.server.Log(t), "Starting session"); before == 0 || after != before+1 {
				t.Errorf("a command more took %d sessions, want 1", after-before)
			}
		})
	}
}

// slowWriter takes its time before the first bytes, as a pager does.
type slowWriter struct {
	wait  <-chan struct{}
	bytes int
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.wait
	w.bytes += len(p)
	return len(p), nil
}

// What a command wrote reaches a reader that takes its time, also when the
// command, its session and ssh are long gone by then.
func TestRunSlowReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	for _, size := range []int{100_000, 900_000, 3_000_000} {
		wait := make(chan struct{})
		out := &slowWriter{wait: wait}
		timer := time.AfterFunc(time.Second, func() { close(wait) })
		receipt, err := Run(t.Context(), w.masters, w.target, Command{Argv: []string{"head", "-c", strconv.Itoa(size), "/dev/zero"}, Stdout: out})
		timer.Stop()
		if err != nil || receipt.State != Exited || out.bytes != size || receipt.StdoutBytes != int64(size) {
			t.Errorf("%d of %d bytes arrived, receipt %+v, error %v", out.bytes, size, receipt, err)
		}
	}
}
