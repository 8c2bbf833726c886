package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"
)

const (
	// greeting is how long a master may take to say hello before it is asked
	// properly whether it still works. See strangerGreeting.
	greeting = 2 * time.Second
	// helloType is the type of a master's first message (OpenSSH,
	// PROTOCOL.mux: MUX_MSG_HELLO).
	helloType = 1
)

// greets reports whether the master takes a connection and says hello, as it
// does of its own accord. One that is stopped takes connections, too, until
// its queue is full (EAGAIN), and says nothing.
func greets(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	early := time.AfterFunc(strangerGreeting, func() {
		if !held(socket) {
			cancel()
		}
	})
	defer early.Stop()
	conn, err := dialSocket(ctx, socket)
	if err != nil {
		return false
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	return saysHello(ctx, conn)
}

func saysHello(ctx context.Context, conn net.Conn) bool {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var hello [12]byte // a length, a type, and a version, whichever that is
	if _, err := io.ReadFull(conn, hello[:]); err != nil {
		return false
	}
	return binary.BigEndian.Uint32(hello[4:]) == helloType
}

// Responsive asks the master of the lease, within a deadline of its own,
// whether it still works: one that is stopped, or stuck, listens on.
func (l *Lease) Responsive(ctx context.Context) bool {
	_, err := l.Check(ctx)
	return err == nil
}

// Replace ends the master of the lease, with all that runs over it, unless it
// answers after all, and logs in anew, once. Of several processes that notice
// at the same time one does so. The errors are those of Reconnect.
func (l *Lease) Replace(ctx context.Context) error {
	m := l.masters
	if l.ride != "" {
		return l.remount(ctx)
	}
	if l.onSecond() {
		r := l.route
		r.ID = l.id
		err := m.locked(ctx, r, time.Now(), func() error { return m.endWedged(ctx, r) })
		if err != nil || l.Alive() {
			return err
		}
		return l.Reconnect(ctx)
	}
	start := time.Now()
	defer func() { l.Connect += time.Since(start) }()
	return m.replace(ctx, l.route)
}

// unstick replaces the master for which the lease stands in line, where that
// has stopped to answer. One that is not there is nobody's trouble yet.
func (l *Lease) unstick(ctx context.Context) error {
	if probe(l.ControlPath()) != listening || greets(ctx, l.ControlPath()) {
		return nil
	}
	if l.ride == "" {
		return l.Replace(ctx)
	}
	if l.Responsive(ctx) || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &OwnMasterError{Host: l.Host(), Path: l.ride}
}

// ready makes sure that the first master of a route works.
func (m *Masters) ready(ctx context.Context, r route) error {
	socket := m.dir.socket(r.ID)
	switch {
	case greets(ctx, socket) && !m.holderGone(r.ID) || ctx.Err() != nil:
		return context.Cause(ctx)
	case probe(socket) == listening:
		return m.replace(ctx, r)
	default:
		return m.connect(ctx, r)
	}
}

// replace is Replace for the first master of a route.
func (m *Masters) replace(ctx context.Context, r route) error {
	began := time.Now()
	return m.locked(ctx, r, began, func() error {
		if err := m.endWedged(ctx, r); err != nil || probe(m.dir.socket(r.ID)) == listening {
			return err
		}
		return m.loginLocked(ctx, r, began)
	})
}

// endWedged ends a master that does not answer, under the lock of its login.
func (m *Masters) endWedged(ctx context.Context, r route) error {
	master := m.at(r.ID, string(r.Host), "")
	_, asked := master.Check(ctx)
	if asked == nil && !m.orphaned(r.ID) || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if probe(m.dir.socket(r.ID)) != listening {
		return nil // it ended meanwhile
	}
	if master.spares(asked) {
		return fmt.Errorf("replace the master of %s: somebody else listens on %s: %w", r.Host, master.ControlPath(), asked)
	}
	hold, err := m.end(ctx, r.ID, 0)
	if err != nil {
		return fmt.Errorf("replace the master of %s, which does not answer: %w", r.Host, err)
	}
	defer hold.Close() //nolint:errcheck // the lock ends with the descriptor
	if probe(m.dir.socket(r.ID)) == listening {
		return fmt.Errorf("replace the master of %s, which does not answer: somebody else listens on %s", r.Host, m.dir.socket(r.ID))
	}
	zerolog.Ctx(ctx).Warn().Msgf("the master of %s did not answer; it was replaced", r.Host)
	return nil
}

// step is one of ever harder ways to end a master: a signal for ssh and one
// for its holder, and the time that both have to be gone.
type step struct {
	ssh, holder syscall.Signal
	wait        time.Duration
}

// end waits for the end of a master, for as long as first says, and then ends
// it. It returns the lock of the holder, which proves that there is none.
func (m *Masters) end(ctx context.Context, id string, first time.Duration) (*flock.Flock, error) {
	hold := flock.New(m.dir.sidecar(id, "hold"))
	for _, s := range []step{
		{wait: first},
		{ssh: syscall.SIGTERM, wait: 200 * time.Millisecond},
		{ssh: syscall.SIGKILL, wait: time.Second},
		{ssh: syscall.SIGKILL, holder: syscall.SIGTERM, wait: controlDeadline},
		{ssh: syscall.SIGKILL, holder: syscall.SIGKILL, wait: controlDeadline},
	} {
		m.signal(id, s)
		locked, err := lockWithin(ctx, hold, s.wait)
		switch {
		case err != nil:
			return nil, err
		case locked:
			m.endOrphan(ctx, id)
			removeStale(m.dir.socket(id))
			return hold, nil
		}
	}
	return nil, errors.New("its holder does not end")
}

// lockWithin tries for a lock at least once.
func lockWithin(ctx context.Context, lock *flock.Flock, d time.Duration) (bool, error) {
	until := time.Now().Add(d)
	for {
		if ok, err := lock.TryLock(); ok || err != nil || time.Now().After(until) {
			return ok, err
		}
		if err := sleep(ctx, lockPoll); err != nil {
			return false, err
		}
	}
}

// signal sends the signals of a step to the processes on record. They are
// those of the present holder, and not of somebody who got their numbers
// since, as long as its lock is held: a holder first removes the record of
// the last one.
func (m *Masters) signal(id string, s step) {
	rec, err := readRecord(m.dir.sidecar(id, "json"))
	if err != nil {
		return
	}
	hold := flock.New(m.dir.sidecar(id, "hold"))
	if free, err := hold.TryRLock(); free || err != nil {
		_ = hold.Close()
		return
	}
	for _, one := range []struct {
		pid int
		sig syscall.Signal
	}{{rec.SSH, s.ssh}, {rec.Holder, s.holder}} {
		if one.sig != 0 && one.pid > 1 {
			_ = syscall.Kill(one.pid, one.sig)
		}
	}
}
