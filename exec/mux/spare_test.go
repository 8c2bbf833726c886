package mux

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bivy/integration/sshdtest"
)

// spareOf registers a command with the holder, and gives the spare that comes
// with it, if any.
func spareOf(t *testing.T, l *Lease) *Spare {
	t.Helper()
	g := l.Guard(t.Context(), Run{ID: newRunID(), Lifeline: true, Spare: true})
	t.Cleanup(g.Over)
	return g.Spare()
}

// readySpare is a lease whose holder has a guardian, and a spare that nobody
// has asked for yet.
func (f *fixture) readySpare(t *testing.T, change func(*holderSpec)) (*Lease, *remote, *Guard) {
	t.Helper()
	if os.Getenv(muxVar) == "ssh" {
		// Spares are opened without an ssh process, or not at all.
		t.Skip("sessions are opened by ssh")
	}
	m := f.masters(t, func(c *Config) { c.Spare = true })
	l := f.held(t, m, f.target("gpu1"), change)
	r := f.run(t, l, polite)
	g := r.guard(t, l, Run{})
	eventually(t, "a session waits", func() bool { return f.spares() == 1 })
	return l, r, g
}

// waiting are the shells that wait on the host.
func (f *fixture) waiting() []int {
	return slices.DeleteFunc(f.Pids(sshdtest.Command), func(pid int) bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err != nil || !strings.HasSuffix(string(line), "\x00"+spareName+"\x00")
	})
}

func (f *fixture) spares() int { return len(f.waiting()) }

func TestSpareIsHandedOverOnce(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l, _, _ := f.readySpare(t, func(*holderSpec) {})
	s := spareOf(t, l)
	if s == nil {
		t.Fatal("nothing was handed over")
	}
	const text = "{\necho out; echo err >&2; exit 3\n}\n"
	if _, err := s.In.WriteString("35\n" + text); err != nil {
		t.Fatal(err)
	}
	out, errs := make([]byte, 8), make([]byte, 8)
	n, _ := s.Out.Read(out)
	k, _ := s.Errs.Read(errs)
	exit, err := s.Channel.Wait()
	if string(out[:n]) != "out\n" || string(errs[:k]) != "err\n" || exit.Code != 3 || err != nil {
		t.Errorf("it says %q and %q, and ends with %v, %v", out[:n], errs[:k], exit, err)
	}
	s.Close()
	// Its place is taken by another, and nobody gets the first again.
	eventually(t, "there is another", func() bool { return f.spares() == 1 })
	if next := spareOf(t, l); next != nil {
		if next.Channel.session == s.Channel.session && next.Channel.conn == s.Channel.conn {
			t.Error("the same was handed over twice")
		}
		next.Close()
	}
}

// A spare is gone when room is needed.
func TestSpareMakesRoom(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l, _, _ := f.readySpare(t, func(*holderSpec) {})
	l.masters.makeRoom(t.Context(), l.id)
	eventually(t, "room was made", func() bool { return f.spares() == 0 })
	if spareOf(t, l) != nil {
		t.Error("one was handed over that was given up")
	}
}

// A spare goes when no command has come for a while.
func TestSpareGoesWithTheCommands(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	_, r, g := f.readySpare(t, func(s *holderSpec) { s.GuardIdle = 500 * time.Millisecond })
	_ = r.ssh.Signal(unix.SIGTERM)
	g.Over()
	eventually(t, "it is gone", func() bool { return f.spares() == 0 })
}

// A host that ends a session which waits is not given another at once.
func TestSpareThatTheHostEnded(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l, _, _ := f.readySpare(t, func(*holderSpec) {})
	for _, pid := range f.waiting() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	eventually(t, "it is gone", func() bool { return f.spares() == 0 })
	if s := spareOf(t, l); s != nil {
		t.Error("one was handed over that is gone")
		s.Close()
	}
}

// Nothing but what a holder writes is taken for a spare.
func TestSpareIn(t *testing.T) {
	t.Parallel()
	line, err := json.Marshal(news{Is: isHere, Spare: &spareNews{Session: 7, Took: 12, Exact: true}, Why: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]*spareNews{
		string(line) + "\n{": {7, 12, true},
		`{"is":"here","spare":{"session":4294967295,"took_ms":0}}`: {1<<32 - 1, 0, false},
		`{"is":"here"}` + "\n":                                     nil,
		`{"is":"here"}` + "\n" + string(line):                      nil,
		`{"is":"here","spare":{"session":4294967296,"took_ms":0}}`: nil,
		`{"is":"here","spare":{"session":7,"took_ms":65536}}`:      nil,
		`{"is":"here","spare":{"session":7,"took_ms":-1}}`:         nil,
		`{"is":"here","spare":{"session":7x,"took_ms":1}}`:         nil,
		`{"is":"here","spare":{"session":7,"took_ms":1`:            nil,
		`{"is":"here","spare":{"session":7`:                        nil,
		`{"is":"lost","spare":{"session":7,"took_ms":1}}`:          nil,
		``: nil,
		strings.Repeat(`{"is":"here","spare":{"session":1`, 1000): nil,
	} {
		got, _, ok := spareIn([]byte(answer))
		if ok != (want != nil) || ok && got != *want {
			t.Errorf("%.60q: %+v, %v", answer, got, ok)
		}
	}
}

// A spare on a link that has died is not used, and nothing is sent to it that
// could run.
func TestSpareOnADeadLink(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l, _, _ := f.readySpare(t, func(*holderSpec) {})
	for _, pid := range f.Pids(sshdtest.Worker) {
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGCONT) })
	}
	began := time.Now()
	if s := spareOf(t, l); s != nil {
		t.Error("it was handed over")
		s.Close()
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("that took %s", took)
	}
}
