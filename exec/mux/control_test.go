package mux

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

// way has the masters of a fixture talked to in one way.
func way(value string) func(*Config) {
	return func(c *Config) { c.Env = append(c.Env[:len(c.Env):len(c.Env)], muxVar+"="+value) }
}

// ways are all ways in which masters are talked to.
var ways = []string{"ssh", wayAuto, wayDirect}

// TestOverTheOtherWay runs the tests of what asks and ends masters again, in a
// process of its own: dialled where ssh is the default, and else with ssh.
func TestOverTheOtherWay(t *testing.T) {
	t.Parallel()
	if os.Getenv(muxVar) != "" {
		// This is the process that it starts, or somebody chose a way.
		t.Skip(muxVar + " is set")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := wayDirect
	if dials, _ := newFakeMaster(t, func(*net.UnixConn) {}, muxVar+"=").Dials(); dials {
		other = "ssh"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*patience)
	defer cancel()
	var out bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args: []string{
			self, "-test.v", "-test.parallel=8", "-test.run",
			"Stopped|Close|Killed|Foreign|Orphan|UsersMaster|OwnMaster|WorkingMaster|Yield|GuardianComes|AllowsOne",
		},
		Env: append(os.Environ(), muxVar+"="+other), Stdout: &out, Stderr: &out,
	})
	if err != nil || !exit.OK() || !strings.Contains(out.String(), "--- PASS: TestStoppedMasterIsReplacedOnce") {
		t.Errorf("over %s the tests end with %v, %v:\n%s", other, exit, err, out.String())
	}
}

func TestCheckStopAndTerminate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, value := range ways {
		m := f.masters(t, way(value))
		l := lease(t, m, f.target("gpu1"))
		f.calls(t)
		rec := record(t, l)
		if pid, err := l.Check(t.Context()); err != nil || pid != rec.SSH {
			t.Errorf("%s: Check gives %d, %v; want %d", value, pid, err, rec.SSH)
		}
		// A master without sessions ends as soon as it takes no more.
		if err := l.StopListening(t.Context()); err != nil {
			t.Errorf("%s: StopListening: %v", value, err)
		}
		eventually(t, "the master has stopped", func() bool { return probe(l.ControlPath()) != listening })
		var said *sshcmd.Error
		if _, err := l.Check(t.Context()); !errors.As(err, &said) || said.Class != sshcmd.ClassMux || !strings.HasPrefix(said.Line, "Control socket connect(") {
			t.Errorf("%s: Check of nobody gives %v", value, err)
		}
		calls := f.calls(t)
		if (value == "ssh") != (len(calls) == 3) || value != "ssh" && len(calls) > 0 {
			t.Errorf("%s: the calls of ssh are %q", value, calls)
		}
		if err := syscall.Kill(rec.SSH, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		l.Release()
		eventually(t, "the holder has ended", func() bool { return len(f.processes(t)) == 0 })

		l = lease(t, m, f.target("gpu1"))
		f.calls(t)
		if err := l.Terminate(t.Context()); err != nil {
			t.Errorf("%s: Terminate: %v", value, err)
		}
		l.Release()
		f.nothingLeft(t)
		if n := len(f.calls(t)); (value == "ssh") != (n > 0) {
			t.Errorf("%s: %d calls of ssh", value, n)
		}
	}
}

// TestOwnMasterTakesNoOrders: the user's own master is never ended.
func TestOwnMasterTakesNoOrders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, socket := f.ownMaster(t, true)
	l := lease(t, f.masters(t, ride, way(wayAuto)), at)
	var own *OwnMasterError
	for _, err := range []error{l.StopListening(t.Context()), l.Terminate(t.Context())} {
		if !errors.As(err, &own) || !own.Closing || own.Path != socket {
			t.Errorf("an order gives %v", err)
		}
	}
	if pid, err := l.Check(t.Context()); err != nil || pid != f.ownPID(t, socket) {
		t.Errorf("Check gives %d, %v", pid, err)
	}
}

// TestControlStartsNothing: on a warm host what asks and ends a master starts
// no process.
func TestControlStartsNothing(t *testing.T) {
	t.Parallel()
	for _, value := range []string{wayAuto, wayDirect} {
		t.Run("way "+value, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			m := f.masters(t, way(value))
			l := lease(t, m, f.target("gpu1"))
			f.calls(t)
			if !l.Responsive(t.Context()) {
				t.Error("the master does not answer")
			}
			if err := m.Check(t.Context(), f.target("gpu1")); err != nil {
				t.Errorf("Check: %v", err)
			}
			if list, err := m.List(); err != nil || len(list) != 1 || !list[0].Listening {
				t.Errorf("List gives %+v, %v", list, err)
			}
			if err := l.Replace(t.Context()); err != nil {
				t.Errorf("Replace: %v", err)
			}
			pid := record(t, l).SSH
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			var silent *SilentError
			if _, err := l.Check(t.Context()); !errors.As(err, &silent) || silent.After != controlDeadline {
				t.Errorf("a check of a stopped master gives %v", err)
			}
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if closed, err := m.Close(t.Context(), f.target("gpu1")); err != nil || !closed {
				t.Errorf("Close gives %v, %v", closed, err)
			}
			if calls := f.calls(t); len(calls) != 0 {
				t.Errorf("ssh was started: %q", calls)
			}
		})
	}
}

// TestSlowMasterIsKept: one that is stopped for a moment is late, and no more.
// The user's own has less time, and so the moment is shorter, lest this machine
// makes it too long.
func TestSlowMasterIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, socket := f.ownMaster(t, true)
	for name, c := range map[string]struct {
		m     *Masters
		at    Target
		pause time.Duration
	}{
		"ours": {f.masters(t, way(wayAuto)), f.target("gpu1"), 500 * time.Millisecond},
		"own":  {f.masters(t, ride, way(wayAuto)), at, 250 * time.Millisecond},
	} {
		l := lease(t, c.m, c.at)
		pid := f.ownPID(t, socket)
		if name == "ours" {
			pid = record(t, l).SSH
		}
		for what, do := range map[string]func() error{
			"Check":     func() error { _, err := l.Check(t.Context()); return err },
			"Reconnect": func() error { return l.Reconnect(t.Context()) },
			"Replace":   func() error { return l.Replace(t.Context()) },
		} {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(c.pause, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
			err := do()
			timer.Stop()
			_ = syscall.Kill(pid, syscall.SIGCONT)
			if err != nil {
				t.Errorf("%s: %s on a slow master gives %v", name, what, err)
			}
		}
		if !alive(pid) || probe(l.ControlPath()) != listening {
			t.Errorf("%s: a slow master was ended", name)
		}
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want the user's and ours", n)
	}
}

// TestManyChecks: a master that many ask at once answers all of them.
func TestManyChecks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := lease(t, f.masters(t, way(wayAuto)), f.target("gpu1"))
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			for range 5 {
				if _, err := l.Check(t.Context()); err != nil {
					t.Errorf("one of many checks gives %v", err)
				}
			}
		})
	}
	wg.Wait()
}
