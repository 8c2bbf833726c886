package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bivy/archive"
	"bivy/exec/proc"
)

// home gives the test a HOME and a git configuration of its own, with these
// lines in the global file.
func home(t testing.TB, config string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "GIT_") {
			t.Setenv(name, "")
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	global := filepath.Join(dir, "gitconfig")
	write(t, global, "[user]\n\tname = Ada Secret\n\temail = ada@secret.example\n[init]\n\tdefaultBranch = main\n"+config)
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "xdg"))
	t.Setenv("GIT_CONFIG_GLOBAL", global)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("TMPDIR", t.TempDir())
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tryGit runs the system's git as a user would.
func tryGit(t testing.TB, dir, stdin string, args ...string) (string, error) {
	t.Helper()
	var out, said bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{
		Args: append([]string{"git"}, args...), Dir: dir,
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &said,
	})
	if err == nil && !exit.OK() {
		err = fmt.Errorf("git %q: %v: %s", args, exit, said.String())
	}
	return out.String(), err
}

func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return gitIn(t, dir, "", args...)
}

func gitIn(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	out, err := tryGit(t, dir, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out, "\n")
}

// newRepo makes an empty repository.
func newRepo(t testing.TB, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	git(t, t.TempDir(), append([]string{"init", "-q", dir}, args...)...)
	return dir
}

// files are paths with their contents; a content of the form "160000 ID" is a
// submodule and "120000 TARGET" a symbolic link.
type files map[string]string

// commitTree commits exactly those files, without a work tree in between, so
// that any name will do on any file system. It returns the commit's id.
func commitTree(t testing.TB, dir string, tree files) string {
	t.Helper()
	var info strings.Builder
	blobs := make(map[string]string)
	for path, content := range tree {
		mode := "100644"
		if target, ok := strings.CutPrefix(content, "120000 "); ok {
			mode, content = "120000", target
		}
		if id, ok := strings.CutPrefix(content, "160000 "); ok {
			fmt.Fprintf(&info, "160000 %s\t%s\x00", id, path)
			continue
		}
		if blobs[content] == "" {
			blobs[content] = gitIn(t, dir, content, "hash-object", "-w", "--stdin")
		}
		fmt.Fprintf(&info, "%s %s\t%s\x00", mode, blobs[content], path)
	}
	git(t, dir, "read-tree", "--empty")
	gitIn(t, dir, info.String(), "update-index", "-z", "--index-info")
	git(t, dir, "commit", "-q", "--no-verify", "--no-gpg-sign", "--allow-empty", "-m", "secret subject")
	return git(t, dir, "rev-parse", "HEAD")
}

func open(t testing.TB, dir string) *archive.Repo {
	t.Helper()
	r, err := archive.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func snapshot(t testing.TB, r *archive.Repo, ref string) *archive.Snapshot {
	t.Helper()
	s, err := r.Snapshot(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// store makes an empty bare repository, the host's.
func store(t testing.TB, format string) string {
	t.Helper()
	return newRepo(t, "--bare", "--object-format="+format)
}

// send packs the snapshot into the store, strictly checked, and keeps it there
// by a ref.
func send(t testing.TB, s *archive.Snapshot, have []archive.Have, to string) archive.PackStats {
	t.Helper()
	return sendChecked(t, s, have, to, "--strict")
}

func sendChecked(t testing.TB, s *archive.Snapshot, have []archive.Have, to string, check ...string) archive.PackStats {
	t.Helper()
	var pack bytes.Buffer
	stats, err := s.Pack(t.Context(), have, &pack, nil)
	if err != nil {
		t.Fatal(err)
	}
	if int64(pack.Len()) != stats.Bytes {
		t.Errorf("stats speak of %d bytes, the pack has %d", stats.Bytes, pack.Len())
	}
	gitIn(t, to, pack.String(), append([]string{"index-pack", "--stdin", "--fix-thin"}, check...)...)
	git(t, to, "update-ref", "refs/snapshots/"+s.Commit, s.Commit)
	if len(check) > 0 {
		git(t, to, "fsck", "--strict", "--no-dangling")
	}
	return stats
}

// archived lists what git archive would write: files, links and submodules.
func archived(t testing.TB, dir, ref string) []string {
	t.Helper()
	out, err := tryGit(t, dir, "", "archive", "--format=tar", ref)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	directories := make(map[string]bool)
	for in := tar.NewReader(strings.NewReader(out)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
		case tar.TypeDir:
			directories[strings.TrimSuffix(h.Name, "/")] = true
		default:
			names = append(names, h.Name)
		}
	}
	// A submodule is a directory there with nothing below it.
	for d := range directories {
		if strings.HasPrefix(gitIn(t, dir, "", "ls-tree", ref, "--", ":(literal)"+d), "160000") {
			names = append(names, d)
		}
	}
	slices.Sort(names)
	return names
}

// listed lists a tree in a store.
func listed(t testing.TB, dir, tree string) []string {
	t.Helper()
	out := git(t, dir, "ls-tree", "-r", "-z", "--name-only", tree)
	names := []string{}
	for name := range strings.SplitSeq(out, "\x00") {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// footprint describes everything below dir: names, sizes, modes, time stamps.
func footprint(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprintf("%v %d %s", info.Mode(), info.Size(), info.ModTime().Format(time.RFC3339Nano))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// age puts every time stamp below dir into the past, so that a later touch
// shows whatever the clock's resolution.
func age(t testing.TB, dir string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	for path := range footprint(t, dir) {
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
}
