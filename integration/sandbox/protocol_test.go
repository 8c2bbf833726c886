package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"bivy/integration/sandbox"
)

// pipes is one side of a connection.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }

// connection is a client of this process, for what ssh never says, and the
// host it speaks to.
type connection struct {
	*gossh.Client
	home   string
	cancel context.CancelFunc
	served chan struct{}
	err    error // of Serve, once served is closed
}

func connect(t *testing.T, cfg sandbox.Config) *connection {
	t.Helper()
	cfg.Home = filepath.Join(t.TempDir(), "home")
	if err := os.Mkdir(cfg.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	theirIn, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &connection{home: cfg.Home, cancel: cancel, served: make(chan struct{})}
	go func() {
		defer close(c.served)
		c.err = sandbox.Serve(ctx, cfg, pipes{theirIn, theirOut})
	}()
	t.Cleanup(func() { cancel(); <-c.served })
	ours := sandbox.NewConnForTest(pipes{in, out})
	conn, channels, requests, err := gossh.NewClientConn(ours, "sandbox", &gossh.ClientConfig{
		// The real ssh checks the key in the other tests.
		HostKeyCallback: gossh.InsecureIgnoreHostKey(), //nolint:gosec // see above
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Client = gossh.NewClient(conn, channels, requests)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newSession(t *testing.T, c *connection) *gossh.Session {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignals(t *testing.T) {
	t.Parallel()
	s := newSession(t, connect(t, sandbox.Config{}))
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.SendRequest("signal", true, gossh.Marshal(struct{ Name string }{"TERM"})); ok || err != nil {
		t.Errorf("a signal before the start: %v, %v", ok, err)
	}
	// The whole group gets it, as the child's end shows.
	if err := s.Start("sleep 1000 & echo $!; wait"); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.SendRequest("signal", true, gossh.Marshal(struct{ Name string }{"NONSENSE"})); ok || err != nil {
		t.Errorf("a signal that does not exist: %v, %v", ok, err)
	}
	if err := s.Signal(gossh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *gossh.ExitError
	if err := s.Wait(); !errors.As(err, &exit) || exit.Signal() != "TERM" {
		t.Errorf("the end is %v, want signal TERM", err)
	}
	eventually(t, "the child has ended", func() bool { return !alive(child) })
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := connect(t, sandbox.Config{})
	if _, err := c.Dial("tcp", "127.0.0.1:22"); err == nil || !strings.Contains(err.Error(), "prohibited") {
		t.Errorf("direct-tcpip: %v", err)
	}
	if _, err := c.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("tcpip-forward is granted")
	}
	s := newSession(t, c)
	for _, request := range []string{"auth-agent-req@openssh.com", "x11-req", "break", "pty-req", "exec"} {
		if ok, err := s.SendRequest(request, true, nil); ok || err != nil {
			t.Errorf("%s without content: %v, %v", request, ok, err)
		}
	}
	if err := s.Setenv("LC_X", "a\x00b"); err == nil {
		t.Error("a variable with a NUL is taken")
	}
	if err := s.Start("echo a\x00b"); err == nil {
		t.Error("a command with a NUL is started")
	}
	out, err := newSession(t, c).Output("echo on")
	if err != nil || string(out) != "on\n" {
		t.Errorf("after all this a command gives %q, %v", out, err)
	}
}

func TestCommandLineTooLong(t *testing.T) {
	t.Parallel()
	s := newSession(t, connect(t, sandbox.Config{}))
	var words bytes.Buffer
	s.Stderr = &words
	// One argument has 128 KiB on Linux, all have 1 MiB on macOS.
	err := s.Run(": " + strings.Repeat("x", 200<<10) + strings.Repeat(" ", 10))
	var exit *gossh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 1 || !strings.Contains(words.String(), "too long") {
		t.Errorf("%v, stderr %q", err, words.String())
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	const delay = 60 * time.Millisecond
	c := connect(t, sandbox.Config{Delay: delay})
	start := time.Now()
	if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 2*delay {
		t.Errorf("a round trip took %s, want at least %s", took, 2*delay)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
		c := connect(t, sandbox.Config{Delay: delay})
		s := newSession(t, c)
		if err := s.Start("echo $$ >pid; exec sleep 1000"); err != nil {
			t.Fatal(err)
		}
		var pid int
		eventually(t, "the command runs", func() bool {
			text, _ := os.ReadFile(filepath.Join(c.home, "pid"))
			pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return pid > 0
		})
		c.cancel()
		<-c.served
		if !errors.Is(c.err, context.Canceled) {
			t.Errorf("Serve returns %v", c.err)
		}
		if alive(pid) {
			t.Error("the command runs after Serve")
		}
	}
}

func TestServeEndsWithItsClient(t *testing.T) {
	t.Parallel()
	c := connect(t, sandbox.Config{})
	if err := newSession(t, c).Run("true"); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	<-c.served
	if c.err != nil {
		t.Errorf("Serve returns %v", c.err)
	}
}
