package proc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
)

func sh(script string) proc.Spec { return proc.Spec{Args: []string{"sh", "-c", script}} }

func TestRunSaysHowItEnded(t *testing.T) {
	t.Parallel()
	tests := map[string]proc.Exit{
		"exit 0":        {},
		"exit 7":        {Code: 7},
		"exit 255":      {Code: 255},
		"kill -9 $$":    {Code: 137, Signal: syscall.SIGKILL},
		"kill -TERM $$": {Code: 143, Signal: syscall.SIGTERM},
		"exit 137":      {Code: 137},
	}
	for script, want := range tests {
		got, err := proc.Run(t.Context(), sh(script))
		if err != nil || got != want {
			t.Errorf("%s gives %+v, %v; want %+v", script, got, err, want)
		}
	}
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"no-such-program-of-bivy", "/no/such/program"} {
		_, err := proc.Run(t.Context(), proc.Spec{Args: []string{program}})
		var missing *proc.NotFoundError
		if !errors.As(err, &missing) || missing.Program != program {
			t.Errorf("%s gives %v, want a *NotFoundError", program, err)
		}
	}
	if _, err := proc.Run(t.Context(), proc.Spec{}); err == nil {
		t.Error("an empty argv is no error")
	}
}

// The cause of the context is the error, and a child that ignores the polite
// signal is killed after the grace.
func TestContextEndsTheChild(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	s := sh("trap '' TERM; echo ready; while :; do sleep 0.1; done")
	s.Stdout, s.Grace = w, 50*time.Millisecond
	p, err := proc.Start(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	cancel(why)
	exit, err := p.Wait()
	if !errors.Is(err, why) || exit.Signal != syscall.SIGKILL {
		t.Errorf("it ended with %+v, %v; want KILL and %v", exit, err, why)
	}
}

func TestSessionHasNoTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := sh("ps -o pid=,pgid= -p $$; (: </dev/tty) 2>/dev/null || echo none")
	s.Stdout, s.Isolation = &out, proc.Session
	if exit, err := proc.Run(t.Context(), s); err != nil || !exit.OK() {
		t.Fatal(exit, err)
	}
	f := strings.Fields(out.String())
	if len(f) != 3 || f[0] != f[1] || f[2] != "none" {
		t.Errorf("a session says %q, want its own id twice and no terminal", out.String())
	}
}

func TestStartTTY(t *testing.T) {
	t.Parallel()
	p, control, err := proc.StartTTY(t.Context(), sh("stty size; read x; stty size; echo end </dev/tty"), proc.Size{Rows: 33, Cols: 99})
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close() //nolint:errcheck // the test ends
	var seen bytes.Buffer
	buf := make([]byte, 512)
	resized := false
	for !strings.Contains(seen.String(), "end") {
		n, err := control.Read(buf)
		if err != nil {
			t.Fatalf("after %q: %v", seen.String(), err)
		}
		seen.Write(buf[:n])
		if strings.Contains(seen.String(), "33 99") && !resized {
			resized = true
			if err := proc.Resize(control, proc.Size{Rows: 40, Cols: 120}); err != nil {
				t.Fatal(err)
			}
			if _, err := control.WriteString("\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.Contains(seen.String(), "40 120") {
		t.Errorf("the terminal shows %q, want its new size", seen.String())
	}
	if exit, err := p.Wait(); err != nil || !exit.OK() {
		t.Error(exit, err)
	}
	if size, err := proc.SizeOf(control); err != nil || size != (proc.Size{Rows: 40, Cols: 120}) {
		t.Errorf("size %+v, %v", size, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	t.Parallel()
	tail := proc.Tail{Limit: 8}
	for _, s := range []string{"0123", "4567", "89", strings.Repeat("x", 100), "end"} {
		if n, err := tail.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := tail.String(); got != "xxxxxend" {
		t.Errorf("kept %q", got)
	}
}

// What we were started to ignore is not handed down. The signal is one that
// nothing else in this process uses.
func TestUnignoreSignals(t *testing.T) {
	signal.Ignore(syscall.SIGQUIT)
	defer signal.Reset(syscall.SIGQUIT)
	killed := func() bool {
		exit, err := proc.Run(t.Context(), sh("kill -QUIT $$"))
		if err != nil {
			t.Fatal(err)
		}
		return exit.Signal == syscall.SIGQUIT
	}
	if killed() {
		t.Fatal("an ignored signal is not inherited here; the test shows nothing")
	}
	proc.UnignoreSignals()
	if !killed() {
		t.Error("the child still ignores the signal")
	}
}

func TestDirAndFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // the test ends
	s := sh("pwd -P >&3")
	s.Dir, s.Files = dir, []*os.File{w}
	if exit, err := proc.Run(t.Context(), s); err != nil || !exit.OK() {
		t.Fatal(exit, err)
	}
	_ = w.Close()
	got, err := io.ReadAll(r)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(got)), dir) {
		t.Errorf("descriptor 3 got %q, %v; want %s", got, err, dir)
	}
}
