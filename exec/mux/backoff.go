package mux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"bivy/internal/atomicfile"
	"bivy/sshcmd"
)

// RecentFailureError says that a login was not tried, since one on the same
// route failed a short while ago. It wraps what ssh said then.
type RecentFailureError struct {
	// Said is the failure, Age how long ago it was.
	Said *sshcmd.Error
	Age  time.Duration
}

func (e *RecentFailureError) Error() string {
	return fmt.Sprintf("%s (%s ago; not tried again)", e.Said.Error(), e.Age.Round(time.Second))
}

// Unwrap gives the failure, so that its class and hint stay.
func (e *RecentFailureError) Unwrap() error { return e.Said }

const (
	// permanentLife is how long a failure that only a human can end keeps
	// other processes from trying: more attempts may lock an account.
	permanentLife = time.Minute
	// seriesLife is how long after a back-off the next failure still counts
	// as one of the same series.
	seriesLife = time.Minute
	// backoffPoll is how often somebody who waits for the end of a back-off
	// looks whether another process has logged in, or cleared the record.
	backoffPoll = 200 * time.Millisecond
)

// backoff is the pause after that many failures in a row: 1, 2, 4, 7 and then
// 10 seconds, give or take a fifth, so that processes do not return in step.
func backoff(attempts int) time.Duration {
	steps := []time.Duration{1, 2, 4, 7, 10}
	d := steps[min(max(attempts, 1), len(steps))-1] * time.Second
	return d*4/5 + rand.N(d*2/5) //nolint:gosec // spreads load, hides nothing
}

// failureFormat is the format of a recorded failure; others are ignored.
const failureFormat = 2

// failure is the last failed login of a route, shared by all processes.
type failure struct {
	Format int          `json:"format"`
	Time   time.Time    `json:"time"`
	Class  sshcmd.Class `json:"class"`
	Code   int          `json:"code"`
	Words  string       `json:"words"`
	// Attempts is how many failed in a row, Until when the next may be made.
	Attempts int       `json:"attempts"`
	Until    time.Time `json:"until"`
	// Files are those that decide a permanent failure: while they are the
	// same, another attempt would end alike.
	Files []fileStamp `json:"files,omitempty"`
}

// said is the failure in ssh's words.
func (f failure) said(host string) *sshcmd.Error {
	return sshcmd.Classify(host, f.Code, f.Words)
}

// holds reports whether the failure still keeps others from trying.
func (f failure) holds(now time.Time) bool {
	return now.Before(f.Until) && !f.Time.After(now) && f.unchanged()
}

func (f failure) unchanged() bool {
	return !slices.ContainsFunc(f.Files, func(s fileStamp) bool { return stampOf(s.Path) != s })
}

func (m *Masters) readFailure(id string) (failure, bool) {
	var f failure
	data, err := os.ReadFile(m.dir.sidecar(id, "fail"))
	if err != nil || json.Unmarshal(data, &f) != nil || f.Format != failureFormat {
		return failure{}, false
	}
	return f, true
}

// forgetFailure is for a login that succeeded, and for those who try on
// purpose.
func (m *Masters) forgetFailure(id string) { _ = os.Remove(m.dir.sidecar(id, "fail")) }

// recordFailure writes down how a login ended. The user's cancel and troubles
// of our own say nothing about the host, and leave what is known of it.
func (m *Masters) recordFailure(ctx context.Context, r route, err error) {
	if err == nil {
		m.forgetFailure(r.ID)
		return
	}
	var said *sshcmd.Error
	if !errors.As(err, &said) || ctx.Err() != nil {
		return
	}
	now := time.Now()
	f := failure{
		Format: failureFormat, Time: now, Class: said.Class, Code: said.ExitCode, Words: said.Log, Attempts: 1, Until: now,
	}
	switch {
	case said.Class.Transient():
		if last, ok := m.readFailure(r.ID); ok && last.Class.Transient() && now.Before(last.Until.Add(seriesLife)) {
			f.Attempts = last.Attempts + 1
		}
		f.Until = now.Add(backoff(f.Attempts))
	case said.Class.Permanent():
		f.Until = now.Add(permanentLife)
		f.Files = r.files
	}
	m.writeFailure(ctx, r.ID, f)
}

func (m *Masters) writeFailure(ctx context.Context, id string, f failure) {
	data, err := json.Marshal(f)
	if err == nil {
		err = atomicfile.Write(m.dir.sidecar(id, "fail"), data, 0o600)
	}
	if err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("failure is not recorded")
	}
}

// mayTry decides, under the lock of the route's login, whether to log in now:
// pause is how long to wait first, without the lock. Who stood in line while
// another process failed takes that failure as its own. A person at a
// terminal, or behind SSH_ASKPASS, may have changed what we cannot see, and
// always tries.
func (m *Masters) mayTry(r route, since time.Time) (pause time.Duration, err error) {
	f, ok := m.readFailure(r.ID)
	now := time.Now()
	if !ok || m.cfg.Terminal != nil || m.cfg.Askpass || !f.unchanged() {
		return 0, nil
	}
	if f.Time.After(since) && !f.Time.After(now) {
		return 0, f.said(string(r.Host))
	}
	if !f.holds(now) {
		return 0, nil
	}
	if f.Class.Permanent() || f.Until.After(since.Add(m.cfg.Wait)) {
		return 0, &RecentFailureError{Said: f.said(string(r.Host)), Age: now.Sub(f.Time)}
	}
	return f.Until.Sub(now), nil
}
