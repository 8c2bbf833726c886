package mux

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/term"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

// human is somebody at a terminal.
type human struct {
	keyboard *os.File // the controlling end
	tty      *os.File
	before   *term.State

	mu   sync.Mutex
	seen bytes.Buffer
}

func newHuman(t *testing.T) *human {
	t.Helper()
	keyboard, tty, err := proc.OpenTTY(proc.Size{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	h := &human{keyboard: keyboard, tty: tty}
	if h.before, err = term.GetState(int(tty.Fd())); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1024)
		for {
			n, err := keyboard.Read(buf)
			h.mu.Lock()
			h.seen.Write(buf[:n])
			h.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		// The end of the terminal ends the reader of its controlling end.
		_ = tty.Close()
		<-done
		_ = keyboard.Close()
	})
	return h
}

func (h *human) sees() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen.String()
}

// types waits for a question and answers it.
func (h *human) types(t *testing.T, question, answer string) {
	t.Helper()
	if !within(t, patience, func() bool { return strings.Contains(h.sees(), question) }) {
		t.Fatalf("the question %q does not come; the terminal shows %q", question, h.sees())
	}
	if _, err := h.keyboard.WriteString(answer); err != nil {
		t.Fatal(err)
	}
}

// modesRestored checks that the terminal is as it was.
func (h *human) modesRestored(t *testing.T) {
	t.Helper()
	now, err := term.GetState(int(h.tty.Fd()))
	if err != nil || !reflect.DeepEqual(now, h.before) {
		t.Errorf("the terminal's modes are %+v, %v; want %+v", now, err, h.before)
	}
}

func (h *human) terminal() func(*Config) {
	return func(c *Config) { c.Terminal = &Terminal{In: h.tty, Out: h.tty} }
}

// asking is a host whose key nobody knows yet.
func (f *fixture) asking(t *testing.T) (at Target, known string) {
	t.Helper()
	known = filepath.Join(f.Home, "known_hosts")
	f.HostBlock(t, "asks", "UserKnownHostsFile "+known, "StrictHostKeyChecking ask")
	return f.target("asks"), known
}

// leaseIn takes a lease in the background.
func leaseIn(ctx context.Context, m *Masters, at Target) (*Lease, <-chan error) {
	l, done := &Lease{}, make(chan error, 1)
	go func() {
		got, err := m.Lease(ctx, at)
		if err == nil {
			*l = *got
		}
		done <- err
	}()
	return l, done
}

func ends(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the login does not end")
		return nil
	}
}

func TestHostKeyQuestion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, known := f.asking(t)
	h := newHuman(t)
	l, done := leaseIn(t.Context(), f.masters(t, h.terminal()), at)
	h.types(t, "(yes/no/[fingerprint])?", "yes\r")
	if err := ends(t, done); err != nil {
		t.Fatalf("the login: %v; the terminal showed %q", err, h.sees())
	}
	defer l.Release()
	h.modesRestored(t)
	if key, err := os.ReadFile(known); err != nil || !strings.Contains(string(key), "ssh-ed25519") {
		t.Errorf("the host key was not learnt: %q, %v", key, err)
	}
	// ssh's own terminal echoes, once.
	if n := strings.Count(h.sees(), "yes\r\n"); n != 1 {
		t.Errorf("the answer is echoed %d times in %q", n, h.sees())
	}
	if rec := record(t, l); !rec.Human {
		t.Error("the record does not know that somebody typed")
	}
}

func TestHostKeyRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, _ := f.asking(t)
	h := newHuman(t)
	_, done := leaseIn(t.Context(), f.masters(t, h.terminal()), at)
	h.types(t, "(yes/no/[fingerprint])?", "no\r")
	var said *sshcmd.Error
	if err := ends(t, done); !errors.As(err, &said) || said.Class != sshcmd.ClassHostKeyUnknown {
		t.Errorf("the answer no gives %v", err)
	}
	h.modesRestored(t)
	f.nothingLeft(t)
}

func TestInterruptAtTheQuestion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, known := f.asking(t)
	h := newHuman(t)
	_, done := leaseIn(t.Context(), f.masters(t, h.terminal()), at)
	h.types(t, "(yes/no/[fingerprint])?", "\x03")
	if err := ends(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("^C gives %v, want a cancel", err)
	}
	h.modesRestored(t)
	f.nothingLeft(t)
	if onDisk(known) {
		t.Error("the host key was learnt")
	}
}

func TestCancelAtTheQuestion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at, _ := f.asking(t)
	h := newHuman(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, done := leaseIn(ctx, f.masters(t, h.terminal()), at)
	eventually(t, "the question", func() bool { return strings.Contains(h.sees(), "fingerprint])?") })
	cancel()
	if err := ends(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancel gives %v", err)
	}
	h.modesRestored(t)
	f.nothingLeft(t)
}

func TestTypedAheadStaysUnlessAsked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := newHuman(t)
	if _, err := h.keyboard.WriteString("next command\n"); err != nil {
		t.Fatal(err)
	}
	_, done := leaseIn(t.Context(), f.masters(t, h.terminal()), f.target("gpu1"))
	if err := ends(t, done); err != nil {
		t.Fatal(err)
	}
	h.modesRestored(t)
	buf := make([]byte, 100)
	if n, err := h.tty.Read(buf); err != nil || string(buf[:n]) != "next command\n" {
		t.Errorf("what was typed ahead is now %q, %v", buf[:n], err)
	}
}

func TestProxyWordsAreShownAndMadeSafe(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.HostBlock(t, "slow", "ProxyCommand "+f.script(t, "proxy", `printf 'starting\033]0;x\007 workspace\n' >&2; exit 1`))
	h := newHuman(t)
	_, done := leaseIn(t.Context(), f.masters(t, h.terminal()), f.target("slow"))
	var said *sshcmd.Error
	if err := ends(t, done); !errors.As(err, &said) || said.Class != sshcmd.ClassProxy || !strings.Contains(said.Line, "workspace") {
		t.Errorf("the login gives %v", err)
	}
	eventually(t, "the proxy's words are on the terminal", func() bool { return strings.Contains(h.sees(), "workspace") })
	if strings.Contains(h.sees(), "\033]0;") {
		t.Errorf("a title sequence reached the terminal: %q", h.sees())
	}
}
