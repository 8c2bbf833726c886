package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"bivy/integration/sshdtest"
)

// crowdWidth is how many bivy run at once, far more than the host takes.
const crowdWidth = 64

// plainWidths are those at which plain ssh is tried. It has no queue, so it
// must stay below the host's limit of sessions by itself.
var plainWidths = []int{1, 2, 4, 6, 8}

// measureCrowd runs many short commands at once on a host with limits, each
// as a process of its own. It has a server of its own for that.
func measureCrowd(ctx context.Context, _ *bench, o options) ([]figure, error) {
	b, err := newBench(ctx, sshdtest.Options{MaxSessions: 10, Extra: []string{"MaxStartups 10:30:100"}})
	if err != nil {
		return nil, err
	}
	defer b.close()
	rate := figure{
		Name: fmt.Sprintf("%d bivy exec of true, %d at once", o.Crowd, crowdWidth), Against: "ssh -S at its best", Kind: throughput, Unit: "/s", Goal: 0.7,
	}
	ledger := newLedger(b)
	for i := range o.Rounds {
		sides := []func() error{
			func() error {
				before := ledger.read(ctx)
				took, err := b.crowd(ctx, o.Crowd, crowdWidth, b.bivy, "exec", "--host", host, "--", "true")
				ledger.book(before, ledger.read(ctx), o.Crowd, 0)
				rate.Bivys = append(rate.Bivys, float64(o.Crowd)/took.Seconds())
				return err
			},
			func() error {
				best, err := b.plainBest(ctx, o.Crowd, ledger)
				rate.Plains = append(rate.Plains, best)
				return err
			},
		}
		for j := range sides {
			if err := sides[(i+j)%2](); err != nil {
				return nil, err
			}
		}
	}
	logins := figure{Name: "  its logins", Kind: absolute, Goal: 2}
	err = b.t.run(func() { logins.Bivys = []float64{float64(b.server.Logins(b.t))} })
	return append([]figure{rate.settle(), logins.settle()}, ledger.figures()...), err
}

// plainBest is the most commands per second that plain ssh reaches at any
// width, with the crowd's commands spread over the widths.
func (b *bench) plainBest(ctx context.Context, n int, l *ledger) (float64, error) {
	best, each := 0.0, max(n/len(plainWidths), 1)
	for _, width := range plainWidths {
		before := l.read(ctx)
		took, err := b.crowd(ctx, each, width, b.plain("true")...)
		if err != nil {
			return 0, err
		}
		l.book(before, l.read(ctx), each, 1)
		best = max(best, float64(each)/took.Seconds())
	}
	return best, nil
}

// crowd runs n processes, width at once; all must succeed. One that was
// refused a session is tried again: the host may still be ending those of the
// crowd before.
func (b *bench) crowd(ctx context.Context, n, width int, args ...string) (time.Duration, error) {
	const tries = 5
	began := time.Now()
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(width)
	for range n {
		work.Go(func() (err error) {
			for range tries {
				if _, err = b.time(ctx, args...); err == nil || args[0] == b.bivy {
					break
				}
			}
			return err
		})
	}
	err := work.Wait()
	return time.Since(began), err
}
