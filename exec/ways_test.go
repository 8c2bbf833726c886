package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

// TestOverSSH runs the tests of whole commands again, in a process of its own,
// with an ssh process for each session.
func TestOverSSH(t *testing.T) {
	if os.Getenv(wayVar) != "" {
		// This is the process that it starts, or somebody chose a way.
		t.Skip(wayVar + " is set")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	var out bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args: []string{self(t), "-test.v", "-test.run", "^(TestRun|TestMoreCommands|TestHostWithout|TestTerminal|TestOneAfterTheOther)"},
		Env:  append(os.Environ(), wayVar+"="+wayClient), Stdout: &out, Stderr: &out,
	})
	if err != nil || !exit.OK() || !strings.Contains(out.String(), "--- PASS: TestRunCancel") {
		t.Errorf("the tests end with %v, %v:\n%s", exit, err, out.String())
	}
}

// logSSH puts an ssh in front of the real one that writes down its arguments.
func logSSH(t testing.TB) (calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%s/calls\nexec %s \"$@\"\n", dir, sshPath(t))
	// A process that is forked meanwhile would have the file open for writing,
	// and nobody could run it until that one execs.
	syscall.ForkLock.RLock()
	err := os.WriteFile(dir+"/ssh", []byte(text), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() []string {
		data, err := os.ReadFile(dir + "/calls")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
}

func sshPath(t testing.TB) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, "ssh")); err == nil && info.Mode()&0o111 != 0 {
			return filepath.Join(dir, "ssh")
		}
	}
	t.Fatal("there is no ssh on PATH")
	return ""
}

// TestWarmCommandsStartNothing: once a master is up, commands cost no process,
// where they are dialled. The holder may start its guardian meanwhile.
func TestWarmCommandsStartNothing(t *testing.T) {
	const commands = 20
	for _, way := range []string{wayDirect, wayClient, "auto", ""} {
		t.Run("way "+way, func(t *testing.T) {
			t.Setenv(wayVar, way)
			calls := logSSH(t)
			w := newWorld(t, sshdtest.Options{})
			w.run(Command{Script: "true"}).wantExited(t, 0)
			before := len(calls())
			for range commands {
				w.run(Command{Script: "exit 3"}).wantExited(t, 3)
			}
			list := calls()[before:]
			if way == wayClient {
				if len(list) < commands {
					t.Errorf("%d calls of ssh for %d commands", len(list), commands)
				}
			} else if len(list) > 1 {
				t.Errorf("%d calls of ssh: %q", len(list), list)
			}
		})
	}
}

// TestFallsBackToSSH: a master that cannot be talked to directly, as its first
// word shows, is talked to by ssh, and then from the start.
func TestFallsBackToSSH(t *testing.T) {
	for _, way := range []string{"auto", wayDirect} {
		t.Run("way "+way, func(t *testing.T) {
			t.Setenv(wayVar, way)
			calls := logSSH(t)
			// A spare would leave the first connection to the second command.
			w := newWorld(t, sshdtest.Options{}, func(c *mux.Config) { c.Spare = false })
			lease, err := w.masters.Lease(t.Context(), w.target)
			if err != nil {
				t.Fatal(err)
			}
			defer lease.Release()
			// The lease has a connection for its first session.
			receipt, err := RunOn(t.Context(), lease, Command{Script: "exit 2"})
			ran{Receipt: receipt, err: err}.wantExited(t, 2)
			strange := startStrange(t, lease.ControlPath())
			receipt, err = RunOn(t.Context(), lease, Command{Script: "exit 3"})
			strange.Wait()
			if way == wayDirect {
				var protocol *mux.ProtocolError
				if !errors.As(err, &protocol) || receipt.State != NeverStarted {
					t.Errorf("the receipt is %+v, the error %v", receipt, err)
				}
				return
			}
			ran{Receipt: receipt, err: err}.wantExited(t, 3)
			before := len(calls())
			receipt, err = RunOn(t.Context(), lease, Command{Script: "exit 4"})
			ran{Receipt: receipt, err: err}.wantExited(t, 4)
			if n := len(calls()) - before; n == 0 {
				t.Error("the next command was dialled")
			}
		})
	}
}

// startStrange takes the place of a master for one connection, on which it
// says what no master says.
func startStrange(t *testing.T, socket string) *sync.WaitGroup {
	t.Helper()
	if err := os.Rename(socket, socket+"~"); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	_ = listener.SetDeadline(time.Now().Add(patience))
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		defer listener.Close() //nolint:errcheck // the test is over for it
		conn, err := listener.Accept()
		if err == nil {
			err = os.Rename(socket+"~", socket)
		}
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x05"))
		_ = conn.Close()
	})
	return &done
}

// TestCanceledWhileDialling: who is told to end while nobody answers ends.
func TestCanceledWhileDialling(t *testing.T) {
	if os.Getenv(wayVar) == wayClient {
		// An ssh that waits for its master is covered elsewhere.
		t.Skip("nothing is dialled")
	}
	w := newWorld(t, sshdtest.Options{})
	lease, err := w.masters.Lease(t.Context(), w.target)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	pid := w.master().SSH
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT) //nolint:errcheck // the world ends it
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	timer := time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	defer timer.Stop()
	receipt, err := RunOn(ctx, lease, Command{Script: "true"})
	var canceled *CanceledError
	if receipt.State != Canceled || !errors.As(err, &canceled) || !errors.Is(err, cause) || canceled.Started {
		t.Errorf("the receipt is %+v, the error %v", receipt, err)
	}
}

// BenchmarkRun compares the ways: time and processor time of a warm command,
// that of the ssh process, where there is one, included; not the master's.
func BenchmarkRun(b *testing.B) {
	for _, way := range []string{wayDirect, wayClient} {
		b.Run(way, func(b *testing.B) {
			b.Setenv(wayVar, way)
			w := newWorld(b, sshdtest.Options{})
			w.run(Command{Script: "true"}).wantExited(b, 0)
			before := cpu(b)
			for b.Loop() {
				r, err := Run(b.Context(), w.masters, w.target, Command{Script: "true"})
				if err != nil || r.State != Exited || r.Code != 0 {
					b.Fatalf("receipt %+v, error %v", r, err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpu is the processor time of this process and of its children that ended.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}
