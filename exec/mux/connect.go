package mux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"

	"bivy/exec/proc"
	"bivy/internal/atomicfile"
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

// lockPoll is how often a waiter looks whether the login of another process
// has ended.
const lockPoll = 15 * time.Millisecond

// connect makes sure that a master for the route listens. One process logs
// in, under the route's lock; those who waited meanwhile find the master, or
// take the failure as their own instead of hammering the host.
func (m *Masters) connect(ctx context.Context, r route) error {
	began := time.Now()
	lock := flock.New(m.dir.sidecar(r.ID, "lock"))
	waitCtx, cancel := context.WithTimeoutCause(ctx, m.loginBudget(),
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
	socket := m.dir.socket(r.ID)
	if probe(socket) == listening {
		return nil
	}
	if err := m.failedSince(r, began); err != nil {
		return err
	}
	// A stale socket is the new holder's to remove: it alone knows, by its
	// lock, that no other holder's master is behind it.
	m.forgetSidecars(r.ID)
	m.forgetNotes(r.ID)
	err := m.login(ctx, r)
	m.recordFailure(ctx, r, err)
	return err
}

func (m *Masters) loginBudget() time.Duration { return max(m.cfg.Wait, minLogin) }

// login starts a master, again after a pause where the host throttles new
// connections (sshd's MaxStartups), within the budget.
func (m *Masters) login(ctx context.Context, r route) error {
	features, err := m.features(ctx)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(m.loginBudget())
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
			return f, nil
		}
		f, more = f.Without(words.String())
	}
	// It fails for another reason, which the login will tell.
	return sshcmd.Features{}, nil
}

// failure is the last failed login of a route, shared by all processes.
type failure struct {
	Format int          `json:"format"`
	Time   time.Time    `json:"time"`
	Class  sshcmd.Class `json:"class"`
	Code   int          `json:"code"`
	Words  string       `json:"words"`
}

func (m *Masters) recordFailure(ctx context.Context, r route, err error) {
	path := m.dir.sidecar(r.ID, "fail")
	var said *sshcmd.Error
	if !errors.As(err, &said) || ctx.Err() != nil {
		// A success, our own trouble, or the user's cancel: none of them
		// says anything about the host.
		_ = os.Remove(path)
		return
	}
	data, err := json.Marshal(failure{Format: 1, Time: time.Now(), Class: said.Class, Code: said.ExitCode, Words: said.Log})
	if err == nil {
		err = atomicfile.Write(path, data, 0o600)
	}
	if err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("failure is not recorded")
	}
}

// failedSince returns the failure of a login that another process tried while
// this one stood in line.
func (m *Masters) failedSince(r route, since time.Time) error {
	data, err := os.ReadFile(m.dir.sidecar(r.ID, "fail"))
	if err != nil {
		return nil
	}
	var f failure
	if json.Unmarshal(data, &f) != nil || f.Format != 1 || f.Time.Before(since) {
		return nil
	}
	said := sshcmd.Classify(string(r.Host), f.Code, f.Words)
	if said == nil {
		return nil
	}
	return said
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
