package lane

import (
	"context"
	"time"

	"bivy/exec"
	"bivy/exec/mux"
)

// wantedPoll is how often a lane looks whether somebody waits for its session.
const wantedPoll = 250 * time.Millisecond

// Over opens sessions on a target's master.
func Over(masters *mux.Masters, target mux.Target) Session {
	return func(ctx context.Context, c exec.Command, wanted func()) (exec.Receipt, error) {
		lease, err := masters.LeaseSoon(ctx, target)
		if err != nil {
			return exec.Receipt{State: exec.NeverStarted}, err
		}
		defer lease.Release()
		ctx, stop := context.WithCancel(ctx)
		looked := make(chan struct{})
		inLine := lease.Wanted()
		go func() {
			defer close(looked)
			watch(ctx, inLine, wanted)
		}()
		receipt, err := exec.RunOn(ctx, lease, c)
		stop()
		<-looked
		return receipt, err
	}
}

// watch calls wanted when others stand in line for a session, and stood there
// before.
func watch(ctx context.Context, inLine func() bool, wanted func()) {
	tick := time.NewTicker(wantedPoll)
	defer tick.Stop()
	for before := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := inLine()
		if now && before {
			wanted()
			return
		}
		before = now
	}
}
