package exec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/mux"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

// world is a real sshd and our masters for it.
type world struct {
	t       testing.TB
	server  *sshdtest.Server
	masters *mux.Masters
	target  mux.Target
	mark    string // the value of markVar
}

func newWorld(t testing.TB, o sshdtest.Options, change ...func(*mux.Config)) *world {
	t.Helper()
	server := sshdtest.Start(t, o)
	// The path of t.TempDir leaves no room for a socket.
	dir, err := os.MkdirTemp("/tmp", "bx") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	cfg := mux.Config{
		Spare: true,
		SSH:   []string{"ssh"}, Holder: []string{self(t)}, Sockets: filepath.Join(dir, "s"), CacheDir: filepath.Join(dir, "c"),
		Env: append(os.Environ(), roleVar+"="+roleHolder, "LC_ALL=C"), Wait: patience, Askpass: os.Getenv("SSH_ASKPASS") != "",
	}
	for _, c := range change {
		c(&cfg)
	}
	masters, err := mux.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, server: server, masters: masters,
		target: mux.Target{Host: "gpu1", User: sshcmd.User{ConfigFile: server.ConfigFile}},
		mark:   strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(lastMark.Add(1), 10),
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:usetesting // the cleanup runs after its end
		defer cancel()
		list, err := masters.List()
		if err != nil {
			t.Error(err)
		}
		for _, m := range list {
			if _, err := masters.CloseID(ctx, m.ID, m.Host); err != nil {
				t.Error(err)
			}
		}
		endMarked(w.mark)
		_ = os.RemoveAll(dir)
	})
	return w
}

// master is the one master of this world.
func (w *world) master() mux.Status {
	w.t.Helper()
	list, err := w.masters.List()
	if err != nil || len(list) != 1 {
		w.t.Fatalf("masters %+v, %v; want one", list, err)
	}
	return list[0]
}

// ran is a command that has ended.
type ran struct {
	Receipt
	err            error
	stdout, stderr string
}

// running is a command that was started.
type running struct {
	stdout, stderr *buffer
	cancel         context.CancelCauseFunc
	done           chan ran
}

// start runs a command in the background. Writers that the command has stay.
func (w *world) start(c Command) *running {
	w.t.Helper()
	ctx, cancel := context.WithCancelCause(w.t.Context())
	w.t.Cleanup(func() { cancel(nil) })
	r := &running{stdout: &buffer{}, stderr: &buffer{}, cancel: cancel, done: make(chan ran, 1)}
	if c.Stdout == nil {
		c.Stdout = r.stdout
	}
	if c.Stderr == nil {
		c.Stderr = r.stderr
	}
	c.Env = append([]EnvVar{{markVar, w.mark}}, c.Env...)
	go func() {
		receipt, err := Run(ctx, w.masters, w.target, c)
		r.done <- ran{Receipt: receipt, err: err, stdout: r.stdout.String(), stderr: r.stderr.String()}
	}()
	return r
}

func (w *world) wait(r *running) ran {
	w.t.Helper()
	select {
	case end := <-r.done:
		return end
	case <-time.After(2 * patience):
		w.t.Fatalf("the command does not end; stdout %q, stderr %q", r.stdout.String(), r.stderr.String())
		return ran{}
	}
}

func (w *world) run(c Command) ran {
	w.t.Helper()
	return w.wait(w.start(c))
}

// ready waits for the word that a command says when it runs.
func (w *world) ready(r *running) {
	w.t.Helper()
	eventually(w.t, func() string { return "the command is not ready" }, func() bool {
		select {
		case end := <-r.done:
			w.t.Fatalf("the command ended before it was ready: %+v", end)
		default:
		}
		return strings.Contains(r.stdout.String(), "ready")
	})
}

// wantExited checks a command that ran to its own end.
func (r ran) wantExited(t testing.TB, code int) {
	t.Helper()
	if r.err != nil || r.State != Exited || r.Code != code || r.Signal != 0 || r.Class != "" || r.PID == 0 || r.Started.IsZero() {
		t.Errorf("receipt %+v, error %v; want an exit with %d; stdout %.300q, stderr %.300q", r.Receipt, r.err, code, r.stdout, r.stderr)
	}
}

// wantCanceled checks a command that was ended for a cause.
func (r ran) wantCanceled(t testing.TB, cause error) {
	t.Helper()
	var canceled *CanceledError
	if r.State != Canceled || !errors.As(r.err, &canceled) || !errors.Is(r.err, cause) {
		t.Fatalf("receipt %+v, error %v; want a cancel for %v", r.Receipt, r.err, cause)
	}
	if !r.Confirmed || !canceled.Confirmed || !canceled.Started {
		t.Errorf("receipt %+v, error %+v; want a start and a confirmed end", r.Receipt, *canceled)
	}
}

// gone waits until nothing of this world's commands lives on the host.
func (w *world) gone() {
	w.t.Helper()
	needProc(w.t)
	awaitGone(w.t, w.mark)
}

// kill ends a process or, negative, a group of the host.
func (w *world) kill(pid int) {
	w.t.Helper()
	if pid == 0 || pid == -1 || pid == 1 {
		w.t.Fatalf("no process to kill: %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
}
