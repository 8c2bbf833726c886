package mux

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"bivy/sshcmd"
)

func TestListAndClose(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	if list, err := m.List(); err != nil || len(list) != 0 {
		t.Errorf("before any login List gives %v, %v", list, err)
	}
	if closed, err := m.Close(t.Context(), f.target("gpu1")); err != nil || closed {
		t.Errorf("Close of nothing gives %v, %v", closed, err)
	}
	l := lease(t, m, f.target("gpu1"))
	want := []Status{{Record: record(t, l), Listening: true, Busy: 1}}
	list, err := m.List()
	if diff := cmp.Diff(want, list); diff != "" || err != nil {
		t.Errorf("%v; masters (-want +got):\n%s", err, diff)
	}
	if rec := want[0].Record; rec.Host != "gpu1" || rec.ID != l.RouteID() || rec.Human || !alive(rec.SSH) || !alive(rec.Holder) {
		t.Errorf("the record is %+v", rec)
	}
	if closed, err := m.CloseID(t.Context(), l.RouteID(), "gpu1"); err != nil || !closed {
		t.Errorf("CloseID gives %v, %v", closed, err)
	}
	f.nothingLeft(t)
	if list, err := m.List(); err != nil || len(list) != 0 {
		t.Errorf("after Close List gives %v, %v", list, err)
	}
	var said *sshcmd.Error
	if err := m.Check(t.Context(), f.target("gpu1")); !errors.As(err, &said) {
		t.Errorf("Check of a closed master gives %v, want ssh's words", err)
	}
}

func TestCloseOfAStoppedMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	rec := record(t, lease(t, m, f.target("gpu1")))
	if err := syscall.Kill(rec.SSH, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if closed, err := m.Close(t.Context(), f.target("gpu1")); err != nil || !closed {
		t.Errorf("Close gives %v, %v", closed, err)
	}
	// One for ssh -O exit, one for the holder to follow, one for it to end.
	if took := time.Since(began); took > 5*3*controlDeadline {
		t.Errorf("Close took %s", took)
	}
	eventually(t, "the stopped master ends", func() bool { return !alive(rec.SSH) && !alive(rec.Holder) })
	f.nothingLeft(t)
}

func TestKilledHolder(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		// Other systems have no signal for the death of a parent (proc.Spec).
		t.Skip("needs PR_SET_PDEATHSIG")
	}
	f := newFixture(t)
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	rec := record(t, l)
	if err := syscall.Kill(rec.Holder, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ssh ends with its holder", func() bool { return !alive(rec.SSH) })
	if again := lease(t, m, f.target("gpu1")); !again.Alive() || f.Logins(t) != 2 {
		t.Errorf("the next lease: alive %v, %d logins", again.Alive(), f.Logins(t))
	}
}

func TestKilledMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	rec := record(t, l)
	if err := syscall.Kill(rec.SSH, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the holder ends with its ssh", func() bool { return !alive(rec.Holder) })
	f.nothingLeft(t)
	// It had no chance to say anything.
	if words := l.LastWords(); words != "" {
		t.Errorf("the last words are %q", words)
	}
	if again := lease(t, m, f.target("gpu1")); !again.Alive() || f.Logins(t) != 2 {
		t.Errorf("the next lease: alive %v, %d logins", again.Alive(), f.Logins(t))
	}
}

// killBoth leaves a route as a crash does: with a socket nobody listens on,
// and a record of processes that are gone.
func killBoth(t *testing.T, l *Lease) {
	t.Helper()
	rec := record(t, l)
	for _, kill := range []struct {
		pid int
		sig syscall.Signal
	}{{rec.Holder, syscall.SIGSTOP}, {rec.SSH, syscall.SIGKILL}, {rec.Holder, syscall.SIGKILL}} {
		if err := syscall.Kill(kill.pid, kill.sig); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both are gone", func() bool { return !alive(rec.SSH) && !alive(rec.Holder) })
	if p := probe(l.ControlPath()); p != stale {
		t.Fatalf("the socket is in state %d, want %d", p, stale)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	killBoth(t, l)
	if list, err := m.List(); err != nil || len(list) != 1 || list[0].Listening {
		t.Errorf("List gives %+v, %v; want one that does not listen", list, err)
	}
	if err := l.Reconnect(t.Context()); err != nil || !l.Alive() {
		t.Errorf("Reconnect: %v, alive %v", err, l.Alive())
	}
	killBoth(t, l)
	if closed, err := m.Close(t.Context(), f.target("gpu1")); err != nil || closed {
		t.Errorf("Close of what is gone gives %v, %v", closed, err)
	}
	if onDisk(l.ControlPath()) {
		t.Error("Close left the stale socket")
	}
}

func TestStaleRecordIsNotBelievedDuringALogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	at := f.hangingProxy(t)
	r, err := m.route(t.Context(), at, false)
	if err != nil {
		t.Fatal(err)
	}
	// The process of a record may be another one by now: this test.
	record := `{"format":1,"id":"` + r.ID + `","host":"hangs","holder_pid":1,"ssh_pid":1}`
	if err := os.WriteFile(m.dir.sidecar(r.ID, "json"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	f.leaseElsewhere(t, f.cfg, at)
	eventually(t, "the login has begun", func() bool { return len(f.processes(t)) == 5 })
	if list, err := m.List(); err != nil || len(list) != 0 {
		t.Errorf("during a login List gives %+v, %v", list, err)
	}
}

func TestForeignSocketIsNeverUnlinked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	r, err := m.route(t.Context(), f.target("gpu1"), false)
	if err != nil {
		t.Fatal(err)
	}
	socket := m.dir.socket(r.ID)
	foreign, err := net.Listen("unix", socket) //nolint:noctx // a local bind does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close() //nolint:errcheck // the end of the test
	before, err := os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := foreign.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	removeStale(socket)
	if err := m.connect(t.Context(), r); err != nil {
		t.Errorf("connect where somebody listens: %v", err)
	}
	if closed, err := m.CloseID(t.Context(), r.ID, "gpu1"); closed || err == nil {
		t.Errorf("CloseID of somebody else's socket gives %v, %v; want an error", closed, err)
	}
	after, err := os.Lstat(socket)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the socket is no longer the same: %v", err)
	}
	if n := f.Logins(t); n != 0 {
		t.Errorf("%d logins, want none", n)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	if p := probe(filepath.Join(dir, "none")); p != absent {
		t.Errorf("no socket is in state %d", p)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := probe(file); p == listening || p == absent {
		t.Errorf("a file is in state %d", p)
	}
	removeStale(dir)
	if !onDisk(dir) {
		t.Error("removeStale removed a directory")
	}
}

func TestProbeOfAFullQueue(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		// Elsewhere a full queue refuses, like a socket without a listener.
		t.Skip("connect(2) gives EAGAIN for a full queue on Linux only")
	}
	socket := filepath.Join(shortDir(t), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) //nolint:errcheck // the end of the test
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: socket}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	// Nobody accepts, as with a stopped master; the queue takes one or two.
	for i := range 4 {
		if p := probe(socket); p != listening {
			t.Errorf("probe %d gives %d, want %d", i, p, listening)
		}
	}
}
