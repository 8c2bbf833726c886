package mux

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

// newRunID makes a name for a command.
func newRunID() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}

// onLinux skips where the commands of a test cannot be found.
func onLinux(t *testing.T) {
	t.Helper()
	if !onDisk("/proc/self/environ") {
		// The guardian finds these commands by their environment.
		t.Skip("there is no /proc to find commands in")
	}
}

// held starts a master whose holder has other times than usual, and leases it.
func (f *fixture) held(t *testing.T, m *Masters, at Target, change func(*holderSpec)) *Lease {
	t.Helper()
	r, err := m.route(t.Context(), at, true)
	if err != nil {
		t.Fatal(err)
	}
	features, err := m.features(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spec := m.holderSpec(r, features)
	change(&spec)
	hold, err := m.launch(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.conn.Close() //nolint:errcheck // nothing is left to say
	for msg := (message{}); msg.Kind != kindReady; {
		if err := hold.dec.Decode(&msg); err != nil || msg.Kind == kindExit {
			t.Fatalf("the holder said %+v, %v", msg, err)
		}
	}
	return lease(t, m, at)
}

// remote is a command on the host, under something like a supervisor.
type remote struct {
	id              string
	ssh             *proc.Process
	supervisor, pid int
	refused         bool // there was no session for it
}

func (r *remote) alive() bool { return alive(r.pid) }

const (
	polite   = ``
	stubborn = `trap "" TERM; `
)

// run starts a command in a session of its own.
func (f *fixture) run(t *testing.T, l *Lease, manner string) *remote {
	t.Helper()
	r := &remote{id: newRunID()}
	// Its stdin stays open, as that of a command that has the user's.
	in, script, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(script, "echo $$; BIVY_RUN=%s sh -c '%s echo $$; while :; do sleep 0.1; done'; exit\n", r.id, manner)
	if err != nil {
		t.Fatal(err)
	}
	session := sshcmd.Session{SSH: f.cfg.SSH, ControlPath: l.ControlPath(), Command: "exec sh"}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.ssh, err = proc.Start(ctx, proc.Spec{Args: session.Args(), Env: f.cfg.Env, Stdin: in, Stdout: w, Isolation: proc.Session})
	_, _ = in.Close(), w.Close()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _, _ = r.ssh.Wait(); close(ended) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		_, _ = out.Close(), script.Close()
		for _, pid := range withEnvironment("BIVY_RUN=" + r.id) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if _, err := fmt.Fscan(bufio.NewReader(out), &r.supervisor, &r.pid); err != nil {
		r.refused = true
	}
	return r
}

// guard registers a command that runs, and waits until it is watched.
func (r *remote) guard(t *testing.T, l *Lease, how Run) *Guard {
	t.Helper()
	g := r.register(t, l, how)
	eventually(t, "the command is watched", g.Watching)
	if why := g.Why(); why != "" {
		t.Errorf("it is watched, and yet %q", why)
	}
	return g
}

func (r *remote) register(t *testing.T, l *Lease, how Run) *Guard {
	t.Helper()
	if r.refused {
		t.Fatal("the command got no session")
	}
	how.ID = r.id
	g := l.Guard(t.Context(), how)
	t.Cleanup(g.Over)
	if !g.Present() {
		t.Fatalf("the holder does not answer: %s", g.Why())
	}
	g.Started(r.supervisor)
	return g
}

// report waits for the guardian's report.
func report(t *testing.T, g *Guard) (Ended, bool) {
	t.Helper()
	select {
	case end, ok := <-g.Ended():
		return end, ok
	case <-time.After(patience):
		t.Fatal("the guardian does not report")
		return Ended{}, false
	}
}

func fileMode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
