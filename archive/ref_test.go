package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/archive"
)

func TestRefs(t *testing.T) {
	home(t, "[core]\n\twarnAmbiguousRefs = false\n")
	dir := newRepo(t)
	first := commitTree(t, dir, files{"a": "1"})
	second := commitTree(t, dir, files{"a": "2", "d/e": "3"})
	git(t, dir, "tag", "-m", "annotated", "v1", first)
	git(t, dir, "tag", "-m", "of a tag", "v2", "v1")
	git(t, dir, "tag", "main", first)
	git(t, dir, "checkout", "-q", "--detach", second)
	git(t, dir, "update-ref", "refs/heads/HEAD", first)
	git(t, dir, "branch", "both", first)
	git(t, dir, "tag", "both", second)
	git(t, dir, "update-ref", "refs/heads/-x", first)
	git(t, dir, "update-ref", "refs/heads/"+second, first)
	write(t, filepath.Join(dir, ".git/refs/heads/gone"), strings.Repeat("1", 40)+"\n")
	r := open(t, dir)

	for ref, want := range map[string]string{
		"HEAD": second, "@": second, first: first, second: second, "v1": first, "v2": first, "refs/heads/main": second,
		"HEAD^": first, ":/secret subject": second, first[:12]: first, "refs/heads/-x": first, strings.ToUpper(first): first,
		"HEAD^{/secret}": second, "refs/tags/both": second,
	} {
		s, err := r.Snapshot(t.Context(), ref)
		if err != nil {
			t.Errorf("ref %q: %v", ref, err)
			continue
		}
		if s.Source != want || s.Ref != ref {
			t.Errorf("ref %q is %s (%s), want %s", ref, s.Source, s.Ref, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for ref, want := range map[string]archive.RefReason{
		"": archive.RefUnknown, "nope": archive.RefUnknown, "-x": archive.RefUnknown, "--all": archive.RefUnknown,
		"^main": archive.RefUnknown, "HEAD..v1": archive.RefUnknown, "a\x00b": archive.RefUnknown, "HEAD HEAD": archive.RefUnknown,
		"v1\nHEAD": archive.RefUnknown, "HEAD~9": archive.RefUnknown, "--output=x": archive.RefUnknown,
		"both": archive.RefAmbiguous, "main": archive.RefAmbiguous,
		"HEAD:a": archive.RefNotCommit, "HEAD:d": archive.RefNotCommit, "HEAD^{tree}": archive.RefNotCommit,
		"gone": archive.RefMissing, strings.Repeat("2", 40): archive.RefMissing,
	} {
		_, err := r.Snapshot(t.Context(), ref)
		checkRefError(t, err, ref, want)
	}
}

func checkRefError(t *testing.T, err error, ref string, want archive.RefReason) {
	t.Helper()
	var e *archive.RefError
	if !errors.As(err, &e) || e.Reason != want || e.Ref != ref {
		t.Errorf("ref %q: error %v, want reason %d", ref, err, want)
		return
	}
	if msg := e.Error(); strings.ContainsAny(msg, "\n\x00") {
		t.Errorf("ref %q: the message is not one plain line: %q", ref, msg)
	}
}

func TestShortIDAmbiguous(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	commitTree(t, dir, files{"a": "1"})
	// git takes no fewer than four digits; 600 blobs nearly surely share
	// four, and more are made until two do.
	seen := make(map[string]string)
	for i := 0; ; i++ {
		out := gitIn(t, dir, batch(t, i), "hash-object", "-w", "--stdin-paths")
		for id := range strings.Lines(out) {
			id = strings.TrimSpace(id)
			if other := seen[id[:4]]; other != "" && other != id {
				_, err := open(t, dir).Snapshot(t.Context(), id[:4])
				checkRefError(t, err, id[:4], archive.RefAmbiguous)
				return
			}
			seen[id[:4]] = id
		}
	}
}

// batch writes 600 different files and returns their paths, one on a line.
func batch(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var paths strings.Builder
	for i := range 600 {
		path := filepath.Join(dir, strings.Repeat("x", n+1)+strings.Repeat("y", i/30)+strings.Repeat("z", i%30))
		write(t, path, filepath.Base(path))
		paths.WriteString(path + "\n")
	}
	return paths.String()
}

func TestNoCommits(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	r := open(t, dir)
	for _, ref := range []string{"HEAD", "main", "@"} {
		_, err := r.Snapshot(t.Context(), ref)
		checkRefError(t, err, ref, archive.RefNoCommits)
		if err != nil && !strings.Contains(err.Error(), "has no commits yet; commit something first") {
			t.Errorf("error says %q", err)
		}
	}
	commitTree(t, dir, files{"a": "1"})
	git(t, dir, "symbolic-ref", "HEAD", "refs/heads/orphan")
	_, err := r.Snapshot(t.Context(), "HEAD")
	checkRefError(t, err, "HEAD", archive.RefUnknown)
	if err == nil || !strings.Contains(err.Error(), "checked out has no commits yet") {
		t.Errorf("error says %q", err)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "bivy-*")) //nolint:usetesting // where the program puts its own
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestParseDate(t *testing.T) {
	for who, want := range map[string]int64{
		"A <a@b> 1700000000 +0100": 1700000000, "A > B <a@b> 5 +0000": 5, "A <a@b> -5 +0000": 0, "A <a@b>": 0, "": 0,
		"A <a@b> 99999999999999999999 +0000": 0, "A <a@b> 0012 +0000": 12, "A <a@b> soon": 0,
	} {
		if got := archive.ParseDate(who); got != want {
			t.Errorf("date of %q is %d, want %d", who, got, want)
		}
	}
}
