package mux

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// notices collects what users are told.
type notices struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (n *notices) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.Write(p)
}

// told is a context whose warnings are collected.
func told(ctx context.Context) (context.Context, *notices) {
	n := &notices{}
	return zerolog.New(n).Level(zerolog.WarnLevel).WithContext(ctx), n
}

func (n *notices) count(words string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Count(n.buf.String(), words)
}

// stopped takes a lease and stops its master.
func stopped(t *testing.T, f *fixture, m *Masters) (*Lease, Record) {
	t.Helper()
	l := lease(t, m, f.target("gpu1"))
	rec := record(t, l)
	if !l.Responsive(t.Context()) {
		t.Fatal("a new master does not answer")
	}
	if err := syscall.Kill(rec.SSH, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return l, rec
}

func TestStoppedMasterIsReplacedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l, rec := stopped(t, f, f.masters(t))
	if l.Responsive(t.Context()) {
		t.Error("a stopped master answers")
	}
	ctx, n := told(t.Context())
	began := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		m := f.masters(t)
		wg.Go(func() {
			got, err := m.Lease(ctx, f.target("gpu1"))
			if err != nil {
				t.Errorf("a lease on a stopped master: %v", err)
				return
			}
			defer got.Release()
			if out, err := session(ctx, got, "echo works"); out != "works\n" || err != nil {
				t.Errorf("a command after the replacement says %q, %v", out, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 5*(greeting+controlDeadline) {
		t.Errorf("the next command took %s", took)
	}
	if alive(rec.SSH) || alive(rec.Holder) {
		t.Errorf("ssh lives: %v, its holder: %v", alive(rec.SSH), alive(rec.Holder))
	}
	if told := n.count("the master of gpu1 did not answer; it was replaced"); told != 1 {
		t.Errorf("it was told %d times, want once", told)
	}
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	// The lease that was there before finds the new one.
	if err := l.Reconnect(t.Context()); err != nil || !l.Responsive(t.Context()) {
		t.Errorf("Reconnect of an older lease: %v", err)
	}
}

func TestWorkingMasterIsNotReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	before := record(t, l)
	if err := l.Replace(t.Context()); err != nil {
		t.Errorf("Replace of a master that works: %v", err)
	}
	if after := record(t, l); after != before || f.Logins(t) != 1 {
		t.Errorf("a master that works was replaced: %+v to %+v", before, after)
	}
}

func TestConnectReplacesAStoppedMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	_, rec := stopped(t, f, m)
	status, err := m.Connect(t.Context(), f.target("gpu1"))
	if err != nil || status.SSH == rec.SSH || !status.Listening {
		t.Errorf("Connect gives %+v, %v", status, err)
	}
}

func TestStoppedSecondMasterIsEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, m := full(t, f)
	second := lease(t, m, f.target("gpu1"))
	rec := recordSoon(t, second)
	if err := syscall.Kill(rec.SSH, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	first.Release()
	if err := second.Reconnect(t.Context()); err != nil || second.onSecond() || !second.Responsive(t.Context()) {
		t.Errorf("Reconnect gives %v, on the second master %v", err, second.onSecond())
	}
	if alive(rec.SSH) || f.Logins(t) != 2 {
		t.Errorf("the stopped process lives: %v; %d logins, want 2", alive(rec.SSH), f.Logins(t))
	}
}

func TestStoppedMasterIsReplacedForThoseInLine(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t, sessions(1))
	l, rec := stopped(t, f, m)
	got, done := leaseIn(t.Context(), m, f.target("gpu1"))
	eventually(t, "the stopped master ends", func() bool { return !alive(rec.SSH) })
	l.Release()
	if err := ends(t, done); err != nil || !got.Responsive(t.Context()) {
		t.Errorf("after the replacement the next in line gets %v", err)
	}
	got.Release()
	if n := f.Logins(t); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestCancelWhileAMasterIsStopped(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	_, rec := stopped(t, f, m)
	ctx, cancel := context.WithCancel(t.Context())
	_, done := leaseIn(ctx, m, f.target("gpu1"))
	cancel()
	if err := ends(t, done); err == nil {
		t.Error("a cancelled lease has no error")
	}
	if !alive(rec.SSH) {
		t.Error("a cancel ended the master")
	}
}
