package mux

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWarmLeaseStartsNoProcess(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := lease(t, f.masters(t), f.target("gpu1"))
	if calls := f.calls(t); !strings.Contains(strings.Join(calls, "\n"), "ControlMaster=yes") {
		t.Fatalf("a cold lease started %q, and no master", calls)
	}
	// Another process knows only the files.
	second := lease(t, f.masters(t), f.target("gpu1"))
	if calls := f.calls(t); len(calls) != 0 {
		t.Errorf("a warm lease started ssh: %q", calls)
	}
	if first.RouteID() != second.RouteID() || second.Connect != 0 {
		t.Errorf("the second lease is on route %s after a login of %s, the first on %s", second.RouteID(), second.Connect, first.RouteID())
	}
	if n := f.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

// asks takes one more lease and reports how often ssh -G ran, and nothing else.
func (f *fixture) asks(t *testing.T, m *Masters, at Target) int {
	t.Helper()
	f.calls(t)
	lease(t, m, at).Release()
	n := 0
	for _, call := range f.calls(t) {
		if !strings.HasPrefix(call, "-v -G ") {
			t.Errorf("ssh was started as %q; want no more than -G", call)
		}
		n++
	}
	return n
}

func TestTouchedConfigCostsOneQuestion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	lease(t, m, f.target("gpu1")).Release()
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(f.ConfigFile, later, later); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		if n := f.asks(t, m, f.target("gpu1")); n != want {
			t.Errorf("lease %d after the touch asked %d times, want %d", i+1, n, want)
		}
	}
	if n := f.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1: the configuration says the same", n)
	}
}

func TestChangedConfigIsANewRoute(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	first := lease(t, m, f.target("gpu1"))
	key, err := os.ReadFile(f.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(f.Home, "key")
	if err := os.WriteFile(moved, key, 0o600); err != nil {
		t.Fatal(err)
	}
	f.rewrite(t, f.KeyFile, moved)
	second := lease(t, m, f.target("gpu1"))
	if first.RouteID() == second.RouteID() {
		t.Error("another identity file is the same route")
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	if !first.Alive() {
		t.Error("the new route ended the old one's master")
	}
}

// rewrite changes the configuration in place; its time may be the same.
func (f *fixture) rewrite(t *testing.T, from, to string) {
	t.Helper()
	config, err := os.ReadFile(f.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(config), from, to)
	if changed == string(config) {
		t.Fatalf("the configuration has no %q", from)
	}
	if err := os.WriteFile(f.ConfigFile, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNewIncludedFileIsNoticed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := filepath.Join(f.Home, "conf.d")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write("b.conf", "Host *\n\tTCPKeepAlive yes\n")
	f.rewrite(t, "Host gpu1\n", "Include "+dir+"/*.conf\nHost gpu1\n")
	m := f.masters(t)
	first := lease(t, m, f.target("gpu1"))
	f.calls(t)
	write("a.conf", "Host *\n\tTCPKeepAlive no\n")
	second := lease(t, m, f.target("gpu1"))
	if first.RouteID() == second.RouteID() {
		t.Error("a new file of an Include does not change the route")
	}
	if err := os.Remove(filepath.Join(dir, "a.conf")); err != nil {
		t.Fatal(err)
	}
	if n := f.asks(t, m, f.target("gpu1")); n != 1 {
		t.Errorf("after the file is gone ssh was asked %d times, want 1", n)
	}
}

func TestConfigFilesAreDifferentQuestions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	first := lease(t, m, f.target("gpu1"))
	other := filepath.Join(f.Home, "other_config")
	config, err := os.ReadFile(f.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, append([]byte("IPQoS none\n"), config...), 0o600); err != nil {
		t.Fatal(err)
	}
	at := f.target("gpu1")
	at.User.ConfigFile = other
	second := lease(t, m, at)
	if first.RouteID() == second.RouteID() {
		t.Error("another -F with another result is the same route")
	}
	for _, at := range []Target{f.target("gpu1"), at} {
		if n := f.asks(t, m, at); n != 0 {
			t.Errorf("-F %s is asked about again", at.User.ConfigFile)
		}
	}
	f.HostBlock(t, "alias")
	if third := lease(t, m, f.target("alias")); third.RouteID() != first.RouteID() {
		t.Error("two names of one host with one configuration do not share a master")
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestConfigThatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.rewrite(t, "Host gpu1\n", "Nonsense yes\nHost gpu1\n")
	_, err := f.masters(t).Lease(t.Context(), f.target("gpu1"))
	if err == nil || !strings.Contains(err.Error(), "onsense") {
		t.Errorf("a bad configuration gives %v, want ssh's words about it", err)
	}
}

func TestFileOfAnIncludeThatFoundNothingIsNoticed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := filepath.Join(f.Home, "later.d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.rewrite(t, "Host gpu1\n", "Include "+dir+"/*.conf\nHost gpu1\n")
	m := f.masters(t)
	first := lease(t, m, f.target("gpu1"))
	if err := os.WriteFile(filepath.Join(dir, "a.conf"), []byte("Host *\n\tTCPKeepAlive no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if second := lease(t, m, f.target("gpu1")); first.RouteID() == second.RouteID() {
		t.Error("the first file of an Include does not change the route")
	}
}
