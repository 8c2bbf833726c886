package mux

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

const (
	// slotPoll is how often the head of the line looks for a free session,
	// plus up to as much again. Only one process does so, at one system call
	// for each session.
	slotPoll    = 2 * time.Millisecond
	queueNotice = 2 * time.Second
	// minQueue is waited even by those who asked for no patience: that long a
	// holder has all locks while it ends an idle master.
	minQueue = 300 * time.Millisecond
	// lookPoll is how often the head looks whether there may be more leases, or
	// fewer.
	lookPoll = 100 * time.Millisecond
)

// waiter is a lease that stands in line.
type waiter struct {
	lease  *Lease
	began  time.Time
	over   *time.Timer
	notice *time.Timer
	// What was looked up last: how many leases each master may have, whether
	// the first's number was learned, and whether there is a second.
	limit   [2]int
	learned bool
	second  bool
	looked  time.Time
}

// acquire takes one of the session locks of the route. All who want one stand
// in line for the lock of the queue, newcomers too, so that nobody overtakes;
// its holder is the head and alone looks for a free session. A free queue and
// a free session cost one system call each.
func (l *Lease) acquire(ctx context.Context, until time.Time) error {
	w := &waiter{lease: l, began: time.Now(), over: time.NewTimer(time.Until(until)), notice: time.NewTimer(queueNotice)}
	defer w.over.Stop()
	defer w.notice.Stop()
	defer func() { l.Queue += time.Since(w.began) }()
	l.id = l.home()
	queue, err := w.standInLine(ctx)
	if err != nil {
		return err
	}
	// The next in line is woken by the kernel.
	defer queue.Close() //nolint:errcheck // the lock ends with the descriptor
	if err := w.asHead(ctx); err != nil {
		l.endSecond()
		return err
	}
	return nil
}

// patience is when somebody who comes now stops waiting for a session.
func (m *Masters) patience() time.Time {
	return time.Now().Add(max(m.cfg.Wait, minQueue))
}

// standInLine returns the locked queue. Who waits does so in flock(2), where
// the kernel wakes one after the other as they came (Linux since 5.0; a signal
// to the waiting thread may cost the place). Nothing interrupts that call, so
// one whose caller is gone stays in line and makes way when its turn comes.
func (w *waiter) standInLine(ctx context.Context) (*os.File, error) {
	queue, err := openLock(w.lease.masters.dir.sidecar(w.lease.route.ID, "queue"))
	if err != nil {
		return nil, err
	}
	if ok, err := lockFile(queue, unix.LOCK_EX|unix.LOCK_NB); ok {
		return queue, nil
	} else if err != nil {
		_ = queue.Close()
		return nil, err
	}
	turn, gone := make(chan error), make(chan struct{})
	go func() {
		_, err := lockFile(queue, unix.LOCK_EX)
		select {
		case turn <- err:
		case <-gone:
			_ = queue.Close()
		}
	}()
	for {
		select {
		case err := <-turn:
			if err != nil {
				_ = queue.Close()
				return nil, err
			}
			return queue, nil
		case <-w.notice.C:
			w.tell(ctx)
		case <-w.over.C:
			close(gone)
			return nil, w.busy()
		case <-ctx.Done():
			close(gone)
			return nil, context.Cause(ctx)
		}
	}
}

// asHead looks for a free session until there is one, first on the route's
// first master. Where that takes long, a second one is made.
func (w *waiter) asHead(ctx context.Context) error {
	m, id := w.lease.masters, w.lease.home()
	first, second := m.slots(id), m.slots(secondID(id))
	defer first.close()
	defer second.close()
	poll := time.NewTimer(0)
	defer poll.Stop()
	began := time.Now()
	for asked := began; ; {
		w.look()
		if ok, err := w.take(first, w.limit[0]); ok || err != nil {
			return err
		}
		if w.second {
			if ok, err := w.take(second, w.limit[1]); ok || err != nil {
				return err
			}
		} else if time.Since(began) > secondAfter {
			w.lease.trySecond(ctx)
		}
		if time.Since(asked) > queueNotice {
			// On a master that is stuck no command ends, and no session
			// becomes free.
			if err := w.lease.unstick(ctx); err != nil {
				return err
			}
			asked = time.Now()
		}
		poll.Reset(slotPoll + rand.N(slotPoll)) //nolint:gosec // spreads load, hides nothing
		select {
		case <-poll.C:
		case <-w.notice.C:
			w.tell(ctx)
		case <-w.over.C:
			return w.busy()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take gives the lease a session of one master, if there is one.
func (w *waiter) take(s *slots, limit int) (bool, error) {
	one, err := s.take(limit)
	if one == nil || err != nil {
		return false, err
	}
	w.lease.id, w.lease.slot = s.id, one
	return true, nil
}

// look finds out, now and then, how many leases there may be.
func (w *waiter) look() {
	if !w.looked.IsZero() && time.Since(w.looked) < lookPoll {
		return
	}
	m, id := w.lease.masters, w.lease.home()
	w.limit[0], w.learned = m.limit(id)
	w.second = m.hasSecond(id)
	w.limit[1] = 0
	if w.second {
		w.limit[1], _ = m.limit(secondID(id))
	}
	w.looked = time.Now()
}

// tell says once why nothing happens.
func (w *waiter) tell(ctx context.Context) {
	w.look()
	zerolog.Ctx(ctx).Warn().Msgf("waiting for a session on %s: %d busy", w.lease.route.Host, w.limit[0]+w.limit[1])
}

func (w *waiter) busy() error {
	w.look()
	e := &BusyError{Host: w.lease.Host(), Sessions: w.limit[0] + w.limit[1], Waited: time.Since(w.began), Refused: w.learned}
	if w.learned {
		e.Busy = w.lease.masters.busy(w.lease.home()) + w.lease.masters.busy(secondID(w.lease.home()))
	}
	return e
}
