package mux

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"
)

// Lease is the right to one session on a living master. It is a kernel file
// lock, so that it works between processes and ends with the process.
type Lease struct {
	masters *Masters
	route   route
	slot    *flock.Flock
	// Connect is the time spent on a login, Queue on waiting for a session.
	Connect, Queue time.Duration
}

// BusyError says that all sessions of a route stayed taken.
type BusyError struct {
	Host     string
	Sessions int
	Waited   time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("no free session on %s after %s: all %d are busy", e.Host, e.Waited.Round(time.Millisecond), e.Sessions)
}

// Timing of the queue: polls are cheap (one flock each), and their spread
// keeps many waiters from asking in step.
const (
	queuePoll   = 10 * time.Millisecond
	queueNotice = 2 * time.Second
	// minQueue is waited even by those who asked for no patience: that long a
	// holder has all locks while it ends an idle master.
	minQueue = 300 * time.Millisecond
)

// Lease finds the route of a target, waits for a free session and makes sure
// that a master is there, logging in where none is. Errors: *sshcmd.Error for
// what ssh said, *BusyError, *LoginTimeoutError, or the context's.
func (m *Masters) Lease(ctx context.Context, t Target) (*Lease, error) {
	r, err := m.route(ctx, t, false)
	if err != nil {
		return nil, err
	}
	l := &Lease{masters: m, route: r}
	if err := l.acquire(ctx); err != nil {
		return nil, err
	}
	if err := l.Reconnect(ctx); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

// Reconnect makes sure that the master of the lease is there. Nothing happens
// where it is; otherwise the user's configuration is asked again, since a
// login is about to be paid for anyway, and a master is started.
func (l *Lease) Reconnect(ctx context.Context) error {
	m := l.masters
	if probe(m.dir.socket(l.route.ID)) == listening {
		return nil
	}
	start := time.Now()
	defer func() { l.Connect += time.Since(start) }()
	if !l.route.Fresh {
		r, err := m.route(ctx, l.route.Target, true)
		if err != nil {
			return err
		}
		moved := r.ID != l.route.ID
		l.route = r
		if moved {
			l.Release()
			if err := l.acquire(ctx); err != nil {
				return err
			}
		}
	}
	return m.connect(ctx, l.route)
}

// acquire takes one of the session locks of the route, in random order, and
// stands in line while all are taken.
func (l *Lease) acquire(ctx context.Context) error {
	start := time.Now()
	defer func() { l.Queue += time.Since(start) }()
	noticed := false
	for {
		slot, err := l.masters.trySlots(l.route.ID)
		if err != nil || slot != nil {
			l.slot = slot
			return err
		}
		waited := time.Since(start)
		if waited >= max(l.masters.cfg.Wait, minQueue) {
			return &BusyError{Host: string(l.route.Host), Sessions: l.masters.cfg.Sessions, Waited: waited}
		}
		if waited > queueNotice && !noticed {
			noticed = true
			zerolog.Ctx(ctx).Warn().Msgf("waiting for a session on %s: %d busy", l.route.Host, l.masters.cfg.Sessions)
		}
		if err := sleep(ctx, queuePoll+rand.N(queuePoll)); err != nil { //nolint:gosec // spreads load, hides nothing
			return err
		}
	}
}

func (m *Masters) trySlots(id string) (*flock.Flock, error) {
	first := rand.N(m.cfg.Sessions) //nolint:gosec // spreads load, hides nothing
	for i := range m.cfg.Sessions {
		path := slotPath(m.dir, id, (first+i)%m.cfg.Sessions)
		slot := flock.New(path)
		ok, err := slot.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock a session of the master: %w", err)
		}
		if ok {
			touch(path)
			return slot, nil
		}
	}
	return nil, nil
}

func slotPath(d Dir, id string, i int) string {
	return d.sidecar(id, "s"+strconv.Itoa(i))
}

// touch marks a session lock as used now: the holder reads the time to tell
// how long the master has been idle.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// Release gives the session back. A second call does nothing.
func (l *Lease) Release() {
	if l.slot == nil {
		return
	}
	touch(l.slot.Path())
	_ = l.slot.Close()
	l.slot = nil
}

// Host is the host as the user named it.
func (l *Lease) Host() string { return string(l.route.Host) }

// RouteID names the route: targets with one RouteID share a master.
func (l *Lease) RouteID() string { return l.route.ID }

// Masters are the masters that the lease is of.
func (l *Lease) Masters() *Masters { return l.masters }

// ControlPath is the control socket of the master.
func (l *Lease) ControlPath() string { return l.masters.dir.socket(l.route.ID) }

// Alive reports whether the master still listens.
func (l *Lease) Alive() bool { return probe(l.ControlPath()) == listening }

// LastWords are what the master's ssh said before it ended, for the message
// about a lost link; empty while it lives.
func (l *Lease) LastWords() string {
	if l.Alive() {
		return ""
	}
	data, err := os.ReadFile(l.masters.dir.sidecar(l.route.ID, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return safeWords(string(data))
}

// LogFile makes a new empty private file for what a session's ssh has to say
// (its -E); the caller removes it.
func (l *Lease) LogFile() (string, error) {
	f, err := os.CreateTemp(l.masters.dir.path, l.route.ID+".e-*")
	if err != nil {
		return "", fmt.Errorf("make a log file for ssh: %w", err)
	}
	return f.Name(), f.Close()
}

// Sidecar is the path of a small file that belongs to the present master of
// the route and ends with it.
func (l *Lease) Sidecar(kind string) string {
	return l.masters.dir.sidecar(l.route.ID, "x-"+kind)
}
