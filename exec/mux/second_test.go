package mux

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

func TestSecondMaster(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, sshdtest.Options{MaxSessions: 10})
	const crowd = 12
	dir := t.TempDir()
	file := func(i int) string { return filepath.Join(dir, fmt.Sprintf("up%d", i)) }
	stop := filepath.Join(dir, "go")
	var wg sync.WaitGroup
	for i := range crowd {
		m := f.masters(t)
		wg.Go(func() {
			l, err := m.Lease(t.Context(), f.target("gpu1"))
			if err != nil {
				t.Errorf("lease %d: %v", i, err)
				return
			}
			defer l.Release()
			if _, err := session(t.Context(), l, ": > "+file(i)+"; while [ ! -e "+stop+" ]; do sleep 0.02; done"); err != nil {
				t.Errorf("command %d: %v", i, err)
			}
		})
	}
	eventually(t, "all commands run at once", func() bool {
		for i := range crowd {
			if !onDisk(file(i)) {
				return false
			}
		}
		return true
	})
	m := f.masters(t)
	list, err := m.List()
	if err != nil || len(list) != 2 || list[0].Busy != DefaultSessions || list[1].Busy != crowd-DefaultSessions ||
		list[1].ID != secondID(list[0].ID) || !list[1].Listening {
		t.Errorf("the masters are %+v, %v", list, err)
	}
	if err := os.WriteFile(stop, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	// The first is preferred.
	if l := lease(t, m, f.target("gpu1")); l.onSecond() {
		t.Error("with all free a lease is on the second master")
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	if closed, err := m.Close(t.Context(), f.target("gpu1")); err != nil || !closed {
		t.Errorf("Close gives %v, %v", closed, err)
	}
	f.nothingLeft(t)
}

// full takes the only session of a route's first master.
func full(t *testing.T, f *fixture, change ...func(*Config)) (*Lease, *Masters) {
	t.Helper()
	change = append(change, func(c *Config) { c.Sessions = 1 })
	m := f.masters(t, change...)
	return lease(t, m, f.target("gpu1")), m
}

func TestLostSecondMasterIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, m := full(t, f)
	second := lease(t, m, f.target("gpu1"))
	if !second.onSecond() || !second.Alive() {
		t.Fatalf("the second lease is on %s", second.ControlPath())
	}
	rec := recordSoon(t, second)
	if closed, err := m.CloseID(t.Context(), second.id, "gpu1"); err != nil || !closed {
		t.Errorf("CloseID gives %v, %v", closed, err)
	}
	eventually(t, "the second master ends", func() bool { return !alive(rec.SSH) })
	first.Release()
	if err := second.Reconnect(t.Context()); err != nil || second.onSecond() || !second.Alive() {
		t.Errorf("Reconnect gives %v, on the second master %v", err, second.onSecond())
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestFailedSecondLoginIsNoError(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, m := full(t, f)
	f.Kill() // the first connection lives on
	got, done := leaseIn(t.Context(), m, f.target("gpu1"))
	eventually(t, "a second login fails", func() bool {
		_, failed := m.readFailure(secondID(first.RouteID()))
		return failed
	})
	if m.mayHaveSecond(first.RouteID()) {
		t.Error("a second login that failed may be tried again at once")
	}
	first.Release()
	if err := ends(t, done); err != nil || got.onSecond() {
		t.Errorf("after a failed second login the lease: %v, on the second master %v", err, got.onSecond())
	}
	got.Release()
}

func TestHumanLoginIsNeverDoubled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, _ := f.asking(t)
	h := newHuman(t)
	got, done := leaseIn(t.Context(), f.masters(t, h.terminal(), func(c *Config) { c.Sessions = 1 }), at)
	h.types(t, "(yes/no/[fingerprint])?", "yes\r")
	if err := ends(t, done); err != nil {
		t.Fatal(err)
	}
	defer got.Release()
	m := f.masters(t, wait(3*secondAfter), func(c *Config) { c.Sessions = 1 })
	busyNow(t, m, at, 1)
	if n := f.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestWhoMayHaveASecondMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, m := full(t, f)
	id := first.RouteID()
	for name, c := range map[string]struct {
		m    *Masters
		want bool
	}{
		"anybody":       {m, true},
		"no patience":   {f.masters(t, wait(0)), false},
		"a long budget": {f.masters(t, wait(time.Hour)), true},
	} {
		if got := c.m.mayHaveSecond(id); got != c.want {
			t.Errorf("%s: a second master %v, want %v", name, got, c.want)
		}
	}
	if m.mayHaveSecond("0000000000000000") {
		t.Error("a second master without a first")
	}
}
