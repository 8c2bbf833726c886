package mux

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

// dialled is a session that a test has dialled.
type dialled struct {
	*Channel
	stdin          *os.File
	stdout, stderr *os.File
	said           string // of a dial in vain
	done           chan end
}

type end struct {
	exit proc.Exit
	err  error
}

// dial opens a session and waits for its end in the background.
func dial(t *testing.T, l *Lease, command string) (*dialled, error) {
	t.Helper()
	var pipes [3][2]*os.File
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		pipes[i] = [2]*os.File{r, w}
	}
	s := sshcmd.Session{ControlPath: l.ControlPath(), Command: command}
	c, err := l.Dial(t.Context(), s, pipes[0][0], pipes[1][1], pipes[2][1])
	_, _, _ = pipes[0][0].Close(), pipes[1][1].Close(), pipes[2][1].Close()
	d := &dialled{Channel: c, stdin: pipes[0][1], stdout: pipes[1][0], stderr: pipes[2][0], done: make(chan end, 1)}
	if err != nil {
		var said *sshcmd.Error
		if errors.As(err, &said) {
			d.said = said.Log
		}
		return d, err
	}
	go func() {
		exit, err := c.Wait()
		d.done <- end{exit, err}
	}()
	t.Cleanup(func() { _ = c.Signal(syscall.SIGKILL) })
	return d, nil
}

func (d *dialled) wait(t *testing.T) end {
	t.Helper()
	select {
	case e := <-d.done:
		d.done <- e
		return e
	case <-time.After(patience):
		t.Fatal("the session does not end")
		return end{}
	}
}

// words are what ssh would have said.
func (d *dialled) words() string {
	if d.Channel == nil {
		return d.said
	}
	return d.Words()
}

// wantClass checks what a session ended with.
func wantClass(t *testing.T, err error, class sshcmd.Class) {
	t.Helper()
	var said *sshcmd.Error
	if !errors.As(err, &said) || said.Class != class {
		t.Errorf("the error is %v, want one of class %q", err, class)
	}
}

// TestDial: a session has its three streams and its status, and costs no
// process.
func TestDial(t *testing.T) {
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	f.calls(t)
	for _, code := range []string{"0", "7", "255"} {
		d, err := dial(t, l, `read -r line; echo "out $line"; echo "err $line" >&2; exit `+code)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(d.stdin, "words\n"); err != nil {
			t.Error(err)
		}
		out, err := io.ReadAll(d.stdout)
		if string(out) != "out words\n" || err != nil {
			t.Errorf("stdout is %q, %v", out, err)
		}
		bad, err := io.ReadAll(d.stderr)
		if string(bad) != "err words\n" || err != nil {
			t.Errorf("stderr is %q, %v", bad, err)
		}
		if e := d.wait(t); e.err != nil || e.exit.String() != "ended with "+code {
			t.Errorf("the session ended with %+v, want %s", e, code)
		}
		if d.words() != "" {
			t.Errorf("the log says %q", d.words())
		}
	}
	if calls := f.calls(t); len(calls) != 0 {
		t.Errorf("ssh was started: %q", calls)
	}
}

// TestDialBulk: the master sets our pipes to its needs, and nothing is lost.
func TestDialBulk(t *testing.T) {
	f := newFixture(t)
	d, err := dial(t, lease(t, f.masters(t), f.target("gpu1")), "cat")
	if err != nil {
		t.Fatal(err)
	}
	const size = 20 << 20
	go func() {
		_, _ = io.CopyN(d.stdin, zeros{}, size)
		_ = d.stdin.Close()
	}()
	n, err := io.Copy(io.Discard, d.stdout)
	if n != size || err != nil {
		t.Errorf("%d bytes came back, %v; want %d", n, err, size)
	}
	if e := d.wait(t); e.err != nil || !e.exit.OK() {
		t.Errorf("the session ended with %+v", e)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestDialRefused(t *testing.T) {
	f := newFixtureWith(t, sshdtest.Options{Extra: []string{"MaxSessions 0"}})
	d, err := dial(t, lease(t, f.masters(t), f.target("gpu1")), "true")
	if err != nil {
		t.Fatal(err)
	}
	e := d.wait(t)
	wantClass(t, e.err, sshcmd.ClassMuxRefused)
	if said := sshcmd.ClassifySession("gpu1", e.exit.Code, d.words()); said.Class != sshcmd.ClassMuxRefused || e.exit.Code != 255 {
		t.Errorf("status %d, log %q, of class %s", e.exit.Code, d.words(), said.Class)
	}
}

// TestDialSignal: the end of a client is the end of the session's stdin.
func TestDialSignal(t *testing.T) {
	f := newFixture(t)
	d, err := dial(t, lease(t, f.masters(t), f.target("gpu1")), "echo up; cat; : >over")
	if err != nil {
		t.Fatal(err)
	}
	var up [3]byte
	if _, err := io.ReadFull(d.stdout, up[:]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	if e := d.wait(t); e.exit.Code != 255 || !errors.Is(e.err, net.ErrClosed) || d.words() != "" {
		t.Errorf("the session ended with %+v, log %q", e, d.words())
	}
	over := filepath.Join(f.Server.Home, "over")
	eventually(t, "the command has seen the end of its stdin", func() bool { return onDisk(over) })
}

// TestDialDeath: a command that died of a signal has no status.
func TestDialDeath(t *testing.T) {
	f := newFixture(t)
	d, err := dial(t, lease(t, f.masters(t), f.target("gpu1")), "kill -9 $PPID; kill -9 $$")
	if err != nil {
		t.Fatal(err)
	}
	e := d.wait(t)
	wantClass(t, e.err, sshcmd.ClassNone)
	if e.exit.Code != 255 {
		t.Errorf("the status is %d", e.exit.Code)
	}
}

func TestDialLostMaster(t *testing.T) {
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	d, err := dial(t, l, "echo up; sleep 1000")
	if err != nil {
		t.Fatal(err)
	}
	var up [3]byte
	if _, err := io.ReadFull(d.stdout, up[:]); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(record(t, l).SSH, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e := d.wait(t)
	wantClass(t, e.err, sshcmd.ClassNone)
	if e.exit.Code != 255 || d.words() != "" {
		t.Errorf("status %d, log %q", e.exit.Code, d.words())
	}
	if l.Alive() {
		t.Error("the session is lost, and the master that was killed still listens")
	}
	eventually(t, "the holder has ended", func() bool { return len(f.processes(t)) == 0 })
	d, err = dial(t, l, "true")
	wantClass(t, err, sshcmd.ClassMux)
	if !strings.HasPrefix(d.words(), "Control socket connect(") {
		t.Errorf("the log says %q", d.words())
	}
}

// TestDialWedged: a master that is stopped is given up in time.
func TestDialWedged(t *testing.T) {
	f := newFixture(t)
	l := lease(t, f.masters(t, func(c *Config) { c.Env = append(c.Env[:len(c.Env):len(c.Env)], muxVar+"="+wayAuto) }), f.target("gpu1"))
	pid := record(t, l).SSH
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT) //nolint:errcheck // it is ended next
	began := time.Now()
	d, err := dial(t, l, "true")
	wantClass(t, err, sshcmd.ClassMux)
	if took := time.Since(began); took > 5*dialDeadline {
		t.Errorf("that took %s", took)
	}
	if !strings.Contains(d.words(), "master hello exchange failed") {
		t.Errorf("the log says %q", d.words())
	}
	if may, _ := l.Dials(); !may {
		t.Error("a master that was stopped is not dialled any more")
	}
}
