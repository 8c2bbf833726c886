package mux

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"time"

	"github.com/rs/zerolog"

	"bivy/internal/atomicfile"
)

const (
	// Pauses after a refused session: nothing has run, and the host frees a
	// session a little after its end here.
	firstRefusal = 25 * time.Millisecond
	lastRefusal  = 800 * time.Millisecond
	// hopeless is after how long somebody gives up who is refused though nobody
	// else has a session: such a host gives none at all.
	hopeless = 10 * time.Second
	// enoughRefusals in a row are no session that is just about to end.
	enoughRefusals = 3
	// limitLife is how long a learned limit holds, so that one that was raised
	// on the host is found again.
	limitLife = 10 * time.Minute
)

// limitRecord is how many sessions at a time a host gave on one master.
type limitRecord struct {
	Format int       `json:"format"`
	Limit  int       `json:"limit"`
	Time   time.Time `json:"time"`
}

// limit is how many leases a master may have now: the configured number, or
// what the host was seen to give; learned tells which.
func (m *Masters) limit(id string) (n int, learned bool) {
	data, err := os.ReadFile(m.dir.sidecar(id, "limit"))
	if err != nil {
		return m.cfg.Sessions, false
	}
	var r limitRecord
	if json.Unmarshal(data, &r) != nil || r.Format != 1 || r.Limit < 1 || r.Limit >= m.cfg.Sessions {
		return m.cfg.Sessions, false
	}
	if age := time.Since(r.Time); age < 0 || age > limitLife {
		return m.cfg.Sessions, false
	}
	return r.Limit, true
}

// learn remembers a limit. One that cannot be written only costs refusals.
func (m *Masters) learn(ctx context.Context, id string, limit int) {
	data, err := json.Marshal(limitRecord{Format: 1, Limit: limit, Time: time.Now()})
	if err == nil {
		err = atomicfile.Write(m.dir.sidecar(id, "limit"), append(data, '\n'), 0o600)
	}
	zerolog.Ctx(ctx).Debug().Err(err).Int("limit", limit).Msg("the host gives fewer sessions")
}

// forgetLimit forgets what was learned, where somebody asks on purpose.
func (m *Masters) forgetLimit(id string) { _ = os.Remove(m.dir.sidecar(id, "limit")) }

// refusals are those that came in a row.
type refusals struct {
	count int
	pause time.Duration
	began time.Time
	until time.Time // the end of the budget
	ran   int       // commands seen running meanwhile, at most
	given int       // sessions that others may have had meanwhile, at most
	asked bool      // for the guardian's session
}

// Refused is called when the host refused a session on this lease; nothing
// ran. It returns when another attempt makes sense: after a pause, or where
// others have all that the host gives, after standing in line for one of
// those. The error is *BusyError at the end of the budget, or the context's.
func (l *Lease) Refused(ctx context.Context) error {
	m, now, r := l.masters, time.Now(), &l.refused
	if r.began.IsZero() {
		*r = refusals{pause: firstRefusal, began: now, until: m.patience()}
	}
	if r.count == 0 && l.ride == "" && m.makeRoom(ctx, l.id) {
		// The holder had a session that nobody needs as much. The host frees it
		// in a moment; that it refused one until then says nothing.
		l.Queue += firstRefusal
		return sleep(ctx, firstRefusal)
	}
	r.count++
	seen, err := l.crowd(now)
	if err != nil {
		return err
	}
	l.refusal()
	r.ran = max(r.ran, seen.running)
	if r.count > 1 { // those who began with us have had their answer, too
		r.given = max(r.given, seen.given)
	}
	if l.outOf(ctx, seen) {
		r.count, r.ran, r.given, r.pause = 0, 0, 0, firstRefusal
		l.Release()
		return l.acquire(ctx, r.until)
	}
	pause := r.pause*4/5 + rand.N(r.pause*2/5) //nolint:gosec // spreads load, hides nothing
	none := l.ride == "" && r.ran == 0 && seen.running == 0 && !seen.unended && now.Sub(r.began) > hopeless
	if none || now.Add(pause).After(r.until) {
		return &BusyError{
			Host: l.Host(), Waited: now.Sub(r.began), Sessions: r.ran,
			Refused: true, Busy: seen.running, Unended: seen.unended,
		}
	}
	zerolog.Ctx(ctx).Debug().Int("running", seen.running).Bool("unended", seen.unended).Dur("pause", pause).Msg("the host refuses a session")
	r.pause = min(2*r.pause, lastRefusal)
	l.Queue += pause
	return sleep(ctx, pause)
}

// outOf reports whether the sessions that others have are all that the host
// gives, and remembers their number when it was not known. A session that was
// given may not have begun to run, or just have ended: so the most of several
// looks counts, and every lease that was not refused. A number that is too
// high is found out; one that is too low would slow all down.
func (l *Lease) outOf(ctx context.Context, seen crowd) bool {
	m, r := l.masters, &l.refused
	limit, learned := m.limit(l.id)
	if learned && seen.held >= limit {
		return true // others have learned it meanwhile
	}
	if r.count < enoughRefusals {
		return false
	}
	if r.ran > 0 && !seen.unended {
		m.learn(ctx, l.id, max(r.given, r.ran))
		return true
	}
	if r.ran == 0 && !r.asked && l.ride == "" {
		r.asked = true
		m.YieldGuardian(ctx, l.id)
	}
	return false
}
