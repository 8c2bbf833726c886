package exec

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec/mux"
	"bivy/sshcmd"
)

// Pauses between attempts to get a session that the host refused: nothing has
// run, and a session is freed on the host a little after its end here.
const (
	firstRefusal = 25 * time.Millisecond
	lastRefusal  = 800 * time.Millisecond
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
	lease, err := masters.Lease(ctx, target)
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
	deadline := time.Now().Add(lease.Masters().Wait())
	pause := firstRefusal
	for {
		a := &attempt{cmd: c, lease: lease, id: newIdentity()}
		receipt, err := a.run(ctx)
		receipt.Timing.Connect, receipt.Timing.Queue = lease.Connect, lease.Queue
		zerolog.Ctx(ctx).Info().Str("host", lease.Host()).Str("state", string(receipt.State)).
			Dur("connect", lease.Connect).Dur("queue", lease.Queue).Dur("start", receipt.Timing.Start).
			Dur("ran", receipt.Duration).Msg("command")
		var not *NotStartedError
		if !errors.As(err, &not) || !retryable(receipt.Class) || time.Now().Add(pause).After(deadline) {
			return receipt, err
		}
		zerolog.Ctx(ctx).Debug().Str("class", string(receipt.Class)).Dur("pause", pause).Msg("no session; trying again")
		select {
		case <-ctx.Done():
			return Receipt{State: Canceled}, &CanceledError{Host: lease.Host(), Cause: context.Cause(ctx)}
		case <-time.After(pause):
		}
		lease.Queue += pause
		pause = min(2*pause, lastRefusal)
		if err := lease.Reconnect(ctx); err != nil {
			return notLeased(ctx, err)
		}
	}
}

// retryable reports whether a command that never started may be tried again
// on the same master: the host refused one session more, or the master went
// away just before.
func retryable(c sshcmd.Class) bool {
	return c == sshcmd.ClassMuxRefused || c == sshcmd.ClassMux
}

// words reads ssh's own log of a session and removes it.
func words(path string) string {
	data, err := os.ReadFile(path)
	_ = os.Remove(path)
	if err != nil {
		return ""
	}
	const enough = 64 << 10
	return string(data[:min(len(data), enough)])
}
