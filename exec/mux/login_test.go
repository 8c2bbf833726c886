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

func TestOneLoginForAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var wg sync.WaitGroup
	for range 20 {
		m := f.masters(t) // as another process would have it
		wg.Go(func() {
			l, err := m.Lease(t.Context(), f.target("gpu1"))
			if err != nil {
				t.Errorf("a lease in this process: %v", err)
				return
			}
			if !l.Alive() {
				t.Error("a lease without a master")
			}
			l.Release()
		})
	}
	for range 10 {
		o := f.leaseElsewhere(t, f.cfg, f.target("gpu1"))
		wg.Go(func() {
			if said := o.answer(t); said != "leased" {
				t.Errorf("another process says %q", said)
			}
			_ = o.stdin.Close()
			if exit, err := o.Wait(); err != nil || !exit.OK() {
				t.Errorf("another process ends with %v, %v", exit, err)
			}
		})
	}
	wg.Wait()
	if n := f.Logins(t); n != 1 {
		t.Errorf("%d logins by 30 callers, want 1", n)
	}
}

// failure of a login as the caller sees it.
func loginFails(t *testing.T, m *Masters, at Target) *sshcmd.Error {
	t.Helper()
	_, err := m.Lease(t.Context(), at)
	var said *sshcmd.Error
	if !errors.As(err, &said) {
		t.Fatalf("a login on %s gives %v, want words of ssh", at.Host, err)
	}
	return said
}

func TestFailedLogins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	empty := filepath.Join(f.Home, "known_none")
	f.HostBlock(t, "wrongkey", "IdentityFile "+f.NewKey(t))
	f.HostBlock(t, "unknown", "UserKnownHostsFile "+empty, "StrictHostKeyChecking ask")
	f.HostBlock(t, "nobody", "Port 1")
	f.HostBlock(t, "stopped", `ProxyCommand sh -c 'echo "workspace dev is \033[31mstopped" >&2; exit 3'`)
	for host, want := range map[string]struct {
		class sshcmd.Class
		words string
	}{
		"wrongkey": {sshcmd.ClassAuth, "Permission denied (publickey)"},
		// Nobody can be asked, and so nobody is.
		"unknown": {sshcmd.ClassHostKeyUnknown, "Host key verification failed"},
		"nobody":  {sshcmd.ClassRefused, "Connection refused"},
		"stopped": {sshcmd.ClassProxy, "workspace dev is"},
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			said := loginFails(t, f.masters(t), f.target(host))
			if said.Class != want.class || said.Host != host {
				t.Errorf("the class on %s is %q, want %q on %s", said.Host, said.Class, want.class, host)
			}
			if !strings.Contains(said.Line+said.Log, want.words) || strings.Contains(said.Error(), "\033") {
				t.Errorf("the words are %q and %q, want %q in them and no escape sequence", said.Line, said.Log, want.words)
			}
		})
	}
	t.Cleanup(func() { f.nothingLeft(t) })
}

// entered tells when connect has noted the time at which it began: it asks
// the context for its deadline right after that.
type entered struct {
	context.Context
	once *sync.Once
	ch   chan struct{}
}

func (e entered) Deadline() (time.Time, bool) {
	e.once.Do(func() { close(e.ch) })
	return e.Context.Deadline()
}

func TestWaitersShareAFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tries, open := filepath.Join(f.Home, "tries"), filepath.Join(f.Home, "open")
	proxy := f.script(t, "proxy", "echo x >> "+tries+"; while [ ! -e "+open+" ]; do sleep 0.05; done; echo quota is used up >&2; exit 1")
	f.HostBlock(t, "busy", "ProxyCommand "+proxy)
	m := f.masters(t)
	r, err := m.route(t.Context(), f.target("busy"), false)
	if err != nil {
		t.Fatal(err)
	}
	failures := make(chan error, 10)
	go func() { failures <- m.connect(t.Context(), r) }()
	eventually(t, "the first login has begun", func() bool { return onDisk(tries) })
	for range 9 {
		ctx := entered{t.Context(), &sync.Once{}, make(chan struct{})}
		go func() { failures <- m.connect(ctx, r) }()
		<-ctx.ch
	}
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range cap(failures) {
		var said *sshcmd.Error
		if err := <-failures; !errors.As(err, &said) || said.Class != sshcmd.ClassProxy || !strings.Contains(said.Error(), "quota is used up") {
			t.Errorf("a waiter gets %v, want the proxy's words", err)
		}
	}
	if n := count(t, tries); n != 1 {
		t.Errorf("ten callers tried %d logins, want 1", n)
	}
	// Whoever comes later tries again.
	if said := loginFails(t, m, f.target("busy")); said.Class != sshcmd.ClassProxy {
		t.Errorf("a later caller gets %v", said)
	}
	if n := count(t, tries); n != 2 {
		t.Errorf("a later caller made it %d logins, want 2", n)
	}
}

func count(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// hangingProxy is a host behind a proxy that says one word and hangs, even
// when its stdin ends.
func (f *fixture) hangingProxy(t *testing.T) Target {
	t.Helper()
	f.HostBlock(t, "hangs", "ProxyCommand "+f.script(t, "hang", "echo starting >&2; sleep 1000"))
	return f.target("hangs")
}

func TestCancelDuringLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at := f.hangingProxy(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	m := f.masters(t)
	go func() {
		_, err := m.Lease(ctx, at)
		done <- err
	}()
	// The holder, ssh, the proxy and its sleep.
	eventually(t, "the login has begun", func() bool { return len(f.processes(t)) == 4 })
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled login gives %v", err)
		}
	case <-time.After(patience):
		t.Error("a cancelled login does not return")
	}
	f.nothingLeft(t)
	if _, err := os.Stat(m.dir.path); err != nil {
		t.Error(err)
	}
	if failed, _ := filepath.Glob(filepath.Join(m.dir.path, "*.fail")); len(failed) > 0 {
		t.Errorf("a cancel is on record as the host's failure: %q", failed)
	}
}

func TestKilledStarterEndsTheLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.leaseElsewhere(t, f.cfg, f.hangingProxy(t))
	eventually(t, "the login has begun", func() bool { return len(f.processes(t)) == 5 })
	if err := o.Signal(9); err != nil {
		t.Fatal(err)
	}
	if exit, err := o.Wait(); err != nil || exit.OK() {
		t.Errorf("the killed process ends with %v, %v", exit, err)
	}
	f.nothingLeft(t)
}

func TestLoginTimeout(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	r, err := m.route(t.Context(), f.hangingProxy(t), false)
	if err != nil {
		t.Fatal(err)
	}
	features, err := m.features(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Long enough for the proxy's word on a slow machine; Lease would wait
	// for minLogin.
	const budget = 2 * time.Second
	began := time.Now()
	err = m.start(t.Context(), r, features, budget)
	var late *LoginTimeoutError
	if !errors.As(err, &late) || late.Host != "hangs" || late.After != budget {
		t.Errorf("a proxy that hangs gives %v", err)
	} else if !strings.Contains(err.Error(), "starting") {
		t.Errorf("the last words are lost: %v", err)
	}
	if took := time.Since(began); took < budget || took > 5*budget {
		t.Errorf("the login was given up after %s, want %s", took, budget)
	}
	f.nothingLeft(t)
}

func TestConnectTriesAgainOnPurpose(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	f.Kill()
	if said := loginFails(t, m, f.target("gpu1")); said.Class != sshcmd.ClassRefused {
		t.Errorf("a host that is down gives %q", said.Class)
	}
	f.Restart(t)
	status, err := m.Connect(t.Context(), f.target("gpu1"))
	if err != nil || !status.Listening || status.Host != "gpu1" || status.SSH == 0 {
		t.Errorf("Connect gives %+v, %v", status, err)
	}
	if err := m.Check(t.Context(), f.target("gpu1")); err != nil {
		t.Errorf("Check of a living master: %v", err)
	}
	if _, err := m.Connect(t.Context(), f.target("gpu1")); err != nil || f.Logins(t) != 1 {
		t.Errorf("a second Connect: %v, %d logins", err, f.Logins(t))
	}
}
