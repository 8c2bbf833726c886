package mux

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bivy/sshcmd"
)

// connections counts those that sshd took, whatever became of them.
func (f *fixture) connections(t *testing.T) int {
	t.Helper()
	return strings.Count(f.Log(t), "Connection from ")
}

// recent checks a failure that was not tried again.
func recent(t *testing.T, m *Masters, at Target, class sshcmd.Class) {
	t.Helper()
	_, err := m.Lease(t.Context(), at)
	var known *RecentFailureError
	var said *sshcmd.Error
	if !errors.As(err, &known) || !errors.As(err, &said) || said.Class != class {
		t.Errorf("a login after one that failed gives %v, want that failure of class %q", err, class)
	}
}

func TestWrongKeyIsTriedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.HostBlock(t, "wrongkey", "IdentityFile "+f.NewKey(t))
	at := f.target("wrongkey")
	var wg sync.WaitGroup
	for range 10 {
		o := f.leaseElsewhere(t, f.cfg, at)
		wg.Go(func() {
			if said := o.answer(t); said != string(sshcmd.ClassAuth) {
				t.Errorf("a process with a wrong key says %q", said)
			}
			if _, err := o.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	recent(t, f.masters(t), at, sshcmd.ClassAuth)
	if n := f.connections(t); n != 1 {
		t.Errorf("%d connections with a wrong key, want 1", n)
	}
	// Somebody asks on purpose.
	if _, err := f.masters(t).Connect(t.Context(), at); err == nil {
		t.Error("Connect with a wrong key works")
	}
	if n := f.connections(t); n != 2 {
		t.Errorf("%d connections after Connect, want 2", n)
	}
}

func TestChangedFileEndsAPermanentFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	known := filepath.Join(f.Home, "known")
	f.HostBlock(t, "unknown", "UserKnownHostsFile "+known)
	m := f.masters(t)
	if said := loginFails(t, m, f.target("unknown")); said.Class != sshcmd.ClassHostKeyUnknown {
		t.Errorf("the class is %q", said.Class)
	}
	recent(t, m, f.target("unknown"), sshcmd.ClassHostKeyUnknown)
	right, err := os.ReadFile(filepath.Join(f.Dir, "known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(known, right, 0o600); err != nil {
		t.Fatal(err)
	}
	l := lease(t, m, f.target("unknown"))
	if !l.Alive() || f.Logins(t) != 1 {
		t.Errorf("after the key was added: alive %v, %d logins", l.Alive(), f.Logins(t))
	}
	if _, ok := m.readFailure(l.RouteID()); ok {
		t.Error("a login that succeeded left the failure")
	}
}

func TestBackoffIsShared(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tries := filepath.Join(f.Home, "tries")
	f.HostBlock(t, "dying", "ProxyCommand "+f.script(t, "proxy", "echo x >> "+tries+"; echo no such workspace >&2; exit 1"))
	at := f.target("dying")
	m := f.masters(t)
	if said := loginFails(t, m, at); said.Class != sshcmd.ClassProxy {
		t.Errorf("the class is %q", said.Class)
	}
	r, err := m.route(t.Context(), at, false)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := m.readFailure(r.ID)
	recent(t, f.masters(t, wait(0)), at, sshcmd.ClassProxy)
	recent(t, f.masters(t, wait(time.Millisecond)), at, sshcmd.ClassProxy)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if said := loginFails(t, f.masters(t), at); said.Class != sshcmd.ClassProxy {
				t.Errorf("a later process gets %q", said.Class)
			}
			if time.Now().Before(first.Until) {
				t.Error("a later process did not wait for the end of the back-off")
			}
		})
	}
	wg.Wait()
	if n := count(t, tries); n != 2 {
		t.Errorf("%d logins, want 2: one for all who waited", n)
	}
	if second, _ := m.readFailure(r.ID); second.Attempts != 2 || !second.Until.After(second.Time.Add(backoff(2)/2)) {
		t.Errorf("the second failure in a row is %+v", second)
	}
}

func TestBackoffEndsWithALogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Kill()
	m := f.masters(t)
	if said := loginFails(t, m, f.target("gpu1")); said.Class != sshcmd.ClassRefused {
		t.Errorf("the class is %q", said.Class)
	}
	r, err := m.route(t.Context(), f.target("gpu1"), false)
	if err != nil {
		t.Fatal(err)
	}
	// As after many failures: longer than this test has patience.
	long, _ := m.readFailure(r.ID)
	long.Until = long.Time.Add(patience)
	m.writeFailure(t.Context(), r.ID, long)
	done := make(chan error, 1)
	go func() {
		l, err := f.masters(t, wait(10*patience)).Lease(t.Context(), f.target("gpu1"))
		if err == nil {
			l.Release()
		}
		done <- err
	}()
	f.Restart(t)
	if _, err := m.Connect(t.Context(), f.target("gpu1")); err != nil {
		t.Errorf("Connect during a back-off: %v", err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("who waits for the end of a back-off gets %v", err)
		}
	case <-time.After(patience / 2):
		t.Error("the login of another does not end a back-off")
	}
	if n := f.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestPersonIsNeverKeptFromTrying(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := route{ID: "0123456789abcdef"}
	for _, class := range []sshcmd.Class{sshcmd.ClassAuth, sshcmd.ClassRefused} {
		now := time.Now()
		f.masters(t).writeFailure(t.Context(), r.ID, failure{Format: failureFormat, Time: now, Class: class, Code: 255, Words: "no", Until: now.Add(time.Hour)})
		if _, err := f.masters(t, wait(0)).mayTry(r, now); err == nil {
			t.Errorf("%s: a batch process may try", class)
		}
		person := f.masters(t, wait(0), func(c *Config) { c.Terminal = &Terminal{} })
		if pause, err := person.mayTry(r, now); pause != 0 || err != nil {
			t.Errorf("%s: a person may not try: %s, %v", class, pause, err)
		}
	}
}

func TestCancelIsNoFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m, r := f.masters(t), route{ID: "0123456789abcdef"}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	refused := sshcmd.Classify("gpu1", 255, "ssh: connect to host gpu1 port 22: Connection refused")
	for _, err := range []error{context.Canceled, refused} {
		m.recordFailure(canceled, r, err)
		if f, ok := m.readFailure(r.ID); ok {
			t.Errorf("a cancel is on record as %+v", f)
		}
	}
	m.recordFailure(t.Context(), r, refused)
	before, ok := m.readFailure(r.ID)
	m.recordFailure(canceled, r, context.Canceled)
	if after, still := m.readFailure(r.ID); !ok || !still || !after.Time.Equal(before.Time) {
		t.Errorf("a cancel changed what is known of the host: %+v, %v to %+v, %v", before, ok, after, still)
	}
}

func TestBackoffGrows(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 4: 7, 5: 10, 100: 10} {
		want *= time.Second
		for range 100 {
			if d := backoff(attempts); d < want*4/5 || d > want*6/5 {
				t.Errorf("after %d failures the pause is %s, want %s ±20 %%", attempts, d, want)
			}
		}
	}
}
