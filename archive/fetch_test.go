package archive_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"bivy/archive"
)

// TestWorkComesBack: a merge of work that was made on a snapshot is an ordinary
// merge.
func TestWorkComesBack(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			c := newCamp(t, format, files{"a": "1\n", "dir/b": "2\n"})
			source := c.here("rev-parse", "HEAD")
			there := c.work("dir/b", "changed there\n")
			plan, _ := c.pull()
			l := find(t, plan, "ws")
			if l.Commit != there || l.Here == there || l.Ref != "refs/bivy/ws/ws" || l.Old != "" || l.Kept != "" || l.Commits != 1 {
				t.Errorf("landing %+v", l)
			}
			if got := c.here("rev-parse", "refs/bivy/ws/ws^"); got != source {
				t.Errorf("it stands on %s, want %s", got, source)
			}
			// All of a commit but its place is as it was.
			mine, theirs := c.here("cat-file", "commit", l.Here), c.on("cat-file", "commit", there)
			if strings.ReplaceAll(mine, source, c.origins[0].Snapshot) != theirs {
				t.Errorf("the commit became\n%s\nfrom\n%s", mine, theirs)
			}
			write(t, c.project+"/a", "changed here\n")
			c.here("commit", "-qam", "meanwhile")
			c.here("merge", "-q", "--no-edit", "refs/bivy/ws/ws")
			if got := c.here("show", "HEAD:dir/b") + c.here("show", "HEAD:a"); got != "changed therechanged here" {
				t.Errorf("merged %q", got)
			}
		})
	}
}

// TestPullAgain: nothing new costs nothing, and more costs little.
func TestPullAgain(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	if plan, sent := c.pull(); sent != 0 || plan[0].Changed() || plan[0].Ref != "" {
		t.Errorf("without work: %+v, %d bytes", plan, sent)
	}
	c.work("large", noise(200_000))
	first, sent := c.pull()
	if sent < 200_000 {
		t.Errorf("the first pull has %d bytes", sent)
	}
	if again, sent := c.pull(); sent != 0 || again[0].Changed() || again[0].Here != first[0].Here {
		t.Errorf("nothing new: %+v, %d bytes; before %+v", again, sent, first)
	}
	c.work("small", "x\n")
	second, sent := c.pull()
	if l := second[0]; !l.Changed() || l.Old != first[0].Here || l.Kept != "" || l.Commits != 1 || sent > 2000 {
		t.Errorf("a little more: %+v, %d bytes", l, sent)
	}
	// What is not here any more comes again, and gets the same ids.
	c.here("update-ref", "-d", "refs/bivy/ws/ws")
	c.here("reflog", "expire", "--expire=now", "--all")
	c.here("gc", "-q", "--prune=now")
	third, sent := c.pull()
	if sent < 200_000 || third[0].Here != second[0].Here {
		t.Errorf("after a gc: %+v, %d bytes; before %+v", third, sent, second)
	}
	if _, sent := c.pull(); sent != 0 {
		t.Errorf("and again: %d bytes", sent)
	}
}

// noise does not compress.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// TestRewritten: an old tip that the new one does not contain is kept.
func TestRewritten(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	c.work("b", "first\n")
	first, _ := c.pull()
	c.on("commit", "-q", "--amend", "-m", "amended")
	second, _ := c.pull()
	l := second[0]
	if l.Kept != "refs/bivy/ws/+was/ws+"+first[0].Here[:12] || c.here("rev-parse", l.Kept) != first[0].Here || c.here("rev-parse", l.Ref) != l.Here {
		t.Errorf("landing %+v", l)
	}
	// Back to the first: nothing is lost either, and the ids are the same.
	c.on("reset", "-q", "--hard", first[0].Commit)
	third, _ := c.pull()
	if third[0].Here != first[0].Here || c.here("rev-parse", third[0].Kept) != l.Here {
		t.Errorf("landing %+v", third[0])
	}
	// Back to what was sent.
	c.on("reset", "-q", "--hard", c.origins[0].Snapshot)
	fourth, _ := c.pull()
	if fourth[0].Here != c.origins[0].Source || c.here("rev-parse", fourth[0].Kept) != first[0].Here {
		t.Errorf("landing %+v", fourth[0])
	}
}

// TestBranchBecomesDirectory: and the other way round.
func TestBranchBecomesDirectory(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	c.work("b", "first\n")
	c.on("branch", "x")
	c.on("branch", "y/z")
	first, _ := c.pull()
	c.on("branch", "-D", "x", "y/z")
	c.work("b", "second\n")
	c.on("branch", "x/w")
	c.on("branch", "y")
	second, _ := c.pull()
	if got := c.here("rev-parse", "refs/bivy/ws/x/w", "refs/bivy/ws/y"); got != second[0].Here+"\n"+second[0].Here {
		t.Errorf("the new refs are %q", got)
	}
	id := first[0].Here
	if got := c.here("rev-parse", "refs/bivy/ws/+was/x+"+id[:12], "refs/bivy/ws/+was/y+z+"+id[:12]); got != id+"\n"+id {
		t.Errorf("the old refs are %q", got)
	}
}

// TestMergesAcrossSyncs: work on two snapshots that was merged there has both
// sources as ancestors here, and a merge has its parents in their order.
func TestMergesAcrossSyncs(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	c.work("b", "first\n")
	write(t, c.project+"/a", "2\n")
	c.here("commit", "-qam", "two")
	second := c.sync()
	c.on("merge", "-q", "--no-edit", "--allow-unrelated-histories", "-X", "theirs", second)
	c.on("checkout", "-q", "-b", "side", "HEAD~1")
	c.work("c", "side\n")
	c.on("checkout", "-q", "ws")
	c.on("merge", "-q", "--no-edit", "side")
	plan, _ := c.pull()
	for _, o := range c.origins {
		c.here("merge-base", "--is-ancestor", o.Source, "refs/bivy/ws/ws")
	}
	ws, side := find(t, plan, "ws"), find(t, plan, "side")
	if got := c.here("rev-parse", ws.Ref+"^2"); got != side.Here {
		t.Errorf("the second parent is %s, want %s", got, side.Here)
	}
	if here, there := c.here("log", "--format=%s %T", ws.Ref, "--not", "HEAD"), c.on("log", "--format=%s %T", "ws", "--not", second); !strings.Contains(here, there[:40]) {
		t.Errorf("the log is\n%s\nthere\n%s", here, there)
	}
	c.here("merge", "-q", "--no-edit", ws.Ref)
	if got := c.here("ls-tree", "--name-only", "HEAD"); got != "a\nb\nc" {
		t.Errorf("merged %q", got)
	}
}

// TestManyCommits: thousands of commits, at a price that is bearable.
func TestManyCommits(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n", "docs/x": "secret\n", "docs/y": "1\n", ".gitattributes": "docs/x export-ignore\n"})
	var stream strings.Builder
	fmt.Fprintf(&stream, "reset refs/heads/ws\nfrom %s\n", c.origins[0].Snapshot)
	const many = 4000
	for i := range many {
		text := fmt.Sprintf("line %d\n", i)
		fmt.Fprintf(&stream, "commit refs/heads/ws\ncommitter A <a@b> %d +0000\ndata 5\nwork\n\nM 100644 inline f%d\ndata %d\n%s\n", 1700000000+i, i%50, len(text), text)
	}
	gitIn(t, c.host, stream.String(), "fast-import", "--quiet", "--force")
	plan, _ := c.pull()
	if plan[0].Commits != many {
		t.Errorf("%d commits, want %d", plan[0].Commits, many)
	}
	if got := c.here("rev-list", "--count", "refs/bivy/ws/ws", "--", "docs/x"); got != "1" {
		t.Errorf("docs/x was touched by %s commits", got)
	}
	if got := c.here("count-objects"); !strings.HasPrefix(got, "6 ") && !strings.HasPrefix(got, "5 ") {
		t.Errorf("loose objects: %s", got)
	}
}

// TestSourceGone: work whose source is not here any more comes as it is.
func TestSourceGone(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	there := c.work("b", "2\n")
	commitTree(t, c.project, files{"z": "9\n"})
	c.here("update-ref", "refs/heads/main", c.here("commit-tree", "-m", "new", "HEAD^{tree}"))
	c.here("reflog", "expire", "--expire=now", "--all")
	c.here("gc", "-q", "--prune=now")
	plan, _ := c.pull()
	if plan[0].Here != there {
		t.Errorf("landing %+v, want %s", plan[0], there)
	}
}

// TestHistoryIsNotRewritten: where history was sent, commits keep their ids.
func TestHistoryIsNotRewritten(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	head := c.here("rev-parse", "HEAD")
	c.here("push", "-q", c.host, "main")
	c.origins = []archive.Origin{{Snapshot: head, Source: head}}
	c.on("checkout", "-q", "main")
	c.on("branch", "-D", "ws")
	there := c.work("b", "2\n")
	plan, sent := c.pull()
	if l := plan[0]; l.Here != there || l.Ref != "refs/bivy/ws/main" || sent == 0 || sent > 1000 {
		t.Errorf("landing %+v, %d bytes", l, sent)
	}
}

// TestClonesTakeWork: a shallow and a partial clone take work in like any other.
func TestClonesTakeWork(t *testing.T) {
	c := newCamp(t, "sha1", secret())
	for _, how := range []string{"--depth=1", "--filter=blob:none"} {
		write(t, c.project+"/b", how)
		c.here("add", "b")
		c.here("commit", "-qm", "more")
		c.here("config", "uploadpack.allowFilter", "true")
		clone := filepath.Join(t.TempDir(), "clone")
		c.here("clone", "-q", how, "file://"+c.project, clone)
		odd := *c
		odd.project, odd.repo, odd.origins, odd.there = clone, open(t, clone), nil, nil
		odd.on("reset", "-q", "--hard", odd.sync())
		odd.work("c", how)
		plan, _ := odd.pull()
		if got := odd.here("diff", "--name-status", "HEAD", plan[0].Here); got != "A\tc" {
			t.Errorf("%s: changed %q", how, got)
		}
		if again, sent := odd.pull(); sent != 0 || again[0].Changed() {
			t.Errorf("%s: again %+v, %d bytes", how, again[0], sent)
		}
	}
}
