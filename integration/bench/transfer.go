package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// measureTransfer compares put and get of one large file with plain scp over the
// same master. Each run has a new target, so that no side writes over old pages.
func measureTransfer(ctx context.Context, b *bench, o options) ([]figure, error) {
	local := filepath.Join(b.dir, "large")
	if err := randomFile(local, int64(o.MiB)<<20); err != nil {
		return nil, err
	}
	defer os.Remove(local) //nolint:errcheck // the directory goes too
	remote := filepath.Join(b.server.Home, "large")
	figures := []figure{
		{Name: fmt.Sprintf("bivy put of %d MiB", o.MiB), Against: "scp", Kind: throughput, Unit: "MiB/s", Goal: 0.95},
		{Name: "  get", Against: "scp", Kind: throughput, Unit: "MiB/s", Goal: 0.95},
	}
	scp := []string{"scp", "-q", "-F", "none", "-o", "ControlPath=" + b.socket, "-o", "ControlMaster=no", "-o", "ProxyCommand=false"}
	made := []string{filepath.Join(b.server.Home, "put"), filepath.Join(b.dir, "got")}
	pairs := [][2][]string{
		{{b.bivy, "put", "-q", local, "--host", host, "put"}, append(slices.Clone(scp), local, "x:put")},
		{{b.bivy, "get", "-q", "--host", host, "large", made[1]}, append(slices.Clone(scp), "x:large", made[1])},
	}
	if _, err := b.time(ctx, append(slices.Clone(scp), local, "x:large")...); err != nil {
		return nil, err
	}
	defer os.Remove(remote) //nolint:errcheck // the directory goes too
	for round := range o.Rounds {
		for k, pair := range pairs {
			for j := range pair {
				side := (round + j) % len(pair)
				took, err := b.time(ctx, pair[side]...)
				if err == nil {
					err = os.Remove(made[k])
				}
				if err != nil {
					return nil, err
				}
				rate := float64(o.MiB) / took.Seconds()
				if side == 0 {
					figures[k].Bivys = append(figures[k].Bivys, rate)
				} else {
					figures[k].Plains = append(figures[k].Plains, rate)
				}
			}
		}
	}
	return []figure{figures[0].settle(), figures[1].settle()}, nil
}

// randomFile makes a file that no layer can shrink.
func randomFile(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.CopyN(f, rand.Reader, size); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
