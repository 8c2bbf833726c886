package mux

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

func ride(c *Config) { c.Ride = true }

// ownMaster is a host with a ControlPath of the user's, and where start is
// set, a master of the user's on it.
func (f *fixture) ownMaster(t *testing.T, start bool) (at Target, socket string) {
	t.Helper()
	socket = filepath.Join(f.Home, "own")
	f.HostBlock(t, "mine", "ControlPath "+socket)
	at = f.target("mine")
	if start {
		f.startOwn(t, socket)
	}
	return at, socket
}

func (f *fixture) startOwn(t *testing.T, socket string) {
	t.Helper()
	args := []string{"ssh", "-F", f.ConfigFile, "-fNM", "-S", socket, "mine"}
	if exit, err := proc.Run(t.Context(), proc.Spec{Args: args, Env: f.cfg.Env, Isolation: proc.Session}); err != nil || !exit.OK() {
		t.Fatalf("the user's own master: %v, %v", exit, err)
	}
}

// ownPID asks the user's own master for its process id.
func (f *fixture) ownPID(t *testing.T, socket string) int {
	t.Helper()
	var words proc.Tail
	args := sshcmd.Control{SSH: []string{"ssh"}, ControlPath: socket, Op: "check"}.Args()
	if _, err := proc.Run(t.Context(), proc.Spec{Args: args, Env: f.cfg.Env, Stderr: &words, Stdout: &words}); err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(words.String(), "pid=")
	digits, _, _ := strings.Cut(after, ")")
	pid, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatalf("the user's own master says %q", words.String())
	}
	return pid
}

func TestRideOnTheUsersMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, socket := f.ownMaster(t, true)
	m := f.masters(t, ride)
	for range 2 { // the second knows the path from the cache
		l := lease(t, f.masters(t, ride), at)
		if l.ControlPath() != socket || !l.Responsive(t.Context()) || !l.Alive() {
			t.Fatalf("a lease is on %s, want %s", l.ControlPath(), socket)
		}
		if out, err := session(t.Context(), l, "echo works"); out != "works\n" || err != nil {
			t.Errorf("a command over the user's own master says %q, %v", out, err)
		}
		if n := m.busy(l.id); n != 1 {
			t.Errorf("%d sessions are busy, want 1", n)
		}
		l.Release()
	}
	if err := m.Check(t.Context(), at); err != nil {
		t.Errorf("Check: %v", err)
	}
	if status, err := m.Connect(t.Context(), at); err != nil || !status.Listening {
		t.Errorf("Connect gives %+v, %v", status, err)
	}
	closed, err := m.Close(t.Context(), at)
	var own *OwnMasterError
	if closed || !errors.As(err, &own) || !own.Closing || own.Path != socket {
		t.Errorf("Close gives %v, %v; want a word that it is the user's own", closed, err)
	}
	if !greets(t.Context(), socket) {
		t.Error("the user's own master was closed")
	}
	if n := f.Logins(t); n != 1 {
		t.Errorf("%d logins, want the user's own", n)
	}
	// Without the setting it is as if there were none.
	if l := lease(t, f.masters(t), at); l.ControlPath() == socket || f.Logins(t) != 2 {
		t.Errorf("without Ride a lease is on %s", l.ControlPath())
	}
}

func TestNothingToRideOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, socket := f.ownMaster(t, false)
	l := lease(t, f.masters(t, ride), at)
	if l.ControlPath() == socket || !l.Alive() {
		t.Errorf("without a master of the user's the lease is on %s", l.ControlPath())
	}
	if l := lease(t, f.masters(t, ride), f.target("gpu1")); !l.Alive() {
		t.Error("without a ControlPath there is no master")
	}
}

func TestUsersMasterEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, socket := f.ownMaster(t, true)
	l := lease(t, f.masters(t, ride), at)
	pid := f.ownPID(t, socket)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the user's own master is gone", func() bool { return probe(socket) != listening })
	if err := l.Reconnect(t.Context()); err != nil || l.ControlPath() == socket || !l.Responsive(t.Context()) {
		t.Errorf("Reconnect gives %v, on %s", err, l.ControlPath())
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want the user's and ours", n)
	}
}

func TestSidecarsEndWithTheUsersMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, socket := f.ownMaster(t, true)
	side := lease(t, f.masters(t, ride), at).Sidecar("path")
	if err := os.WriteFile(side, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lease(t, f.masters(t, ride), at)
	if !onDisk(side) {
		t.Error("a second lease on the same master lost its sidecar")
	}
	if err := syscall.Kill(f.ownPID(t, socket), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the user's own master is gone", func() bool { return !onDisk(socket) })
	f.startOwn(t, socket)
	lease(t, f.masters(t, ride), at)
	if onDisk(side) {
		t.Error("the user's new master has the old one's sidecar")
	}
}

func TestStoppedMasterOfTheUserIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, socket := f.ownMaster(t, true)
	m := f.masters(t, ride)
	lease(t, m, at).Release()
	pid := f.ownPID(t, socket)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_, err := m.Lease(t.Context(), at)
	var own *OwnMasterError
	if !errors.As(err, &own) || !strings.Contains(err.Error(), "your own master of mine does not answer") {
		t.Errorf("a lease on a stopped master of the user's gives %v", err)
	}
	if !alive(pid) || f.Logins(t) != 1 {
		t.Errorf("it lives: %v, %d logins", alive(pid), f.Logins(t))
	}
}

func TestSocketsThatAreNotOursAlone(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket) //nolint:noctx // a local bind does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the end of the test
	for _, c := range []struct {
		dir, socket os.FileMode
		ok          bool
	}{
		{0o700, 0o600, true},
		{0o755, 0o755, true},
		{0o777 | os.ModeSticky, 0o600, true},
		{0o777, 0o600, false},
		{0o770, 0o600, false},
		{0o700, 0o660, false},
		{0o700, 0o602, false},
	} {
		if err := errors.Join(os.Chmod(socket, c.socket), os.Chmod(dir, c.dir)); err != nil {
			t.Fatal(err)
		}
		if err := onlyOurs(socket); (err == nil) != c.ok {
			t.Errorf("a socket of mode %v in a directory of %v: %v, want it to be ours: %v", c.socket, c.dir, err, c.ok)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, filepath.Join(dir, "none")} {
		if onlyOurs(path) == nil {
			t.Errorf("%s is taken for a socket of ours", path)
		}
	}
	if os.Getuid() == 0 {
		if err := errors.Join(os.Chmod(dir, 0o700), os.Chmod(socket, 0o600), os.Lchown(socket, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
		if onlyOurs(socket) == nil {
			t.Error("a socket of somebody else is taken")
		}
	}
}

func TestUsableControlPaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"": "", "none": "", "/home/me/.ssh/cm-1": "/home/me/.ssh/cm-1", "/tmp/cm-%h": "", "/tmp/${X}": "", "~/.ssh/cm": "", "cm": "",
	} {
		if got := usable(path); got != want {
			t.Errorf("usable(%q) is %q, want %q", path, got, want)
		}
	}
}
