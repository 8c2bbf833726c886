package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

const (
	// farHost is the bench's server behind a link that takes oneWay.
	farHost = "far"
	oneWay  = 20 * time.Millisecond
	// xargsWidth is how many plain ssh run at once, at a host's usual limit.
	xargsWidth = 10
)

// measureDirect compares commands over a living master with plain ssh: as
// whole processes, far away, and in one process that lives long.
func measureDirect(ctx context.Context, b *bench, o options) ([]figure, error) {
	near := figure{Name: "bivy exec of true, whole process", Against: "ssh -S", Kind: slowdown, Unit: "ms", Goal: 1}
	var err error
	if near.Bivys, near.Plains, err = b.inTurn(ctx, o.Calls, []string{b.bivy, "exec", "--host", host, "--", "true"}, b.plain("true")); err != nil {
		return nil, err
	}
	far, err := b.measureFar(ctx, o)
	if err != nil {
		return nil, err
	}
	masters, err := b.masters()
	if err != nil {
		return nil, err
	}
	inside, err := b.measureInside(ctx, masters, o)
	if err != nil {
		return nil, err
	}
	crowd, err := measureInsideCrowd(ctx, o)
	return slices.Concat([]figure{near.settle()}, far, []figure{inside}, crowd), err
}

// measureFar is the same at 40 ms of round trip.
func (b *bench) measureFar(ctx context.Context, o options) ([]figure, error) {
	return b.farAway(ctx, func() ([]figure, error) {
		f := figure{Name: "  the same, 40 ms round trip", Against: "ssh -S", Kind: slowdown, Unit: "ms", Goal: 1}
		var err error
		f.Bivys, f.Plains, err = b.inTurn(ctx, max(o.Calls/4, 1), []string{b.bivy, "exec", "--host", farHost, "--", "true"}, b.plain("true"))
		return []figure{f.settle()}, err
	})
}

// masters are bivy's, used from this process.
func (b *bench) masters() (*mux.Masters, error) {
	home := filepath.Join(b.dir, "b")
	return mux.Open(mux.Config{
		SSH: []string{"ssh"}, Holder: []string{b.bivy, "holder"}, Sockets: filepath.Join(home, "m"), CacheDir: filepath.Join(home, "cache"),
		Env: b.env, Wait: 2 * time.Minute, Spare: true,
	})
}

// one runs true in this process.
func (b *bench) one(ctx context.Context, masters *mux.Masters) error {
	target := mux.Target{Host: host, User: sshcmd.User{ConfigFile: b.server.ConfigFile}}
	receipt, err := exec.Run(ctx, masters, target, exec.Command{Argv: []string{"true"}})
	if err == nil && (receipt.State != exec.Exited || receipt.Code != 0) {
		err = fmt.Errorf("true ended as %+v", receipt)
	}
	return err
}

func (b *bench) measureInside(ctx context.Context, masters *mux.Masters, o options) (figure, error) {
	f := figure{Name: "  the same, in a process that lives long", Against: "ssh -S", Kind: slowdown, Unit: "ms", Goal: 0.5}
	for i := range o.Calls + 1 {
		began := now()
		if err := b.one(ctx, masters); err != nil {
			return f, err
		}
		inside := began.since()
		plain, err := b.time(ctx, b.plain("true")...)
		if err != nil {
			return f, err
		}
		if i > 0 {
			f.Bivys, f.Plains = append(f.Bivys, inside), append(f.Plains, milliseconds(plain))
		}
	}
	return f.settle(), nil
}

// measureInsideCrowd runs many commands at once, all by one process, beside
// plain ssh as xargs -P would start it.
func measureInsideCrowd(ctx context.Context, o options) ([]figure, error) {
	b, err := newBench(ctx, sshdtest.Options{MaxSessions: 10})
	if err != nil {
		return nil, err
	}
	defer b.close()
	masters, err := b.masters()
	if err != nil {
		return nil, err
	}
	rate := figure{Name: fmt.Sprintf("%d of true, %d at once, in one process", o.Crowd, crowdWidth), Against: "xargs -P10 ssh -S", Kind: throughput, Unit: "/s", Goal: 3}
	cost := figure{Name: "  processor time of client and master, each", Against: "ssh -S", Kind: slowdown, Unit: "ms", Goal: 0.4}
	l := newLedger(b)
	perCommand := func(from, to spent) float64 {
		return milliseconds(to[accountClient]+to[accountMaster]-from[accountClient]-from[accountMaster]) / float64(o.Crowd)
	}
	for range o.Rounds {
		before, own := l.read(ctx), ownTime()
		began := time.Now()
		work, each := errgroup.WithContext(ctx)
		work.SetLimit(crowdWidth)
		for range o.Crowd {
			work.Go(func() error { return b.one(each, masters) })
		}
		if err := work.Wait(); err != nil {
			return nil, err
		}
		rate.Bivys = append(rate.Bivys, float64(o.Crowd)/time.Since(began).Seconds())
		cost.Bivys = append(cost.Bivys, perCommand(before, l.read(ctx))+milliseconds(ownTime()-own)/float64(o.Crowd))
		before = l.read(ctx)
		took, err := b.crowd(ctx, o.Crowd, xargsWidth, b.plain("true")...)
		if err != nil {
			return nil, err
		}
		rate.Plains = append(rate.Plains, float64(o.Crowd)/took.Seconds())
		cost.Plains = append(cost.Plains, perCommand(before, l.read(ctx)))
	}
	return []figure{rate.settle(), cost.settle()}, nil
}

// ownTime is the processor time of this process.
func ownTime() time.Duration {
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) != nil {
		return 0
	}
	return time.Duration(own.Utime.Nano() + own.Stime.Nano())
}

// findSocket finds the control socket that is none of those.
func findSocket(dir string, not ...string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Type()&os.ModeSocket != 0 && filepath.Ext(path) == "" && !slices.Contains(not, path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("no control socket in %s", dir)
}
