package archive_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/archive"
)

func TestContains(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	old := commitTree(t, dir, files{"a": "1"})
	tip := commitTree(t, dir, files{"a": "2"})
	git(t, dir, "checkout", "-q", "-f", "--orphan", "side")
	side := commitTree(t, dir, files{"s": "1"})
	git(t, dir, "tag", "-m", "x", "kept")
	git(t, dir, "checkout", "-q", "-f", "--detach", "main")
	detached := commitTree(t, dir, files{"a": "3"})
	git(t, dir, "branch", "-D", "side")
	write(t, filepath.Join(dir, "a"), "stashed")
	git(t, dir, "reset", "-q", "--hard")
	write(t, filepath.Join(dir, "a"), "stashed")
	git(t, dir, "stash")
	stash := git(t, dir, "rev-parse", "refs/stash")
	second := filepath.Join(t.TempDir(), "second")
	git(t, dir, "worktree", "add", "-q", "--detach", second, old)
	elsewhere := commitTree(t, second, files{"w": "1"})
	// Reachable from nothing: on top of history, and without its own.
	loose := gitIn(t, dir, "x", "commit-tree", tip+"^{tree}", "-p", tip)
	parent := gitIn(t, dir, "gone", "commit-tree", tip+"^{tree}")
	orphan := gitIn(t, dir, "y", "commit-tree", tip+"^{tree}", "-p", parent)
	if err := os.Remove(filepath.Join(dir, ".git/objects", parent[:2], parent[2:])); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{
		old: true, tip: true, side: true, detached: true, stash: true, elsewhere: true,
		loose: false, orphan: false, parent: false, strings.Repeat("0", 40): false,
		"": false, "HEAD": false, "--all": false, "main": false, old[:12]: false, old + "\n" + tip: false, strings.ToUpper(tip): false,
		strings.Repeat("a", 64): false, git(t, dir, "rev-parse", "kept"): false, git(t, dir, "rev-parse", "main:a"): false,
		git(t, dir, "rev-parse", "main^{tree}"): false,
	} {
		for _, ids := range [][]string{{id}, {old, id, tip, id}, {loose, id}} {
			got, err := open(t, dir).Contains(t.Context(), ids)
			if err != nil {
				t.Fatalf("%q: %v", ids, err)
			}
			for i, asked := range ids {
				if w := asked == old || asked == tip || asked == id && want; got[i] != w {
					t.Errorf("of %q, %q: %v, want %v", ids, asked, got[i], w)
				}
			}
		}
	}
	got, err := open(t, dir).Contains(t.Context(), nil)
	if err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v %v", got, err)
	}
	// A graft does not make a commit kept.
	write(t, filepath.Join(dir, ".git/info/grafts"), tip+" "+loose+"\n")
	got, err = open(t, dir).Contains(t.Context(), []string{loose, tip})
	if diff := cmp.Diff([]bool{false, true}, got); err != nil || diff != "" {
		t.Errorf("with a graft: %v %v", got, err)
	}
}

func TestContainsCanceled(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	id := commitTree(t, dir, files{"a": "1"})
	ctx, cancel := context.WithCancel(t.Context())
	r := open(t, dir)
	cancel()
	if _, err := r.Contains(ctx, []string{id}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestBehind(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	ids := history(t, dir, 4)
	git(t, dir, "checkout", "-q", "-f", "--orphan", "side")
	side := commitTree(t, dir, files{"s": "1"})
	r := open(t, dir)
	for _, c := range []struct {
		source, ref string
		want        int
	}{
		{ids[0], "main", 3}, {ids[3], "main", 0}, {ids[3], ids[0], 0}, {ids[1], "main~1", 1}, {side, "main", 4}, {ids[0], "HEAD", 1},
	} {
		got, err := r.Behind(t.Context(), c.source, c.ref)
		if err != nil || got != c.want {
			t.Errorf("%s behind %s: %d %v, want %d", c.source, c.ref, got, err, c.want)
		}
	}
	for source, want := range map[string]archive.RefReason{
		"HEAD": archive.RefUnknown, "--all": archive.RefUnknown, strings.Repeat("1", 40): archive.RefMissing,
	} {
		_, err := r.Behind(t.Context(), source, "main")
		checkRefError(t, err, source, want)
	}
	_, err := r.Behind(t.Context(), ids[0], "nope")
	checkRefError(t, err, "nope", archive.RefUnknown)
}
