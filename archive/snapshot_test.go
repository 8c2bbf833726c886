package archive_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/archive"
)

// The ids are written down: a change of them means that every host receives
// every project again.
func TestSnapshotIsTheSameEverywhere(t *testing.T) {
	for _, c := range []struct{ format, commit string }{
		{"sha1", "31e3d99fe434e4aa3b662b51b985f9fa72e8364c"},
		{"sha256", "b889968e1c31a98e4865e6fdd789d9743b6f8f4f8343e0bc36a6f89cf678522a"},
	} {
		t.Run(c.format, func(t *testing.T) {
			var commits []string
			for _, config := range []string{"", "[i18n]\n\tcommitEncoding = ISO-8859-1\n[commit]\n\tgpgSign = true\n[core]\n\tcompression = 9\n[log]\n\tshowSignature = true\n"} {
				home(t, config)
				t.Setenv("GIT_AUTHOR_DATE", "1600000000 +0530")
				t.Setenv("GIT_COMMITTER_DATE", "1700000000 -0800")
				t.Setenv("GIT_AUTHOR_NAME", "Grace")
				dir := newRepo(t, "--object-format="+c.format)
				git(t, dir, "config", "i18n.commitEncoding", "UTF-8")
				commitTree(t, dir, files{"a": "1", "secret/key": "2", ".gitattributes": "secret export-ignore\n"})
				git(t, dir, "config", "--unset", "i18n.commitEncoding")
				r := open(t, dir)
				s := snapshot(t, r, "HEAD")
				commits = append(commits, s.Commit)
				if r.Format() != c.format {
					t.Errorf("format %q, want %q", r.Format(), c.format)
				}
				host := store(t, c.format)
				send(t, s, nil, host)
				want := "tree " + s.Tree + "\nauthor bivy <bivy@bivy.invalid> 1700000000 +0000\n" +
					"committer bivy <bivy@bivy.invalid> 1700000000 +0000\n\nbivy snapshot of " + s.Source
				if diff := cmp.Diff(want, git(t, host, "cat-file", "commit", s.Commit)); diff != "" {
					t.Error(diff)
				}
			}
			if commits[0] != commits[1] || commits[0] != c.commit {
				t.Errorf("snapshots %v, want twice %s", commits, c.commit)
			}
		})
	}
}

// hostile is a user's configuration with everything that could get between.
const hostile = `
[core]
	hooksPath = %HOOKS%
	fsmonitor = %HOOKS%/fsmonitor
	quotePath = true
	attributesFile = %HOOKS%/attributes
	untrackedCache = true
	splitIndex = true
	pager = %HOOKS%/pager
	preloadIndex = true
	bigFileThreshold = 1k
	sparseCheckout = true
	sparseCheckoutCone = true
[index]
	sparse = true
[push]
	followTags = true
	recurseSubmodules = on-demand
[commit]
	gpgSign = true
[tag]
	gpgSign = true
[gpg]
	program = %HOOKS%/gpg
[log]
	showSignature = true
[i18n]
	commitEncoding = UTF-16
	logOutputEncoding = UTF-16
[url "ext::%HOOKS%/ext"]
	pushInsteadOf = /
	insteadOf = /
[protocol "ext"]
	allow = always
[pack]
	packSizeLimit = 1m
	window = 250
	useBitmaps = true
[gc]
	auto = 1
[maintenance]
	auto = true
[submodule]
	recurse = true
[feature]
	manyFiles = true
[color]
	ui = always
[alias]
	rev-parse = "!%HOOKS%/alias"
[diff]
	external = %HOOKS%/diff
`

// Nothing of the user's runs, and not a time stamp in the repository changes.
func TestUserConfigAndRepositoryUntouched(t *testing.T) {
	hooks := t.TempDir()
	ran := filepath.Join(t.TempDir(), "ran")
	home(t, "")
	dir := newRepo(t)
	tree := files{"a": "1", "sub/keep": "2", "sub/x.bin": "3", "docs/y": "4", "z.secret": "5"}
	// The tree without docs exists in the repository too, as does the very
	// snapshot: git would freshen both, were it asked to write them.
	commitTree(t, dir, files{"a": "1"})
	tree[".gitattributes"] = "*.bin export-ignore\n"
	source := commitTree(t, dir, tree)
	git(t, dir, "checkout", "-q", "-f", "main")
	git(t, dir, "repack", "-adqb")
	commitTree(t, dir, files{"a": "1", "sub/keep": "2"})
	for _, name := range []string{
		"fsmonitor", "pager", "gpg", "ext", "alias", "diff", "pre-push", "post-index-change", "reference-transaction",
		"post-checkout", "pre-auto-gc", "commit-msg", "pre-commit", "prepare-commit-msg", "post-commit",
	} {
		write(t, filepath.Join(hooks, name), "#!/bin/sh\necho "+name+" >>'"+ran+"'\n")
		if err := os.Chmod(filepath.Join(hooks, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(hooks, "attributes"), "*.secret export-ignore\n")
	home(t, strings.ReplaceAll(hostile, "%HOOKS%", hooks))
	age(t, dir)
	before := footprint(t, dir)

	r := open(t, filepath.Join(dir, "sub"))
	s := snapshot(t, r, source)
	old := snapshot(t, r, source+"~1")
	have := []archive.Have{{Snapshot: old.Commit, Source: old.Source}}
	var packs [2]bytes.Buffer
	for i, c := range []struct {
		s    *archive.Snapshot
		have []archive.Have
	}{{old, nil}, {s, have}} {
		if _, err := c.s.Pack(t.Context(), c.have, &packs[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Contains(t.Context(), []string{source}); err != nil {
		t.Error(err)
	}
	if _, err := r.Behind(t.Context(), source, "HEAD"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, footprint(t, dir)); diff != "" {
		t.Errorf("the user's repository changed:\n%s", diff)
	}
	if out, err := os.ReadFile(ran); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ran: %q %v", out, err)
	}

	home(t, "")
	host := store(t, "sha1")
	for i := range packs {
		gitIn(t, host, packs[i].String(), "index-pack", "--stdin", "--fix-thin", "--strict")
	}
	if diff := cmp.Diff([]string{".gitattributes", "a", "docs/y", "sub/keep"}, listed(t, host, s.Commit)); diff != "" {
		t.Error(diff)
	}
}

// A snapshot that the user has here already, say by a pull, is made again
// without a touch of the user's copy.
func TestSnapshotKnownHere(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	commitTree(t, dir, files{"a": "1", "b": "2", ".gitattributes": "b export-ignore"})
	r := open(t, dir)
	s := snapshot(t, r, "HEAD")
	host := store(t, "sha1")
	send(t, s, nil, host)
	git(t, dir, "fetch", "-q", host, "+refs/snapshots/*:refs/bivy/*")
	age(t, dir)
	before := footprint(t, dir)
	again := snapshot(t, r, "HEAD")
	if again.Commit != s.Commit {
		t.Errorf("snapshot %s, then %s", s.Commit, again.Commit)
	}
	if got := send(t, again, nil, store(t, "sha1")); got.Objects != 4 {
		t.Errorf("%d objects, want 4", got.Objects)
	}
	if diff := cmp.Diff(before, footprint(t, dir)); diff != "" {
		t.Errorf("the user's repository changed:\n%s", diff)
	}
}

func TestReplacementsAndGraftsDoNotCross(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	first := commitTree(t, dir, files{"a": "1"})
	second := commitTree(t, dir, files{"a": "2"})
	want := snapshot(t, open(t, dir), second).Commit
	git(t, dir, "replace", second, first)
	git(t, dir, "replace", git(t, dir, "--no-replace-objects", "rev-parse", second+":a"), git(t, dir, "rev-parse", first+":a"))
	s := snapshot(t, open(t, dir), second)
	host := store(t, "sha1")
	send(t, s, nil, host)
	if got := git(t, host, "cat-file", "blob", s.Commit+":a"); s.Commit != want || got != "2" {
		t.Errorf("snapshot %s with %q, want %s with 2", s.Commit, got, want)
	}
}

func TestOddClones(t *testing.T) {
	home(t, "")
	origin := newRepo(t)
	git(t, origin, "config", "uploadpack.allowFilter", "true")
	for i := range 3 {
		commitTree(t, origin, files{"a": strings.Repeat("x", i), "big/b": strings.Repeat("y", i)})
	}
	want := snapshot(t, open(t, origin), "HEAD").Commit
	clone := func(args ...string) string {
		dir := filepath.Join(t.TempDir(), "clone")
		git(t, origin, append(append([]string{"clone", "-q"}, args...), dir)...)
		return dir
	}
	relative := clone("--shared", origin)
	write(t, filepath.Join(relative, ".git/objects/info/alternates"), relativeTo(t, filepath.Join(relative, ".git/objects"), filepath.Join(origin, ".git/objects"))+"\n")
	for name, dir := range map[string]string{
		"shallow": clone("--depth=1", "file://"+origin), "shared": clone("--shared", origin), "relative alternate": relative,
		"shared twice": clone("--shared", clone("--shared", origin)), "partial": clone("--filter=blob:none", "file://"+origin),
		"sparse": clone("--sparse", origin), "separate": clone("--separate-git-dir", filepath.Join(t.TempDir(), "g:it"), origin),
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot(t, open(t, dir), "HEAD")
			if s.Commit != want {
				t.Errorf("snapshot %s, want %s", s.Commit, want)
			}
			send(t, s, nil, store(t, "sha1"))
		})
	}
	t.Run("partial, without the content", func(t *testing.T) {
		r := open(t, clone("--filter=blob:none", "--no-checkout", "file://"+origin))
		s := snapshot(t, r, "HEAD")
		_, err := s.Pack(t.Context(), nil, &strings.Builder{}, nil)
		checkMissing(t, err, s.Source)
	})
	t.Run("partial, without the trees", func(t *testing.T) {
		r := open(t, clone("--filter=tree:0", "--no-checkout", "file://"+origin))
		_, err := r.Snapshot(t.Context(), "HEAD")
		checkMissing(t, err, git(t, origin, "rev-parse", "HEAD"))
	})
}

func relativeTo(t *testing.T, base, path string) string {
	t.Helper()
	rel, err := filepath.Rel(base, path)
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

func checkMissing(t *testing.T, err error, source string) {
	t.Helper()
	var e *archive.MissingError
	var git *archive.GitError
	if !errors.As(err, &e) || !errors.As(err, &git) || e.Source != source {
		t.Fatalf("error %v, want *MissingError with git's", err)
	}
	if !strings.Contains(err.Error(), "git archive -o /dev/null "+source) || git.Line == "" || git.Exit == 0 {
		t.Errorf("error says %q", err)
	}
	t.Log(err)
}

func TestCloseRemovesEverything(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	commitTree(t, dir, files{"a": "1"})
	s := snapshot(t, open(t, dir), "HEAD")
	info, err := os.Stat(s.TempDir())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("temporary directory %v %v, want mode 0700", info, err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(os.TempDir()) //nolint:usetesting // where the program puts its own
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
