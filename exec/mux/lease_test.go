package mux

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func wait(d time.Duration) func(*Config) { return func(c *Config) { c.Wait = d } }

// sessions limits a route to so many, since a second master, which would give
// as many again, is never made where SSH_ASKPASS may ask.
func sessions(n int) func(*Config) {
	return func(c *Config) {
		c.Sessions = n
		oneMaster(c)
	}
}

func oneMaster(c *Config) { c.Askpass = true }

func idle(d time.Duration) func(*Config) { return func(c *Config) { c.Idle = d } }

// busyNow checks that no session is free, without waiting for one.
func busyNow(t *testing.T, m *Masters, at Target, of int) {
	t.Helper()
	l, err := m.Lease(t.Context(), at)
	var busy *BusyError
	if !errors.As(err, &busy) || busy.Sessions != of || busy.Host != string(at.Host) {
		t.Errorf("one lease more than there are gives %v, want a *BusyError", err)
	}
	if err == nil {
		l.Release()
	}
}

func TestSessionsAreLimited(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at := f.target("gpu1")
	m := f.masters(t, sessions(2))
	first, second := lease(t, m, at), lease(t, m, at)
	busyNow(t, f.masters(t, sessions(2), wait(0)), at, 2)
	third := make(chan *Lease)
	go func() {
		l, err := m.Lease(t.Context(), at)
		if err != nil {
			t.Errorf("the third lease: %v", err)
		}
		third <- l
	}()
	const held = 100 * time.Millisecond
	if within(t, held, func() bool { return len(third) > 0 }) {
		t.Fatal("a third lease of two")
	}
	first.Release()
	select {
	case l := <-third:
		if l == nil {
			return
		}
		if l.Queue == 0 || l.Connect != 0 {
			t.Errorf("the third lease stood in line for %s and logged in for %s", l.Queue, l.Connect)
		}
		l.Release()
	case <-time.After(patience):
		t.Fatal("a released session is not taken")
	}
	second.Release()
	second.Release()
	if n := m.busy(second.RouteID()); n != 0 {
		t.Errorf("%d sessions are busy after all were released", n)
	}
}

func TestWaitForASessionEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const budget = 200 * time.Millisecond
	lease(t, f.masters(t, sessions(1)), f.target("gpu1"))
	began := time.Now()
	busyNow(t, f.masters(t, sessions(1), wait(budget)), f.target("gpu1"), 1)
	if took := time.Since(began); took < budget {
		t.Errorf("gave up after %s, want %s", took, budget)
	}
}

func TestLeaseOfAKilledProcessIsFree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cfg := f.cfg
	sessions(1)(&cfg)
	o := f.leaseElsewhere(t, cfg, f.target("gpu1"))
	if said := o.answer(t); said != "leased" {
		t.Fatalf("the other process says %q", said)
	}
	m := f.masters(t, sessions(1), wait(0))
	busyNow(t, m, f.target("gpu1"), 1)
	if err := o.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit, err := o.Wait(); err != nil || exit.Signal != syscall.SIGKILL {
		t.Errorf("the other process ends with %v, %v", exit, err)
	}
	lease(t, m, f.target("gpu1"))
	if n := f.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1: the master outlives the process that started it", n)
	}
}

func TestIdleMasterEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const short = 300 * time.Millisecond
	m := f.masters(t, idle(short))
	l := lease(t, m, f.target("gpu1"))
	rec := record(t, l)
	// Busy, it stays however long it takes.
	if within(t, 5*short, func() bool { return !l.Alive() || !alive(rec.Holder) }) {
		t.Fatal("a master in use ended")
	}
	l.Release()
	eventually(t, "the idle master ends", func() bool { return !alive(rec.Holder) && !alive(rec.SSH) })
	f.nothingLeft(t)
	if again := lease(t, m, f.target("gpu1")); !again.Alive() || f.Logins(t) != 2 {
		t.Errorf("after the idle end: alive %v, %d logins", again.Alive(), f.Logins(t))
	}
}

func TestMasterEndsDuringUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	if words := l.LastWords(); words != "" {
		t.Errorf("a living master's last words are %q", words)
	}
	side := l.Sidecar("path")
	if err := os.WriteFile(side, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rec := record(t, l)
	f.KillConnections()
	eventually(t, "the master ends with its connection", func() bool { return !l.Alive() && !alive(rec.Holder) })
	if words := l.LastWords(); !strings.Contains(words, "closed by remote host") {
		t.Errorf("the last words are %q", words)
	}
	if err := l.Reconnect(t.Context()); err != nil || !l.Alive() || l.Connect == 0 {
		t.Errorf("Reconnect: %v, alive %v after %s", err, l.Alive(), l.Connect)
	}
	if onDisk(side) || l.LastWords() != "" {
		t.Error("the new master has the old one's files")
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestLogFilesAreOneEach(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	one, err := l.LogFile()
	if err != nil {
		t.Fatal(err)
	}
	two, err := l.LogFile()
	if err != nil || one == two {
		t.Errorf("two sessions log to %s and %s, %v", one, two, err)
	}
	if info, err := os.Stat(one); err != nil || info.Mode() != 0o600 || info.Size() != 0 {
		t.Errorf("a log file is %v, %v", info, err)
	}
}
