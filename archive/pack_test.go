package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bivy/archive"
)

// history commits n versions of a project, each with another line in some of
// its files, and returns their ids. Dates rise by a minute.
func history(t testing.TB, dir string, n int) []string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // content for a test
	tree := files{".gitattributes": "*.bin export-ignore\n", "x.bin": "1"}
	for i := range 40 {
		var b strings.Builder
		for range 200 {
			fmt.Fprintf(&b, "line %x\n", random.Uint64())
		}
		tree[fmt.Sprintf("d%d/f%d", i%5, i)] = b.String()
	}
	var ids []string
	for i := range n {
		t.Setenv("GIT_COMMITTER_DATE", fmt.Sprintf("%d +0000", 1700000000+60*i))
		tree["d0/f0"] += fmt.Sprintf("change %d\n", i)
		ids = append(ids, commitTree(t, dir, tree))
	}
	t.Setenv("GIT_COMMITTER_DATE", "")
	return ids
}

func TestPackLeavesOutWhatTheHostHas(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	ids := history(t, dir, 3)
	r := open(t, dir)
	host := store(t, "sha1")
	old := snapshot(t, r, ids[0])
	first := send(t, old, nil, host)
	if first.Objects != 48 || first.Excluded != 0 {
		t.Errorf("first send: %+v, want 48 objects", first)
	}
	next := snapshot(t, r, "HEAD")
	have := []archive.Have{{Snapshot: old.Commit, Source: old.Source}}
	second := send(t, next, have, host)
	// A commit, the top, one directory and one file, which is a delta.
	if second.Objects != 4 || second.Excluded != 1 || second.Bytes > 1000 {
		t.Errorf("second send: %+v, want 4 objects in less than 1000 bytes", second)
	}
	if diff := git(t, host, "rev-parse", next.Commit+"^{tree}"); diff != next.Tree {
		t.Errorf("tree there %s, want %s", diff, next.Tree)
	}
	var pack bytes.Buffer
	stats, err := next.Pack(t.Context(), append(have, archive.Have{Snapshot: next.Commit, Source: "whatever"}), &pack, nil)
	if err != nil || stats != (archive.PackStats{}) || pack.Len() != 0 {
		t.Errorf("the host has it: %+v, %v, %d bytes", stats, err, pack.Len())
	}
}

func TestPackDoubtsClaims(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	ids := history(t, dir, 14)
	git(t, dir, "tag", "-m", "x", "annotated", ids[1])
	r := open(t, dir)
	s := snapshot(t, r, "HEAD")
	full := send(t, s, nil, store(t, "sha1"))
	claim := func(i int) archive.Have {
		one := snapshot(t, r, ids[i])
		return archive.Have{Snapshot: one.Commit, Source: one.Source}
	}
	good := claim(3)
	var all []archive.Have
	for i := range 13 {
		all = append(all, claim(i))
	}
	many := make([]archive.Have, 5000)
	for i := range many {
		many[i] = archive.Have{Snapshot: fmt.Sprintf("%040x", i), Source: fmt.Sprintf("%040x", i)}
	}
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		name string
		have []archive.Have
		want int
	}{
		{"true", []archive.Have{good}, 1},
		{"said twice", []archive.Have{good, good}, 1},
		{"one source, two ids", []archive.Have{{Snapshot: claim(4).Snapshot, Source: good.Source}, good}, 1},
		{"another's snapshot", []archive.Have{{Snapshot: claim(4).Snapshot, Source: good.Source}}, 0},
		{"the source itself", []archive.Have{{Snapshot: good.Source, Source: good.Source}}, 0},
		{"upper case", []archive.Have{{Snapshot: strings.ToUpper(good.Snapshot), Source: good.Source}}, 0},
		{"other hash", []archive.Have{{Snapshot: long, Source: long}}, 0},
		{"options and lines", []archive.Have{{Snapshot: "--all", Source: "--all"}, {Snapshot: "HEAD\nHEAD", Source: "HEAD"}, {}}, 0},
		{"a tag", []archive.Have{{Snapshot: claim(1).Snapshot, Source: git(t, dir, "rev-parse", "annotated")}}, 0},
		{"a blob", []archive.Have{{Snapshot: claim(1).Snapshot, Source: git(t, dir, "rev-parse", "HEAD:d0/f0")}}, 0},
		{"not here", []archive.Have{{Snapshot: long[:40], Source: long[:40]}}, 0},
		{"more than ten", all, 10},
		{"thousands", append(many, good), 0},
		{"thousands behind it", append([]archive.Have{good}, many...), 1},
	} {
		var pack bytes.Buffer
		stats, err := s.Pack(t.Context(), c.have, &pack, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if stats.Excluded != c.want || (c.want == 0) != (stats.Objects == full.Objects) {
			t.Errorf("%s: %+v, want %d excluded", c.name, stats, c.want)
		}
	}
	// Of more than ten the newest count: only those ten are needed there.
	host := store(t, "sha1")
	send(t, snapshot(t, r, ids[12]), nil, host)
	for i := 3; i < 12; i++ {
		send(t, snapshot(t, r, ids[i]), nil, host)
	}
	send(t, s, all, host)
}

// brokenWriter takes some bytes and then fails, as a lost link does.
type brokenWriter struct{ left int }

var errLink = errors.New("link lost")

func (w *brokenWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.left)
	w.left -= n
	if n < len(b) {
		return n, errLink
	}
	return n, nil
}

func TestPackWriterFails(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	history(t, dir, 1)
	s := snapshot(t, open(t, dir), "HEAD")
	for _, left := range []int{0, 5, 40000} {
		stats, err := s.Pack(t.Context(), nil, &brokenWriter{left: left}, nil)
		if !errors.Is(err, errLink) || stats.Bytes != int64(left) {
			t.Errorf("after %d bytes: %+v, %v", left, stats, err)
		}
	}
}

func TestPackCanceled(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	history(t, dir, 1)
	s := snapshot(t, open(t, dir), "HEAD")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	out, in := io.Pipe()
	go func() {
		// The reader takes the start of the pack, then never reads again.
		_, _ = io.ReadFull(out, make([]byte, 100))
		cancel(why)
		<-ctx.Done()
		_ = out.CloseWithError(errLink)
	}()
	began := time.Now()
	_, err := s.Pack(ctx, nil, in, nil)
	if !errors.Is(err, why) {
		t.Errorf("error %v, want the context's cause", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary directory: %v", err)
	}
}

func TestPackOfDamagedRepository(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	commitTree(t, dir, files{"a": "1", "b": "2"})
	s := snapshot(t, open(t, dir), "HEAD")
	id := git(t, dir, "rev-parse", "HEAD:a")
	if err := os.Remove(filepath.Join(dir, ".git/objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	_, err := s.Pack(t.Context(), nil, io.Discard, nil)
	var git *archive.GitError
	if !errors.As(err, &git) || git.Exit != 128 || !strings.Contains(git.Line, id) {
		t.Errorf("error %v, want git's word on %s", err, id)
	}
	var missing *archive.MissingError
	if errors.As(err, &missing) {
		t.Errorf("%v: but the clone is not partial", err)
	}
}

func TestPackProgress(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	history(t, dir, 2)
	s := snapshot(t, open(t, dir), "HEAD")
	var seen []archive.Progress
	var pack bytes.Buffer
	stats, err := s.Pack(t.Context(), nil, &pack, func(p archive.Progress) { seen = append(seen, p) })
	if err != nil {
		t.Fatal(err)
	}
	phases := map[string]int{"counting": 1, "compressing": 2, "writing": 3}
	last := archive.Progress{Phase: "counting"}
	for _, p := range seen {
		if phases[p.Phase] < phases[last.Phase] || p.Bytes < last.Bytes || p.Percent < -1 || p.Percent > 100 {
			t.Errorf("progress goes from %+v to %+v", last, p)
		}
		last = p
	}
	last.Rate = 0
	want := archive.Progress{Phase: "writing", Percent: 100, Done: stats.Objects, Total: stats.Objects, Bytes: stats.Bytes}
	if last != want || stats.Objects != 48 {
		t.Errorf("last %+v, want %+v", last, want)
	}
}

// Run with -benchtime=20x: a tree of 15,000 files, half of it ignored.
func BenchmarkSnapshot(b *testing.B) {
	home(b, "")
	dir := newRepo(b)
	tree := files{".gitattributes": "*.bin export-ignore\n"}
	for i := range 15000 {
		tree[fmt.Sprintf("d%d/e%d/f%d%s", i%37, i%1301, i, []string{".go", ".bin"}[i%2])] = "x"
	}
	commitTree(b, dir, tree)
	r := open(b, dir)
	for b.Loop() {
		s, err := r.Snapshot(b.Context(), "HEAD")
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
