package exec

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

func TestRunTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	in, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	for name, stdin := range map[string]io.Reader{"lifeline": nil, "stdin": in} {
		t.Run(name, func(t *testing.T) {
			r := w.run(Command{Script: "echo out; sleep 1000 & sleep 1001", Timeout: 200 * time.Millisecond, Stdin: stdin})
			var late *TimeoutError
			if r.State != TimedOut || !errors.As(r.err, &late) || !r.Confirmed || !late.Confirmed || late.After != 200*time.Millisecond {
				t.Errorf("receipt %+v, error %v", r.Receipt, r.err)
			}
			if r.Duration < 200*time.Millisecond {
				t.Errorf("it ran %s only", r.Duration)
			}
			w.gone()
		})
	}
	// A command that ends in time is not touched.
	w.run(Command{Script: "exit 4", Timeout: patience}).wantExited(t, 4)
}

func TestRunCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	in, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	cause := errors.New("changed my mind")
	for name, c := range map[string]Command{
		"lifeline":                  {Script: "echo ready; sleep 1000"},
		"lifeline, stubborn":        {Script: "trap '' TERM; echo ready; sleep 1000 & while :; do sleep 1; done", Grace: time.Second},
		"lifeline, cleans up":       {Script: "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.1; done"},
		"user's stdin":              {Script: "echo ready; cat", Stdin: in},
		"user's stdin, stubborn":    {Script: "trap '' TERM; echo ready; sleep 1000 & while :; do sleep 1; done", Stdin: in, Grace: time.Second},
		"stdin that was not read":   {Script: "echo ready; sleep 1000", Stdin: in},
		"long script":               {Script: strings.Repeat("# filler\n", 20_000) + "echo ready; sleep 1000"},
		"program named like option": {Argv: []string{"sh", "-c", "echo ready; sleep 1000"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.start(c)
			w.ready(r)
			r.cancel(cause)
			end := w.wait(r)
			end.wantCanceled(t, cause)
			if strings.Contains(name, "cleans") && end.stdout != "ready\ncleaned\n" {
				t.Errorf("output %q", end.stdout)
			}
			w.gone()
		})
	}
	if n := w.server.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

// A host whose shell is slow to start gets the whole frame before the cancel.
// What then starts all the same is ended all the same.
func TestRunCanceledBeforeTheStart(t *testing.T) {
	t.Parallel()
	requireShell(t, "bash")
	in, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	cause := errors.New("too late")
	for name, stdin := range map[string]io.Reader{"lifeline": nil, "stdin": in} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sshdtest.Options{LoginShell: "bash", RC: "while [ -e wait ]; do : >waiting; sleep 0.1; done"})
			w.run(Command{Argv: []string{"touch", "wait"}}).wantExited(t, 0)
			r := w.start(Command{Script: ": >ran; sleep 1000", Stdin: stdin, Grace: patience / 5})
			eventually(t, func() string { return "the login shell does not wait" }, func() bool {
				return exists(filepath.Join(w.server.Home, "waiting"))
			})
			r.cancel(cause)
			if err := os.Remove(filepath.Join(w.server.Home, "wait")); err != nil {
				t.Fatal(err)
			}
			end := w.wait(r)
			if end.State != Canceled || !errors.Is(end.err, cause) {
				t.Errorf("receipt %+v, error %v", end.Receipt, end.err)
			}
			if end.Started.IsZero() && exists(filepath.Join(w.server.Home, "ran")) {
				t.Errorf("the command ran, which the receipt does not say: %+v", end.Receipt)
			}
			w.gone()
		})
	}
}

// brokenWriter fails as a pipe does whose reader has gone.
type brokenWriter struct{ left int }

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, &brokenError{}
	}
	return len(p), nil
}

type brokenError struct{}

func (*brokenError) Error() string { return "write: broken pipe" }
func (*brokenError) Unwrap() error { return syscall.EPIPE }

func TestRunEndsWithItsReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	for name, c := range map[string]Command{
		"stdout": {Script: "exec yes", Stdout: &brokenWriter{1 << 20}},
		"stderr": {Script: "exec yes >&2", Stderr: &brokenWriter{1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.run(c)
			var output *OutputError
			if r.State != Canceled || !r.Confirmed || !errors.As(r.err, &output) || !output.Ended || !errors.Is(output, syscall.EPIPE) {
				t.Errorf("receipt %+v, error %v; want it ended for the writer's error", r.Receipt, r.err)
			}
			w.gone()
		})
	}
}

// What the command leaves behind does not keep us, and we say that it is there.
func TestRunLeavesBackgroundChildren(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	for name, c := range map[string]struct {
		script    string
		stdin     io.Reader
		lingering bool
	}{
		"holds stdout and stderr": {"sleep 1000 & echo out; exit 3", nil, true},
		"holds stderr":            {"sleep 1000 >/dev/null & echo out; exit 3", nil, true},
		"holds stdout, stdin":     {"sleep 1000 2>/dev/null & echo out; exit 3", strings.NewReader("x"), true},
		"holds nothing":           {"sleep 1000 >/dev/null 2>&1 & echo out; exit 3", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.run(Command{Script: c.script, Stdin: c.stdin})
			r.wantExited(t, 3)
			if r.stdout != "out\n" || r.Lingering != c.lingering {
				t.Errorf("output %q, lingering %v", r.stdout, r.Lingering)
			}
		})
	}
}

func TestRunLosesItsMaster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	for name, lose := range map[string]func(){
		"master killed":     func() { w.kill(w.master().SSH) },
		"connection killed": w.server.KillConnections,
	} {
		t.Run(name, func(t *testing.T) {
			r := w.start(Command{Script: "echo ready; sleep 1000"})
			w.ready(r)
			lose()
			end := w.wait(r)
			var lost *LostError
			if end.State != Unknown || !errors.As(end.err, &lost) || !lost.Started || lost.MasterAlive || end.Confirmed {
				t.Errorf("receipt %+v, error %v", end.Receipt, end.err)
			}
			if end.stdout != "ready\n" {
				t.Errorf("output %q", end.stdout)
			}
			// The lifeline ended with the connection.
			w.gone()
			// The next command logs in again.
			w.run(Command{Script: "exit 5"}).wantExited(t, 5)
		})
	}
}

// Something on the host ends the session, not the link.
func TestRunLosesItsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	needProc(t)
	// The supervisor leads its session; the sixth field is that session's id.
	r := w.start(Command{Script: "read -r stat </proc/self/stat; set -- ${stat##*) }; echo \"$4 ready\"; sleep 1000"})
	w.ready(r)
	number, _, _ := strings.Cut(r.stdout.String(), " ")
	session, err := strconv.Atoi(number)
	if err != nil || session < 2 {
		t.Fatalf("output %q", r.stdout.String())
	}
	w.kill(-session)
	end := w.wait(r)
	var lost *LostError
	if end.State != Unknown || !errors.As(end.err, &lost) || !lost.Started || !lost.MasterAlive || end.PID != session {
		t.Errorf("receipt %+v, error %v", end.Receipt, end.err)
	}
	w.gone()
	w.run(Command{Script: "exit 6"}).wantExited(t, 6)
	if n := w.server.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1: the link was not lost", n)
	}
}

// Output that cannot be passed on is an error even where the command has ended
// by itself before anybody noticed.
func TestRunSaysThatOutputWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	r := w.run(Command{Script: "echo x", Stdout: &brokenWriter{0}})
	var output *OutputError
	if !errors.As(r.err, &output) || !errors.Is(output, syscall.EPIPE) {
		t.Errorf("receipt %+v, error %v; want the writer's error", r.Receipt, r.err)
	}
}
