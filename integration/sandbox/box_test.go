package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sandbox"
	"bivy/internal/leak"
)

// box is a sandbox host and what the real ssh needs to speak to it.
type box struct {
	dir, home string
	cfg       sandbox.Config
	env       []string
	options   []string
}

func newBox(t *testing.T, cfg sandbox.Config) *box {
	t.Helper()
	// t.TempDir is too long for a control socket under a long test name.
	dir, err := os.MkdirTemp("", "bvsb") //nolint:usetesting // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	b := &box{dir: dir, home: filepath.Join(dir, "home"), cfg: cfg}
	if err := os.Mkdir(b.home, 0o700); err != nil {
		t.Fatal(err)
	}
	b.cfg.Home = b.home
	key, err := sandbox.PublicKeyLine(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte("sandbox "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SHELL=/bin/sh", "TERM=vt220", leak.Mark(),
		// With -race a program sleeps for a second before it exits.
		"GORACE=atexit_sleep_ms=0",
		configVariable + "=" + string(text),
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	proxy := "'" + strings.ReplaceAll(strings.ReplaceAll(self, "%", "%%"), "'", `'\''`) + "'"
	b.options = []string{
		"-F", "none", "-o", "ProxyCommand=" + proxy, "-o", "UserKnownHostsFile=" + known,
		"-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
		"-o", "IdentityAgent=none", "-o", "IdentityFile=" + filepath.Join(dir, "no-identity"),
		"-o", "LogLevel=ERROR",
	}
	return b
}

// result is all that a caller of ssh sees.
type result struct {
	Code           int
	Stdout, Stderr string
}

// run runs a program of OpenSSH with the box's options before args.
func (b *box) run(t *testing.T, stdin io.Reader, program string, args ...string) result {
	t.Helper()
	return b.exec(t, stdin, append(append([]string{program}, b.options...), args...)...)
}

// ssh runs a command in the box.
func (b *box) ssh(t *testing.T, args ...string) result {
	t.Helper()
	return b.run(t, nil, "ssh", args...)
}

func (b *box) exec(t *testing.T, stdin io.Reader, argv ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{Args: argv, Env: b.env, Stdin: stdin, Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		t.Fatalf("%q: %v; stderr: %s", argv, err, stderr.String())
	}
	return result{exit.Code, stdout.String(), stderr.String()}
}

// start starts ssh and leaves it running until the test's end.
func (b *box) start(t *testing.T, argv ...string) *client {
	t.Helper()
	// A master takes its clients' streams over, and holds them for a while
	// after a client was killed: a pipe would not end with the process.
	stderr, err := os.CreateTemp(b.dir, "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close() //nolint:errcheck // read to its end
	c := &client{stderr: stderr.Name(), ended: make(chan struct{})}
	in, stdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin, c.stdout = stdin, stdout
	// Cleanups run after t.Context has ended.
	ctx := context.WithoutCancel(t.Context())
	p, err := proc.Start(ctx, proc.Spec{Args: argv, Env: b.env, Stdin: in, Stdout: out, Stderr: stderr})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = in.Close(), out.Close()
	c.process = p
	go func() {
		defer close(c.ended)
		c.exit, _ = p.Wait()
	}()
	t.Cleanup(func() {
		_ = p.Signal(syscall.SIGKILL)
		<-c.ended
		_, _ = stdin.Close(), stdout.Close()
	})
	return c
}

// client is an ssh that runs.
type client struct {
	process       *proc.Process
	stdin, stdout *os.File
	stderr        string // a file
	ended         chan struct{}
	exit          proc.Exit // once ended is closed
}

// line reads one line of what the command prints.
func (c *client) line(t *testing.T) string {
	t.Helper()
	_ = c.stdout.SetReadDeadline(time.Now().Add(20 * time.Second))
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := c.stdout.Read(b); err != nil {
			t.Fatalf("after %q: %v; stderr: %s", line, err, c.words())
		}
		if b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r")
		}
		line = append(line, b[0])
	}
}

// words returns what ssh and the command have said on stderr.
func (c *client) words() string {
	text, _ := os.ReadFile(c.stderr)
	return string(text)
}

// pid reads a line that is a process id.
func (c *client) pid(t *testing.T) int {
	t.Helper()
	line := c.line(t)
	pid, err := strconv.Atoi(line)
	if err != nil || pid < 2 {
		t.Fatalf("%q is no process id", line)
	}
	return pid
}

// wait waits for the end of ssh.
func (c *client) wait(t *testing.T) {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("ssh does not end; stderr: %s", c.words())
	}
}

func (c *client) kill(t *testing.T) {
	t.Helper()
	if err := c.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.wait(t)
}

// master starts a shared connection and returns the argv of an ssh that can
// use this connection only.
func (b *box) master(t *testing.T) (m *client, warm []string) {
	t.Helper()
	socket := b.socket()
	m = b.start(t, append(append([]string{"ssh"}, b.options...), "-M", "-S", socket, "-N", "sandbox")...)
	eventually(t, "the master answers", func() bool { return b.wake(t) })
	return m, []string{
		"ssh", "-F", "none", "-S", socket, "-o", "ControlMaster=no", "-o", "ProxyCommand=false",
		"-o", "BatchMode=yes", "x",
	}
}

func (b *box) socket() string { return filepath.Join(b.dir, "s") }

// wake asks whether the master answers. It has a side effect that tests need:
// after the end of a client that was killed, an idle master closes that client's
// channel only with the next packet or request that it sees (OpenSSH 9.2p1). If
// the host's version says OpenSSH it sends one itself, eow@openssh.com.
func (b *box) wake(t *testing.T) bool {
	t.Helper()
	return b.exec(t, nil, "ssh", "-F", "none", "-S", b.socket(), "-O", "check", "x").Code == 0
}

// eventually polls a condition until a generous deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("in 20 s this has not happened: %s", what)
		}
	}
}

// alive reports a process that has not ended. One that has and whose parent
// does not care counts as ended; without /proc nobody can tell.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		_, err := os.Stat("/proc/self/stat")
		return err != nil
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// exists says whether the box's home has the file with this text.
func (b *box) exists(name, text string) bool {
	got, err := os.ReadFile(filepath.Join(b.home, name))
	return err == nil && string(got) == text
}
