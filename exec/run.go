package exec

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec/mux"
	"bivy/sshcmd"
)

// Pauses between attempts to reach a master that just went away.
const (
	firstPause = 25 * time.Millisecond
	lastPause  = 800 * time.Millisecond
)

// Run runs one command on the target: it takes a session of the target's
// master, logging in if need be, and repeats only attempts that provably
// started nothing. The receipt is always filled as far as things are known.
// The error is nil for a command that ran to its own end, whatever its status;
// else *NotStartedError, *LostError, *TimeoutError, *CanceledError, an error
// of mux, or one about the command itself.
func Run(ctx context.Context, masters *mux.Masters, target mux.Target, c Command) (Receipt, error) {
	if err := c.check(); err != nil {
		return Receipt{State: NeverStarted}, err
	}
	lease, err := masters.LeaseSoon(ctx, target)
	if err != nil {
		return notLeased(ctx, err)
	}
	defer lease.Release()
	return RunOn(ctx, lease, c)
}

// notLeased is the receipt of a command that found no session.
func notLeased(ctx context.Context, err error) (Receipt, error) {
	r := Receipt{State: NeverStarted}
	var said *sshcmd.Error
	if errors.As(err, &said) {
		r.Class = said.Class
	}
	if ctx.Err() != nil {
		r.State = Canceled
	}
	return r, err
}

// RunOn is Run with a session that the caller has leased.
func RunOn(ctx context.Context, lease *mux.Lease, c Command) (Receipt, error) {
	if err := c.check(); err != nil {
		return Receipt{State: NeverStarted}, err
	}
	login, receipt, err := loginVars(ctx, lease, c.Login)
	if err != nil {
		return receipt, err
	}
	c.Env = append(login[:len(login):len(login)], c.Env...)
	lost := retry{pause: firstPause, until: time.Now().Add(lease.Masters().Wait())}
	direct, _ := lease.Dials()
	for replaced, spare := false, direct && lease.Masters().Spares() && c.TTY == nil; ; {
		a := &attempt{cmd: c, lease: lease, id: newIdentity(), spare: spare}
		receipt, err := a.run(ctx)
		receipt.Way = a.way()
		receipt.Timing.Connect, receipt.Timing.Queue = lease.Connect, lease.Queue
		zerolog.Ctx(ctx).Info().Str("host", lease.Host()).Str("state", string(receipt.State)).Str("way", receipt.Way).
			Dur("connect", lease.Connect).Dur("queue", lease.Queue).Dur("start", receipt.Timing.Start).
			Dur("ran", receipt.Duration).Msg("command")
		var not *NotStartedError
		if errors.As(err, &not) && a.spare && !a.wedged && not.Dir == "" {
			// A session that was opened long ago may end just when it is needed,
			// and for reasons of its own. Nothing has run.
			spare = false
			continue
		}
		if !errors.As(err, &not) || !a.wedged && !retryable(receipt.Class) {
			return receipt, err
		}
		switch {
		case a.wedged && replaced:
			return receipt, err
		case a.wedged:
			replaced = true
			err = lease.Replace(ctx)
		case receipt.Class == sshcmd.ClassMuxRefused:
			err = lease.Refused(ctx)
		default:
			err = lost.wait(ctx, lease, err)
		}
		switch {
		case ctx.Err() != nil:
			return Receipt{State: Canceled}, &CanceledError{Host: lease.Host(), Cause: context.Cause(ctx)}
		case err != nil:
			receipt.Timing.Queue = lease.Queue
			return receipt, err
		}
		if err := lease.Reconnect(ctx); err != nil {
			return notLeased(ctx, err)
		}
	}
}

// retry is the patience that is left where the master goes away time and again.
type retry struct {
	pause time.Duration
	until time.Time
}

// wait pauses, each time longer, or returns why when the budget is used up.
func (r *retry) wait(ctx context.Context, lease *mux.Lease, why error) error {
	pause := r.pause*4/5 + rand.N(r.pause*2/5) //nolint:gosec // spreads load, hides nothing
	if time.Now().Add(pause).After(r.until) {
		return why
	}
	zerolog.Ctx(ctx).Debug().Dur("pause", pause).Msg("no master; trying again")
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
	lease.Queue += pause
	r.pause = min(2*r.pause, lastPause)
	return nil
}

// retryable reports whether a command that never started may be tried again
// on the same master: the host refused one session more, or the master went
// away just before.
func retryable(c sshcmd.Class) bool {
	return c == sshcmd.ClassMuxRefused || c == sshcmd.ClassMux
}
