package mux

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inLine counts those who have the queue of a route or wait for it, by the
// kernel's own list of locks (proc_locks(5)).
func inLine(t *testing.T, m *Masters, id string) int {
	t.Helper()
	info, err := os.Stat(m.dir.sidecar(id, "queue"))
	if err != nil {
		t.Fatal(err)
	}
	inode := ":" + strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10) + " "
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(locks), inode)
}

// needLocks skips where nobody can tell who waits for a lock.
func needLocks(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		// Without /proc/locks a test cannot know when a process stands in line.
		t.Skip("needs /proc/locks")
	}
}

// line starts processes that want the one session, each when the last one
// stands in line.
func (f *fixture) line(t *testing.T, m *Masters, id string, n int) []*other {
	t.Helper()
	cfg := f.cfg
	sessions(1)(&cfg)
	before := inLine(t, m, id)
	list := make([]*other, n)
	for i := range list {
		list[i] = f.leaseElsewhere(t, cfg, f.target("gpu1"))
		eventually(t, "a process stands in line", func() bool { return inLine(t, m, id) == before+i+1 })
	}
	return list
}

// serve reads who of the line gets the session, one after the other, and lets
// each go at once.
func serve(t *testing.T, list []*other) (order []int) {
	t.Helper()
	leased := make(chan int)
	for i, o := range list {
		go func() {
			if said := o.answer(t); said != "leased" {
				t.Errorf("process %d says %q", i, said)
			}
			leased <- i
		}()
	}
	for range list {
		select {
		case i := <-leased:
			order = append(order, i)
			_ = list[i].stdin.Close()
			if exit, err := list[i].Wait(); err != nil || !exit.OK() {
				t.Errorf("process %d ends with %v, %v", i, exit, err)
			}
		case <-time.After(patience):
			t.Fatalf("after %v nobody gets the session", order)
		}
	}
	return order
}

func wantOrder(t *testing.T, order []int) {
	t.Helper()
	for i, got := range order {
		if got != i {
			t.Errorf("served in the order %v, want that of arrival", order)
			return
		}
	}
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	needLocks(t)
	f := newFixture(t)
	m := f.masters(t, sessions(1))
	l := lease(t, m, f.target("gpu1"))
	list := f.line(t, m, l.RouteID(), 6)
	l.Release()
	wantOrder(t, serve(t, list))
}

func TestKilledHeadOfTheLine(t *testing.T) {
	t.Parallel()
	needLocks(t)
	f := newFixture(t)
	m := f.masters(t, sessions(1))
	l := lease(t, m, f.target("gpu1"))
	list := f.line(t, m, l.RouteID(), 4)
	if err := list[0].Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit, err := list[0].Wait(); err != nil || exit.OK() {
		t.Errorf("the killed process ends with %v, %v", exit, err)
	}
	eventually(t, "the line is shorter", func() bool { return inLine(t, m, l.RouteID()) == 3 })
	l.Release()
	wantOrder(t, serve(t, list[1:]))
}

func TestCancelInLine(t *testing.T) {
	t.Parallel()
	needLocks(t)
	f := newFixture(t)
	m := f.masters(t, sessions(1))
	l := lease(t, m, f.target("gpu1"))
	// The first is the head and polls, the second waits in the kernel.
	var behind []*other
	for place := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := m.Lease(ctx, f.target("gpu1"))
			done <- err
		}()
		eventually(t, "a lease stands in line", func() bool { return inLine(t, m, l.RouteID()) == place+1 })
		behind = append(behind, f.line(t, m, l.RouteID(), 1)...)
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("place %d: a cancelled lease gives %v", place, err)
			}
		case <-time.After(patience):
			t.Fatalf("place %d: a cancelled lease does not return", place)
		}
		// The head leaves at once; the other's place is left when it comes up.
		eventually(t, "the line is what is left", func() bool { return inLine(t, m, l.RouteID()) == 1+2*place })
	}
	l.Release()
	wantOrder(t, serve(t, behind))
	if n := inLine(t, m, l.RouteID()); n != 0 {
		t.Errorf("%d are still in line", n)
	}
}

func TestBudgetInLine(t *testing.T) {
	t.Parallel()
	needLocks(t)
	f := newFixture(t)
	m := f.masters(t, sessions(1))
	l := lease(t, m, f.target("gpu1"))
	f.line(t, m, l.RouteID(), 1)
	busyNow(t, f.masters(t, sessions(1), wait(0)), f.target("gpu1"), 1)
}
