package mux

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"

	"bivy/exec/proc"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
)

// LoginTimeoutError says that a login did not end within its budget.
type LoginTimeoutError struct {
	Host string
	// After is the budget that was used up, Words the last that ssh or its
	// proxy said.
	After time.Duration
	Words string
}

func (e *LoginTimeoutError) Error() string {
	msg := fmt.Sprintf("no login on %s after %s", e.Host, e.After.Round(time.Millisecond))
	if last := termsafe.LastLine(e.Words); last != "" {
		msg += "; last words: " + last
	}
	return msg
}

// minLogin is the least time a login attempt gets, even with Wait 0, which
// asks for no patience but still for an attempt.
const minLogin = 5 * time.Second

// askpassWait is the least time for a login in which SSH_ASKPASS may ask: we do
// not see when it does, so there is time for a human from the start.
const askpassWait = 5 * time.Minute

// lockPoll is how often a waiter looks whether the login of another process
// has ended.
const lockPoll = 15 * time.Millisecond

// connect makes sure that a master for the route listens. One process logs
// in, under the route's lock; those who waited meanwhile find the master, or
// take the failure as their own instead of hammering the host. After a failure
// that may pass the next attempt, whose ever it is, waits for its time.
func (m *Masters) connect(ctx context.Context, r route) error {
	began := time.Now()
	for noticed := false; ; noticed = true {
		pause, err := m.tryConnect(ctx, r, began)
		if err != nil || pause == 0 {
			return err
		}
		if !noticed {
			zerolog.Ctx(ctx).Info().Str("host", string(r.Host)).Dur("pause", pause).Msg("the last login failed; waiting before the next")
		}
		if err := sleep(ctx, min(pause, backoffPoll)); err != nil {
			return err
		}
	}
}

// tryConnect logs in under the route's lock, unless a master is there or it
// is too early, which pause then says.
func (m *Masters) tryConnect(ctx context.Context, r route, began time.Time) (pause time.Duration, err error) {
	err = m.locked(ctx, r, began, func() error {
		if probe(m.dir.socket(r.ID)) == listening {
			return nil
		}
		if pause, err = m.mayTry(r, began); pause > 0 || err != nil {
			return err
		}
		return m.loginLocked(ctx, r, began)
	})
	return pause, err
}

// locked runs do under the lock of the route's login, for which it waits no
// longer than the budget of somebody who began then.
func (m *Masters) locked(ctx context.Context, r route, began time.Time, do func() error) error {
	lock := flock.New(m.dir.sidecar(r.ID, "lock"))
	waitCtx, cancel := context.WithDeadlineCause(ctx, began.Add(m.loginBudget()),
		&LoginTimeoutError{Host: string(r.Host), After: m.loginBudget(), Words: "another process is logging in"})
	defer cancel()
	if m.cfg.Terminal != nil {
		// The process that logs in may be waiting for a human to type.
		waitCtx = ctx
	}
	if _, err := lock.TryLockContext(waitCtx, lockPoll); err != nil {
		if waitCtx.Err() != nil {
			return context.Cause(waitCtx)
		}
		return fmt.Errorf("lock the login of %s: %w", r.Host, err)
	}
	defer lock.Close() //nolint:errcheck // the lock ends with the descriptor
	return do()
}

// loginLocked logs in, with what is left of the budget of somebody who began
// then, and leaves word of a failure.
func (m *Masters) loginLocked(ctx context.Context, r route, began time.Time) error {
	// A stale socket is the new holder's to remove: it alone knows, by its
	// lock, that no other holder's master is behind it.
	m.forgetSidecars(r.ID)
	m.forgetNotes(r.ID)
	budget := m.loginBudget()
	if m.cfg.Terminal == nil {
		budget = max(budget-time.Since(began), minLogin)
	}
	start := time.Now()
	err := m.login(ctx, r, budget)
	if err != nil {
		zerolog.Ctx(ctx).Info().Str("host", string(r.Host)).Dur("took", time.Since(start)).Msg("login failed")
	}
	m.recordFailure(ctx, r, err)
	return err
}

func (m *Masters) loginBudget() time.Duration {
	if m.cfg.Askpass {
		return max(m.cfg.Wait, askpassWait)
	}
	return max(m.cfg.Wait, minLogin)
}

// login starts a master, again after a pause where the host throttles new
// connections (sshd's MaxStartups), within the budget.
func (m *Masters) login(ctx context.Context, r route, budget time.Duration) error {
	features, err := m.features(ctx)
	if err != nil {
		return err
	}
	r.prefer = m.preferred(ctx, r)
	deadline := time.Now().Add(budget)
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		err := m.start(ctx, r, features, time.Until(deadline))
		var refused *sshcmd.Error
		throttled := errors.As(err, &refused) && refused.Class == sshcmd.ClassThrottled
		wait := pause*4/5 + rand.N(pause*2/5) //nolint:gosec // spreads load, hides nothing
		if !throttled || m.cfg.Wait == 0 || time.Until(deadline) < wait {
			return err
		}
		zerolog.Ctx(ctx).Info().Str("host", string(r.Host)).Dur("pause", wait).Msg("host throttles logins")
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// features asks ssh which of the options it knows that old versions lack.
func (m *Masters) features(ctx context.Context) (sshcmd.Features, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, configDeadline, errors.New("ssh -V gave no answer"))
	defer cancel()
	for f, more := sshcmd.AllFeatures(), true; more; {
		var words proc.Tail
		exit, err := proc.Run(ctx, proc.Spec{Args: sshcmd.ProbeArgs(m.cfg.SSH, f), Env: m.cfg.Env, Stderr: &words, Isolation: proc.Session})
		if err != nil {
			return sshcmd.Features{}, fmt.Errorf("ask %s for its version: %w", m.cfg.SSH[0], err)
		}
		if exit.OK() {
			f, _ = f.Without(words.String())
			return f, nil
		}
		f, more = f.Without(words.String())
	}
	// It fails for another reason, which the login will tell.
	return sshcmd.Features{}, nil
}

// forgetSidecars removes what belonged to the route's last master.
func (m *Masters) forgetSidecars(id string) {
	for _, kind := range []string{"x-*", "e-*", "log"} {
		old, err := filepath.Glob(m.dir.sidecar(id, kind))
		if err != nil {
			continue
		}
		for _, path := range old {
			_ = os.Remove(path)
		}
	}
}
