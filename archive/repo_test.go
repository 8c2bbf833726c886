package archive_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/archive"
)

func TestOpenFindsTheTop(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	commitTree(t, dir, files{"a": "1"})
	sub := filepath.Join(dir, "deep", "er")
	write(t, filepath.Join(sub, "f"), "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(sub, link); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "second tree")
	git(t, dir, "worktree", "add", "-q", "-b", "second", tree)
	bare := filepath.Join(t.TempDir(), "thing.git")
	git(t, dir, "clone", "-q", "--bare", dir, bare)
	odd := filepath.Join(t.TempDir(), "a\nb: \"c\"")
	git(t, dir, "clone", "-q", dir, odd)

	for _, c := range []struct{ name, dir, top, project string }{
		{"top", dir, dir, "project"},
		{"subdirectory", sub, dir, "project"},
		{"through a link", link, dir, "project"},
		{"second work tree", tree, tree, "second-tree"},
		{"bare", bare, bare, "thing"},
		{"inside a bare one", filepath.Join(bare, "refs"), bare, "thing"},
		{"odd name", odd, odd, "a-b---c-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, c.dir)
			top, err := filepath.EvalSymlinks(c.top)
			if err != nil {
				t.Fatal(err)
			}
			if r.Top() != top || r.Name() != c.project || r.Format() != "sha1" {
				t.Errorf("top %q, name %q, format %q; want %q, %q, sha1", r.Top(), r.Name(), r.Format(), top, c.project)
			}
			s := snapshot(t, r, "HEAD")
			if got := send(t, s, nil, store(t, "sha1")); got.Objects != 3 {
				t.Errorf("%d objects sent; want commit, tree and file", got.Objects)
			}
		})
	}
}

func TestName(t *testing.T) {
	for base, want := range map[string]string{
		"api": "api", "-x": "x", "..": "project", ".hidden": "hidden", "é": "project", "a b\tc": "a-b-c", "x.git": "x.git",
		"\xff\xfe": "project", "/": "project", "日本x": "x", "A_1.2": "A_1.2", strings.Repeat("n", 255): strings.Repeat("n", 100),
	} {
		if got := archive.ProjectName(base); got != want {
			t.Errorf("name of %q is %q, want %q", base, got, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	home(t, "")
	plain := t.TempDir()
	write(t, filepath.Join(plain, "file"), "x")
	loop := filepath.Join(plain, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	repo := newRepo(t)
	broken := newRepo(t)
	write(t, filepath.Join(broken, ".git", "config"), "[core\n")
	future := newRepo(t)
	git(t, future, "config", "core.repositoryFormatVersion", "99")

	for _, c := range []struct {
		name, dir string
		reason    archive.Reason
		says      string
	}{
		{"outside", plain, archive.NotRepository, "is not in a git repository; "},
		{"inside .git", filepath.Join(repo, ".git"), archive.NotRepository, "git's own directory"},
		{"nothing there", filepath.Join(plain, "none"), archive.NotFound, "there is no directory"},
		{"a file", filepath.Join(plain, "file"), archive.NotFound, "there is no directory"},
		{"below a file", filepath.Join(plain, "file", "x"), archive.NotFound, "there is no directory"},
		{"a link to itself", loop, archive.Unreadable, "loop"},
		{"broken config", broken, archive.Unreadable, "bad config line 1"},
		{"unknown format", future, archive.Unreadable, "99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := archive.Open(t.Context(), c.dir)
			checkRepoError(t, err, c.reason, c.says)
		})
	}
}

func checkRepoError(t *testing.T, err error, reason archive.Reason, says string) {
	t.Helper()
	var e *archive.RepoError
	if !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("error %#v (%v), want reason %d", err, err, reason)
	}
	if msg := e.Error(); !strings.Contains(msg, says) || strings.Contains(msg, "\n") {
		t.Errorf("error says %q; want one line with %q", msg, says)
	}
}

func TestOpenUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		// Permissions do not hold root back; a run as a plain user tests it.
		t.Skip("root can read everything")
	}
	home(t, "")
	for _, sub := range []string{"", ".git"} {
		dir := newRepo(t)
		locked := filepath.Join(dir, sub)
		if err := os.Chmod(locked, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(locked, 0o700) })
		_, err := archive.Open(t.Context(), dir)
		checkRepoError(t, err, archive.Unreadable, "ermission denied")
	}
}

func TestOpenUnsafe(t *testing.T) {
	home(t, "[safe]\n\tbareRepository = explicit\n")
	dir := newRepo(t)
	bare := store(t, "sha1")
	_, err := archive.Open(t.Context(), bare)
	checkRepoError(t, err, archive.Unsafe, "safe.bareRepository")

	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
	_, err = archive.Open(t.Context(), dir)
	checkRepoError(t, err, archive.Unsafe, "git config --global --add safe.directory "+dir)
}

func TestOpenWithoutGit(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	t.Setenv("PATH", t.TempDir())
	_, err := archive.Open(t.Context(), dir)
	checkRepoError(t, err, archive.GitMissing, "install it")
}

func TestOpenCanceled(t *testing.T) {
	home(t, "")
	dir := newRepo(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Open(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// Called from within a hook, bivy inherits names that point elsewhere.
func TestForeignEnvironment(t *testing.T) {
	home(t, "")
	dir, other := newRepo(t), newRepo(t)
	commitTree(t, dir, files{"a": "1", ".gitattributes": "b export-ignore", "b": "2"})
	want := snapshot(t, open(t, dir), "HEAD").Commit
	commitTree(t, other, files{"x": "1"})
	trace := filepath.Join(t.TempDir(), "trace")
	for name, value := range map[string]string{
		"GIT_DIR": other + "/.git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other + "/.git/index", "GIT_PREFIX": "sub/",
		"GIT_OBJECT_DIRECTORY": other + "/.git/objects", "GIT_COMMON_DIR": other + "/.git", "GIT_QUARANTINE_PATH": other,
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.bare", "GIT_CONFIG_VALUE_0": "true",
		"GIT_CONFIG_PARAMETERS": "'core.bare'='true'", "GIT_EXTERNAL_DIFF": "false", "GIT_TRACE": trace, "GIT_TRACE2": trace,
		"GIT_LITERAL_PATHSPECS": "1", "GIT_ATTR_SOURCE": "none", "GIT_NAMESPACE": "n", "GIT_SHALLOW_FILE": "/dev/null",
		"GIT_REPLACE_REF_BASE": "refs/x", "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de",
	} {
		t.Setenv(name, value)
	}
	r := open(t, filepath.Join(dir, ".."+"/project"))
	s := snapshot(t, r, "HEAD")
	if s.Commit != want || s.Ignored != 1 {
		t.Errorf("snapshot %s with %d ignored, want %s with 1", s.Commit, s.Ignored, want)
	}
	if _, err := s.Pack(t.Context(), nil, &strings.Builder{}, nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(trace); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("git wrote a trace: %v", err)
	}
}
