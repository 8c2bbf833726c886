package mux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bivy/sshcmd"
)

// Lease is the right to one session on a living master. It is a kernel file
// lock, so that it works between processes and ends with the process.
type Lease struct {
	masters *Masters
	route   route
	// id names the master, of which a route has up to two.
	id string
	// ride is the control socket of the user's own master, where the lease is
	// on that.
	ride string
	slot *slot // nil after Release
	// refused are the host's refusals since a session began.
	refused refusals
	second  *secondLogin // nil unless this lease began one
	greeted *Channel     // kept for the next session; may be nil
	unasked bool         // whether the master works
	// Connect is the time spent on a login, Queue on waiting for a session.
	Connect, Queue time.Duration
}

// Lease finds the route of a target, waits for a free session and makes sure
// that a master is there, logging in where none is. Errors: *sshcmd.Error for
// what ssh said, *BusyError, *LoginTimeoutError, or the context's.
func (m *Masters) Lease(ctx context.Context, t Target) (*Lease, error) { return m.lease(ctx, t, false) }

// LeaseSoon is Lease for one command, which may get a spare session: that answers
// for its master. Who gets none asks Ready.
func (m *Masters) LeaseSoon(ctx context.Context, t Target) (*Lease, error) {
	return m.lease(ctx, t, m.cfg.Spare)
}

func (m *Masters) lease(ctx context.Context, t Target, soon bool) (*Lease, error) {
	r, err := m.route(ctx, t, false)
	if err != nil {
		return nil, err
	}
	l := &Lease{masters: m, route: r}
	l.mount(ctx)
	if err := l.acquire(ctx, m.patience()); err != nil {
		return nil, err
	}
	if l.unasked = soon && l.mayHaveSpare(); l.unasked {
		return l, nil
	}
	if err := l.Reconnect(ctx); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

// mayHaveSpare reports whether there seems to be a holder, which keeps spares.
func (l *Lease) mayHaveSpare() bool {
	if may, _ := l.Dials(); !may || l.ride != "" {
		return false
	}
	_, err := os.Lstat(l.masters.dir.control(l.id))
	return err == nil
}

// Ready makes sure that the master says hello, where nobody has asked before.
// The errors are *sshcmd.Error, in the words of ssh, and the context's.
func (l *Lease) Ready(ctx context.Context) error {
	asked := !l.unasked
	l.unasked = false
	switch {
	case asked || l.greets(ctx):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return sshcmd.ClassifySession(l.Host(), noStatus, unreachable(l.ControlPath(), syscall.ECONNREFUSED).Error()+"\n")
}

// Reconnect makes sure that the master of the lease is there, and replaces one
// that does not answer. Nothing happens where it does; without a master the
// user's configuration is asked again, since a login is about to be paid for
// anyway, and a master is started.
func (l *Lease) Reconnect(ctx context.Context) error {
	m := l.masters
	l.unasked = false
	if l.ride != "" {
		return l.remount(ctx)
	}
	switch {
	case l.greets(ctx):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case probe(m.dir.socket(l.id)) == listening:
		return l.Replace(ctx)
	}
	if l.onSecond() {
		// It is not made anew: there was more to do than there is now, or the
		// host is going away.
		l.Release()
		if err := l.acquire(ctx, m.patience()); err != nil {
			return err
		}
		return l.Reconnect(ctx)
	}
	start := time.Now()
	defer func() { l.Connect += time.Since(start) }()
	if !l.route.Fresh {
		r, err := m.route(ctx, l.route.Target, true)
		if err != nil {
			return err
		}
		moved := r.ID != l.route.ID
		l.route, l.id = r, r.ID
		if moved {
			l.Release()
			if err := l.acquire(ctx, m.patience()); err != nil {
				return err
			}
			return l.Reconnect(ctx)
		}
	}
	return m.connect(ctx, l.route)
}

// Release gives the session back. A second call does nothing.
func (l *Lease) Release() {
	l.hangUp()
	l.endSecond()
	if l.slot == nil {
		return
	}
	touch(l.slot.file.Name())
	l.slot.close()
	l.slot = nil
}

// Wanted returns a function for any goroutine: whether somebody stands in line
// for a session of the route. It may be one who gets a free one that very moment.
func (l *Lease) Wanted() func() bool {
	path := l.masters.dir.sidecar(l.home(), "queue")
	return func() bool {
		queue, err := openLock(path)
		if err != nil {
			return false
		}
		defer queue.Close() //nolint:errcheck // the lock ends with the descriptor
		free, err := lockFile(queue, unix.LOCK_EX|unix.LOCK_NB)
		return err == nil && !free
	}
}

// Host is the host as the user named it.
func (l *Lease) Host() string { return string(l.route.Host) }

// RouteID names the route: targets with one RouteID share a master.
func (l *Lease) RouteID() string { return l.route.ID }

// Masters are the masters that the lease is of.
func (l *Lease) Masters() *Masters { return l.masters }

// ControlPath is the control socket of the master.
func (l *Lease) ControlPath() string {
	if l.ride != "" {
		return l.ride
	}
	return l.masters.dir.socket(l.id)
}

// Alive reports whether the master still listens.
func (l *Lease) Alive() bool { return probe(l.ControlPath()) == listening }

// LastWords are what the master's ssh said before it ended, for the message
// about a lost link; empty while it lives.
func (l *Lease) LastWords() string {
	if l.Alive() {
		return ""
	}
	data, err := os.ReadFile(l.masters.dir.sidecar(l.id, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return safeWords(string(data))
}

// LogFile makes a new empty private file for what a session's ssh has to say
// (its -E); the caller removes it.
func (l *Lease) LogFile() (string, error) {
	f, err := os.CreateTemp(l.masters.dir.path, l.id+".e-*")
	if err != nil {
		return "", fmt.Errorf("make a log file for ssh: %w", err)
	}
	return f.Name(), f.Close()
}

// Sidecar is the path of a small file that belongs to the present master of
// the route and ends with it.
func (l *Lease) Sidecar(kind string) string {
	return l.masters.dir.sidecar(l.id, "x-"+kind)
}
