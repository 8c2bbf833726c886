package mux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/frame"
	"bivy/integration/sshdtest"
)

func TestGuardWhereTheHostAllowsOneSession(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	f.Server = sshdtest.Start(t, sshdtest.Options{MaxSessions: 1})
	l := lease(t, f.masters(t), f.target("gpu1"))
	first := f.run(t, l, polite)
	g := first.register(t, l, Run{})
	eventually(t, "it is said that nobody watches", func() bool { return g.Why() == whyAlone })
	g.End()
	if end, ok := report(t, g); ok || g.Watching() || !g.Present() || !first.alive() {
		t.Errorf("without a guardian: report %+v, %v, watching %v, present %v, alive %v", end, ok, g.Watching(), g.Present(), first.alive())
	}
	_ = syscall.Kill(first.pid, syscall.SIGKILL)
	g.Over()
	for range 3 {
		// The host frees a session a little after its end.
		var next *remote
		eventually(t, "the next command gets its session", func() bool {
			next = f.run(t, l, polite)
			return !next.refused
		})
		g := next.register(t, l, Run{})
		if g.Why() != whyAlone || !next.alive() {
			t.Errorf("the next one: why %q, alive %v", g.Why(), next.alive())
		}
		_ = syscall.Kill(next.pid, syscall.SIGKILL)
		g.Over()
	}
}

func TestYieldGuardian(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	f.Server = sshdtest.Start(t, sshdtest.Options{MaxSessions: 2})
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	m.YieldGuardian(t.Context(), newRunID()) // nobody there
	first := f.run(t, l, polite)
	g := first.guard(t, l, Run{})
	if second := f.run(t, l, polite); !second.refused {
		t.Fatal("the guardian takes no session; this test is of no use any more")
	}
	m.YieldGuardian(t.Context(), l.RouteID())
	var second *remote
	eventually(t, "there is a session", func() bool {
		second = f.run(t, l, polite)
		return !second.refused
	})
	eventually(t, "it is said that nobody watches", func() bool { return g.Why() == whyAlone && !g.Watching() })
	if !first.alive() {
		t.Error("the guardian ended a command when it made room")
	}
	m.YieldGuardian(t.Context(), l.RouteID())
	_ = syscall.Kill(second.pid, syscall.SIGKILL)
	third := second.register(t, l, Run{})
	if within(t, 3*time.Second, third.Watching) || third.Why() != whyAlone {
		t.Errorf("after it made room: watching %v, why %q", third.Watching(), third.Why())
	}
}

// guardians are the shells of guardians on the host.
func (f *fixture) guardians(t *testing.T) []int {
	t.Helper()
	var pids []int
	for _, pid := range withEnvironment("BIVY_SSHDTEST=" + f.Dir) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(line), frame.Boot[:20]) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestGuardianComesAndGoes(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l := f.held(t, f.masters(t), f.target("gpu1"), func(s *holderSpec) { s.GuardIdle = 100 * time.Millisecond })
	c := f.run(t, l, polite)
	before := l.Guard(t.Context(), Run{ID: newRunID()})
	if within(t, time.Second, func() bool { return len(f.guardians(t)) > 0 }) {
		t.Error("there is a guardian before any command has started")
	}
	before.Over()
	for range 2 {
		g := c.guard(t, l, Run{})
		g.Over()
		eventually(t, "an idle host has no guardian", func() bool { return len(f.guardians(t)) == 0 })
	}
	g := c.guard(t, l, Run{})
	// All at once: one that lives a little longer sees the end of the session,
	// which looks to it like that of the connection.
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range f.guardians(t) {
			_ = syscall.Kill(pid, sig)
		}
	}
	eventually(t, "the loss of the guardian is told", func() bool { return g.Why() == whyEnded })
	eventually(t, "there is another", func() bool { return g.Watching() && g.Why() == "" })
	if !c.alive() {
		t.Error("the command was ended with its guardian")
	}
	g.End()
	if end, ok := report(t, g); !ok || !end.Found {
		t.Errorf("the other guardian reports %+v, %v", end, ok)
	}
}

func TestOrphanedMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	if m.orphaned(l.RouteID()) {
		t.Error("a master that is held counts as an orphan")
	}
	rec := record(t, l)
	// Where the kernel ends ssh with its holder, one that is stopped stays.
	for _, kill := range []struct {
		pid int
		sig syscall.Signal
	}{{rec.SSH, syscall.SIGSTOP}, {rec.Holder, syscall.SIGKILL}} {
		if err := syscall.Kill(kill.pid, kill.sig); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the master is an orphan", func() bool { return m.orphaned(l.RouteID()) })
	if err := syscall.Kill(rec.SSH, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the socket has no listener", func() bool { return probe(l.ControlPath()) == stale })
	if m.orphaned(l.RouteID()) {
		t.Error("a master that is dead counts as an orphan")
	}
}

// TestGuardianOpens: its session costs no process where sessions are dialled,
// and one of ssh where they are not, or the master cannot be talked to.
func TestGuardianOpens(t *testing.T) {
	t.Parallel()
	onLinux(t)
	for name, c := range map[string]struct {
		way    string
		nodial bool
		calls  int
	}{
		"ssh":      {"ssh", false, 1},
		"auto":     {wayAuto, false, 0},
		"direct":   {wayDirect, false, 0},
		"fallback": {wayAuto, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			l := lease(t, f.masters(t, way(c.way)), f.target("gpu1"))
			if c.nodial {
				l.dialNoMore(t.Context(), errors.New("it is said so"))
			}
			r := f.run(t, l, polite)
			f.calls(t)
			g := r.guard(t, l, Run{})
			if calls := f.calls(t); len(calls) != c.calls {
				t.Errorf("the calls of ssh are %q, want %d", calls, c.calls)
			}
			if pids := f.guardians(t); len(pids) == 0 || !hasName(pids) {
				t.Errorf("no guardian of %v has its name", pids)
			}
			g.End()
			if end, ok := report(t, g); !ok || !end.Found {
				t.Errorf("it reports %+v, %v", end, ok)
			}
			g.Over()
			if logs, _ := filepath.Glob(l.ControlPath() + ".e-*"); len(logs) != c.calls {
				t.Errorf("the logs are %q, want %d", logs, c.calls)
			}
		})
	}
}

// hasName reports whether one of the processes shows as a guardian.
func hasName(pids []int) bool {
	for _, pid := range pids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.HasSuffix(string(line), "\x00"+guardianName+"\x00") {
			return true
		}
	}
	return false
}

// TestGuardianOnAStoppedMaster: the warden goes on while the master does not
// answer, and the guardian is there soon after that does.
func TestGuardianOnAStoppedMaster(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l := lease(t, f.masters(t, way(wayDirect)), f.target("gpu1"))
	c := f.run(t, l, polite)
	pid := record(t, l).SSH
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	first := c.register(t, l, Run{})
	second := l.Guard(t.Context(), Run{ID: newRunID()})
	if !second.Present() {
		t.Errorf("the holder does not answer while its master is stopped: %s", second.Why())
	}
	second.Over()
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command is watched", first.Watching)
	f.masters(t).YieldGuardian(t.Context(), l.RouteID())
	if len(f.guardians(t)) > 0 {
		eventually(t, "the guardian is gone", func() bool { return len(f.guardians(t)) == 0 })
	}
}
