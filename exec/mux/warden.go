package mux

import (
	"context"
	"net"
	"sync"
	"time"
)

// Defaults of the times in holderSpec.
const (
	guardBeat    = 15 * time.Second
	guardSilence = 45 * time.Second
	guardIdle    = 30 * time.Second
)

// maxWatched bounds the commands of one master, with those whose process is
// gone.
const maxWatched = 2 * maxControls

// warden watches the commands of one master: it knows from the control socket
// which there are, and keeps one guardian on the host while there are any. All
// that it knows belongs to its loop; others post to it.
type warden struct {
	spec   holderSpec
	dir    Dir
	master *Lease     // to open sessions with; it has none itself
	busy   func() int // how many sessions are taken on this master
	posts  chan func(now time.Time)
	work   sync.WaitGroup
	cancel context.CancelFunc
	socket net.Listener

	runs     map[string]*watched
	empty    time.Time // since when there are none
	guardian *guardian // nil: none
	beat     time.Time // when the next one is due
	retry    time.Time // before that no guardian is started
	failures int
	hints    int    // refusals in a row that look as if there were no session
	alone    bool   // the host has no session for a guardian
	why      string // there is no guardian; empty while one is on its way
	yielding []func()
}

// startWarden makes the control socket and returns; close ends the warden.
func startWarden(ctx context.Context, spec holderSpec, busy func() int) (*warden, error) {
	w := &warden{
		spec: spec, dir: Dir{path: spec.Dir}, busy: busy, posts: make(chan func(time.Time)),
		runs: map[string]*watched{}, empty: time.Now(),
	}
	w.spec.Beat, w.spec.Silence = orDefault(spec.Beat, guardBeat), orDefault(spec.Silence, guardSilence)
	w.spec.GuardIdle = orDefault(spec.GuardIdle, guardIdle)
	// The environment is that of whoever logged in, which decides how sessions
	// are opened.
	own, err := Open(Config{SSH: spec.SSH, Sockets: spec.Dir})
	if err != nil {
		return nil, err
	}
	own.dir = w.dir
	w.master = own.at(spec.ID, spec.Host, "")
	socket, err := listenControl(w.dir.control(spec.ID))
	if err != nil {
		return nil, err
	}
	w.socket = socket
	ctx, w.cancel = context.WithCancel(ctx)
	w.work.Go(func() { w.accept(ctx, socket) })
	w.work.Go(func() { w.loop(ctx) })
	return w, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// close ends everything that the warden has started, and removes the socket.
func (w *warden) close() {
	w.cancel()
	_ = w.socket.Close()
	w.work.Wait()
}

// post has the loop do something.
func (w *warden) post(ctx context.Context, do func(now time.Time)) {
	select {
	case w.posts <- do:
	case <-ctx.Done():
	}
}

func (w *warden) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		if next := w.step(ctx, now); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(next.Sub(now), time.Millisecond))
		}
		select {
		case do := <-w.posts:
			do(time.Now())
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// alarm is the earliest of several moments.
type alarm struct{ time.Time }

func (a *alarm) at(t time.Time) {
	if a.IsZero() || t.Before(a.Time) {
		a.Time = t
	}
}

// step does what is due, and returns when it is to be called again at the
// latest; zero means when something happens.
func (w *warden) step(ctx context.Context, now time.Time) time.Time {
	var next alarm
	for _, r := range w.runs {
		switch {
		case r.due.IsZero():
		case now.Before(r.due):
			next.at(r.due)
		default:
			r.due, r.want = time.Time{}, doEnd
		}
	}
	w.keepGuardian(ctx, now, &next)
	if w.guardian == nil || !w.guardian.listens() {
		return next.Time
	}
	for _, r := range w.runs {
		w.guardian.send(r.lines(now))
		if r.sent == doKill {
			next.at(r.again)
		}
	}
	return next.Time
}

// register takes a command on, unless its name is taken or there are too many.
func (w *warden) register(_ time.Time, r *watched) bool {
	if w.runs[r.id] != nil || len(w.runs) >= maxWatched {
		return false
	}
	w.runs[r.id] = r
	r.tell(news{Is: isHere, Why: w.why})
	return true
}

// known reports whether a command is still registered; what comes late for one
// that is not changes nothing.
func (w *warden) known(r *watched) bool { return w.runs[r.id] == r }

func (w *warden) endRun(r *watched, how string) {
	if !w.known(r) || r.want == doKill {
		return
	}
	r.want = how
	if w.alone {
		r.tell(news{Is: isLost})
	}
}

// orphan ends a command whose process is gone without having seen its end.
func (w *warden) orphan(now time.Time, r *watched) {
	if !w.known(r) {
		return
	}
	r.client = nil
	switch {
	case r.keep && r.want == "" || w.alone:
		w.forget(now, r)
	case r.want != "":
	case r.lifeline:
		r.due = now.Add(time.Duration(r.grace)*time.Second + backstop)
	default:
		r.due = now
	}
}

func (w *warden) forget(now time.Time, r *watched) {
	if !w.known(r) {
		return
	}
	delete(w.runs, r.id)
	if r.briefed && w.guardian != nil && w.guardian.listens() {
		w.guardian.send("over " + r.id + " - - - .\n")
	}
	if len(w.runs) == 0 {
		w.empty = now
	}
}
