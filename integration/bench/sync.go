package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bivy/exec/proc"
)

// measureSync compares the first sending of the tree, and what follows after
// five files have changed, with rsync over the same master; near, and with 40 ms
// there and back.
func measureSync(ctx context.Context, b *bench, o options) ([]figure, error) {
	project := filepath.Join(b.dir, "synced")
	if _, _, err := b.makeProject(ctx, project); err != nil {
		return nil, err
	}
	near, err := b.besideRsync(ctx, project, host, o.Rounds, syncGoals{first: 1.3, next: 0.7})
	if err != nil {
		return nil, err
	}
	far, err := b.farAway(ctx, func() ([]figure, error) {
		return b.besideRsync(ctx, project, farHost, o.Rounds, syncGoals{first: 0.7, next: 0.25, name: ", 40 ms"})
	})
	return append(near, far...), err
}

type syncGoals struct {
	first, next float64
	name        string
}

func (b *bench) besideRsync(ctx context.Context, project, name string, rounds int, goals syncGoals) ([]figure, error) {
	first := figure{Name: "bivy new of the tree" + goals.name, Against: "rsync -a", Kind: slowdown, Unit: "ms", Goal: goals.first}
	next := figure{Name: "  bivy sync after 5 changed files" + goals.name, Against: "rsync -a", Kind: slowdown, Unit: "ms", Goal: goals.next}
	for i := range rounds {
		id := name + strconv.Itoa(i)
		root := filepath.Join(b.server.Home, "sync-"+id)
		ssh := strings.Join([]string{"ssh", "-F", "none", "-S", b.socket, "-o", "ProxyCommand=false"}, " ")
		rsync := []string{"rsync", "-a", "--exclude=/.git", "-e", ssh, project + "/", "x:" + root + "/rsync"}
		if err := os.MkdirAll(root, 0o700); err != nil {
			return nil, err
		}
		bivys := [][]string{
			{b.bivy, "new", id, "--host", name, "--project", project, "--root", root},
			{b.bivy, "sync", id},
		}
		for j, f := range []*figure{&first, &next} {
			if j == 1 {
				if err := b.changeFive(ctx, project, name, i); err != nil {
					return nil, err
				}
			}
			if err := b.once(ctx, f, bivys[j], rsync, i%2 == 0); err != nil {
				return nil, err
			}
		}
		if err := os.RemoveAll(root); err != nil {
			return nil, err
		}
	}
	return []figure{first.settle(), next.settle()}, nil
}

// once times two commands one after the other.
func (b *bench) once(ctx context.Context, f *figure, bivy, plain []string, bivyFirst bool) error {
	for k := range 2 {
		args, times := bivy, &f.Bivys
		if (k == 0) != bivyFirst {
			args, times = plain, &f.Plains
		}
		took, err := b.time(ctx, args...)
		if err != nil {
			return err
		}
		*times = append(*times, milliseconds(took))
	}
	return nil
}

// changeFive adds a line to five files and commits that.
func (b *bench) changeFive(ctx context.Context, project, name string, i int) error {
	out, err := b.output(ctx, "git", "-C", project, "ls-files", "-z")
	if err != nil {
		return err
	}
	files := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for k := range 5 {
		f, err := os.OpenFile(filepath.Join(project, files[(k+1)*len(files)/7]), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(f, "changed %s %d\n", name, i); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return b.must(ctx, proc.Spec{Args: []string{"git", "-C", project, "commit", "--quiet", "--all", "--message=five"}, Env: b.env})
}
