package mux

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

// begun is the start mark of a test's commands.
const begun = "begun\n"

// starts notes the start of a command on its lease.
type starts struct {
	lease *Lease
	said  bytes.Buffer
	done  bool
}

func (s *starts) Write(p []byte) (int, error) {
	s.said.Write(p)
	if !s.done && strings.HasPrefix(s.said.String(), begun) {
		s.done = true
		s.lease.Began()
	}
	return len(p), nil
}

// session runs a command over a lease as exec does: again where the host
// refused it. It returns what the command said.
func session(ctx context.Context, l *Lease, command string) (string, error) {
	for {
		log, err := l.LogFile()
		if err != nil {
			return "", err
		}
		out := &starts{lease: l}
		s := sshcmd.Session{SSH: l.Masters().Program(), ControlPath: l.ControlPath(), Log: log, Command: "echo begun; " + command}
		exit, err := proc.Run(ctx, proc.Spec{Args: s.Args(), Env: l.Masters().Env(), Stdout: out})
		words, _ := os.ReadFile(log)
		_ = os.Remove(log)
		said := sshcmd.ClassifySession(l.Host(), exit.Code, string(words))
		switch {
		case err != nil:
			return "", err
		case exit.OK():
			l.Over()
			return strings.TrimPrefix(out.said.String(), begun), nil
		case exit.Code != 255 || said.Class != sshcmd.ClassMuxRefused:
			return "", fmt.Errorf("the session ends with %v: %w", exit, said)
		}
		if err := l.Refused(ctx); err != nil {
			return "", err
		}
		if err := l.Reconnect(ctx); err != nil {
			return "", err
		}
	}
}

// crowdOf runs n commands at once, each with Masters of its own as another
// process would have them, and checks what each says.
func (f *fixture) crowdOf(t *testing.T, n int, command string) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		m := f.masters(t, oneMaster)
		wg.Go(func() {
			l, err := m.Lease(t.Context(), f.target("gpu1"))
			if err != nil {
				t.Errorf("lease %d: %v", i, err)
				return
			}
			defer l.Release()
			out, err := session(t.Context(), l, fmt.Sprintf("%s; echo %d", command, i))
			if want := fmt.Sprintf("%d\n", i); out != want || err != nil {
				t.Errorf("command %d says %q, %v", i, out, err)
			}
		})
	}
	wg.Wait()
}

func TestLimitIsLearned(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]struct {
		limit   int
		learned bool
	}{1: {1, true}, 2: {2, true}, 10: {DefaultSessions, false}} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			f := newFixtureWith(t, sshdtest.Options{MaxSessions: most})
			// Long enough for three refusals while others run.
			f.crowdOf(t, 12, "sleep 0.4")
			m := f.masters(t)
			r, err := m.route(t.Context(), f.target("gpu1"), false)
			if err != nil {
				t.Fatal(err)
			}
			if n, learned := m.limit(r.ID); n != want.limit || learned != want.learned {
				t.Errorf("the limit is %d, learned %v; want %+v", n, learned, want)
			}
			if n := m.busy(r.ID); n != 0 {
				t.Errorf("%d sessions are busy after all ended", n)
			}
			if n := f.Logins(t); n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
		})
	}
}

// running starts a command that lasts until the returned function is called.
func running(t *testing.T, f *fixture, l *Lease) (end func()) {
	t.Helper()
	stop := filepath.Join(f.Home, "stop")
	done := make(chan error, 1)
	go func() {
		_, err := session(t.Context(), l, "while [ ! -e "+stop+" ]; do sleep 0.02; done")
		done <- err
	}()
	eventually(t, "the command runs", func() bool { return note{run: true} == readNote(t, l) })
	return func() {
		t.Helper()
		if err := os.WriteFile(stop, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("the running command: %v", err)
		}
	}
}

// readNote reads the note of a lease as another process does.
func readNote(t *testing.T, l *Lease) note {
	t.Helper()
	file, err := os.Open(l.slot.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	return (&slot{file: file}).read()
}

func TestBusyBelowALearnedLimit(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, sshdtest.Options{MaxSessions: 1})
	end := running(t, f, lease(t, f.masters(t), f.target("gpu1")))
	const budget = time.Second
	m := f.masters(t, wait(budget), oneMaster)
	l := lease(t, m, f.target("gpu1"))
	_, err := session(t.Context(), l, "true")
	want := "gpu1 refuses more than 1 session at a time (MaxSessions in its sshd_config); 1 is busy"
	var busy *BusyError
	if !errors.As(err, &busy) || err.Error() != want {
		t.Errorf("a host that is full gives %q, want %q", err, want)
	}
	l.Release()
	// From now on nobody is even let to try.
	if _, err := m.Lease(t.Context(), f.target("gpu1")); err == nil || err.Error() != want {
		t.Errorf("after that a lease gives %v", err)
	}
	end()
}

func TestHostThatGivesNoSession(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, sshdtest.Options{Extra: []string{"MaxSessions 0"}})
	l := lease(t, f.masters(t, wait(time.Second)), f.target("gpu1"))
	_, err := session(t.Context(), l, "true")
	if err == nil || !strings.Contains(err.Error(), "gpu1 refuses every session") {
		t.Errorf("a host without sessions gives %v", err)
	}
	if _, learned := l.masters.limit(l.id); learned {
		t.Error("no session at all was learned as a limit")
	}
}

func TestLostCommandLowersNoLimit(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, sshdtest.Options{MaxSessions: 2})
	one, two := lease(t, f.masters(t), f.target("gpu1")), lease(t, f.masters(t), f.target("gpu1"))
	end := running(t, f, one)
	// The client is killed; its command lives on, and keeps its session.
	gone := filepath.Join(f.Home, "gone")
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := session(ctx, two, "while [ ! -e "+gone+" ]; do sleep 0.02; done")
		ended <- err
	}()
	eventually(t, "the second command runs", func() bool { return readNote(t, two).run })
	kill()
	if err := <-ended; err == nil {
		t.Error("a killed session has no error")
	}
	two.Release()
	m := f.masters(t, wait(2*time.Second))
	l := lease(t, m, f.target("gpu1"))
	_, err := session(t.Context(), l, "true")
	var busy *BusyError
	if !errors.As(err, &busy) || !busy.Unended || busy.Busy != 1 {
		t.Errorf("a host that is full gives %v, want one that may have an unended command", err)
	}
	if n, learned := m.limit(l.id); learned {
		t.Errorf("a lost command made the limit %d", n)
	}
	if err := os.WriteFile(gone, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	end()
}

func TestLimitExpires(t *testing.T) {
	t.Parallel()
	m, err := Open(Config{Sockets: filepath.Join(shortDir(t), "m")})
	if err != nil {
		t.Fatal(err)
	}
	const id = "0123456789abcdef"
	write := func(r limitRecord) {
		t.Helper()
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(m.dir.sidecar(id, "limit"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for _, c := range []struct {
		record limitRecord
		want   int
	}{
		{limitRecord{1, 3, now}, 3},
		{limitRecord{1, 3, now.Add(-limitLife / 2)}, 3},
		{limitRecord{1, 3, now.Add(-limitLife - time.Second)}, DefaultSessions},
		{limitRecord{1, 3, now.Add(time.Hour)}, DefaultSessions},
		{limitRecord{2, 3, now}, DefaultSessions},
		{limitRecord{1, 0, now}, DefaultSessions},
		{limitRecord{1, 100, now}, DefaultSessions},
	} {
		write(c.record)
		if n, _ := m.limit(id); n != c.want {
			t.Errorf("%+v makes the limit %d, want %d", c.record, n, c.want)
		}
	}
}
