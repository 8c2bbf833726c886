package mux

import (
	"context"
	"os"
	"time"

	"github.com/rs/zerolog"
)

const (
	// secondAfter is how long the head of the line waits for a session before
	// a second login is worth its price.
	secondAfter = time.Second
	// secondAgain is how long a second login is not tried again.
	secondAgain = 30 * time.Second
)

// secondID names the second master of a route; there is no third. It has its
// own sockets, locks and limit, and ends by itself when it was idle.
func secondID(id string) string { return id + "b" }

// hasSecond reports whether a route has a second master. Few have, and whether
// its socket is there at all is cheaper to see than to dial it.
func (m *Masters) hasSecond(id string) bool {
	socket := m.dir.socket(secondID(id))
	_, err := os.Lstat(socket)
	return err == nil && probe(socket) == listening
}

// mayHaveSecond reports whether a second login may be tried: only where the
// first needed no human, since nobody expects to be asked, or to touch a key,
// in the middle of the work.
func (m *Masters) mayHaveSecond(id string) bool {
	if m.cfg.Wait == 0 {
		return false
	}
	rec, err := readRecord(m.dir.sidecar(id, "json"))
	if err != nil || rec.Human {
		return false
	}
	info, err := os.Stat(m.secondTry(id))
	return err != nil || time.Since(info.ModTime()) > secondAgain
}

// secondTry is a file whose time is that of the last attempt.
func (m *Masters) secondTry(id string) string { return m.dir.sidecar(secondID(id), "try") }

// secondLogin is one that a lease began while it stood in line. It goes on
// when the lease gets another session meanwhile, and ends with the lease: one
// that were given up and begun anew time and again would look like an attack.
type secondLogin struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// trySecond begins a second login, unless it must not be. Its failure is no
// error: the line goes on waiting.
func (l *Lease) trySecond(ctx context.Context) {
	m, id := *l.masters, l.route.ID
	if l.second != nil || l.ride != "" || !m.mayHaveSecond(id) {
		return
	}
	try, err := openLock(m.secondTry(id))
	if err != nil {
		return
	}
	touch(try.Name())
	_ = try.Close()
	m.cfg.Terminal, m.cfg.Askpass = nil, false // nobody is asked
	r := l.route
	r.ID = secondID(id)
	ctx, cancel := context.WithCancel(ctx)
	l.second = &secondLogin{cancel: cancel, done: make(chan struct{})}
	go func(done chan<- struct{}) {
		defer close(done)
		err := m.connect(ctx, r)
		if ctx.Err() != nil {
			_ = os.Remove(m.secondTry(id)) // it says nothing, as it was not tried to its end
		}
		zerolog.Ctx(ctx).Debug().Err(err).Str("host", string(r.Host)).Msg("second login")
	}(l.second.done)
}

// endSecond ends a second login that is still under way.
func (l *Lease) endSecond() {
	if l.second != nil {
		l.second.cancel()
		<-l.second.done
		l.second = nil
	}
}

// onSecond reports whether the lease is on the route's second master.
func (l *Lease) onSecond() bool { return l.id == secondID(l.route.ID) }
