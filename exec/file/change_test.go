package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree is what is below the root: paths, with a slash behind directories.
func (h *host) tree(t testing.TB) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(h.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == h.root {
			return err
		}
		name := strings.TrimPrefix(path, h.root+"/")
		if d.IsDir() {
			name += "/"
		}
		list = append(list, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (h *host) wantTree(t testing.TB, want ...string) {
	t.Helper()
	if got := h.tree(t); !slices.Equal(got, want) {
		t.Errorf("the tree is %q, want %q", got, want)
	}
}

func (h *host) link(t testing.TB, name, target string) {
	t.Helper()
	if err := os.Symlink(target, h.at(name)); err != nil {
		t.Fatal(err)
	}
}

func TestMkdir(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		h.put(t, "file", "x")
		for _, c := range []struct {
			path    string
			o       MkdirOptions
			created bool
			kind    Kind
		}{
			{path: "a", created: true},
			{path: "a", kind: Exists},
			{path: "a", o: MkdirOptions{Parents: true}},
			{path: "b/c", kind: NotFound},
			{path: "b/c/ d\n/", o: MkdirOptions{Parents: true, Mode: mode(0o750)}, created: true},
			{path: "file", kind: Exists},
			{path: "file", o: MkdirOptions{Parents: true}, kind: Exists},
			{path: "file/x", o: MkdirOptions{Parents: true}, kind: NotDir},
			{path: "-p", created: true},
			{path: ".", o: MkdirOptions{Parents: true}},
		} {
			created, err := f.Mkdir(t.Context(), c.path, c.o)
			if c.kind != "" {
				wantKind(t, err, c.kind)
			} else if err != nil || created != c.created {
				t.Errorf("%s: %v, %v", c.path, created, err)
			}
		}
		h.wantMode(t, "b/c/ d\n", 0o750|fs.ModeDir)
		h.wantMode(t, "a", 0o755|fs.ModeDir)
		h.wantTree(t, "-p/", "a/", "b/", "b/c/", "b/c/ d\n/", "file")
	})
}

func TestMove(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		h.put(t, "a\n", "a")
		h.put(t, "dir/in/file", "x")
		h.put(t, "other", "o")
		h.link(t, "link", "dir")
		for _, c := range []struct {
			from, to string
			over     bool
			kind     Kind
		}{
			{from: "a\n", to: "-b"},
			{from: "none", to: "c", kind: NotFound},
			{from: "-b", to: "other", kind: Exists},
			{from: "-b", to: "other", over: true},
			{from: "other", to: "dir", over: true, kind: Exists},
			{from: "other", to: "none/below", kind: NotFound},
			{from: "other", to: "new/", kind: IsDir},
			{from: "dir", to: "dir/in/dir", kind: Invalid},
			{from: "dir", to: "other", over: true, kind: Exists},
			{from: "dir/in", to: "moved/"},
			{from: "link", to: "link2"},
			{from: "other", to: "link2", over: true},
			{from: ".", to: "../x", kind: Protected},
			{from: "..", to: "x", kind: Protected},
			{from: "link2", to: "link2", kind: Invalid},
			{from: "link2", to: "./moved/../link2", over: true, kind: Invalid},
			{from: "moved", to: "moved/", kind: Invalid},
		} {
			err := f.Move(t.Context(), c.from, c.to, MoveOptions{Overwrite: c.over})
			if c.kind != "" {
				wantKind(t, err, c.kind)
			} else if err != nil {
				t.Errorf("%q to %q: %v", c.from, c.to, err)
			}
		}
		h.wantTree(t, "dir/", "link2", "moved/", "moved/file")
		h.want(t, "link2", "a")
	})
}

// From one file system to another nothing is lost, and no copy is left.
func TestMoveToAnotherDisk(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "bivy") //nolint:usetesting // another file system than the temporary directory's
	if err != nil {
		// Only Linux has one that everybody may write to.
		t.Skip("there is no other file system to be had")
	}
	t.Cleanup(func() { _ = os.RemoveAll(shm) })
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "dir/file", "x")
		h.link(t, "dir/link", "nowhere")
		to := filepath.Join(shm, filepath.Base(t.Name()))
		if err := h.fs().Move(t.Context(), "dir", to, MoveOptions{}); err != nil {
			t.Fatal(err)
		}
		h.wantTree(t)
		h.root = to
		h.wantTree(t, "file", "link")
		if target, err := os.Readlink(h.at("link")); err != nil || target != "nowhere" {
			t.Errorf("the link says %q, %v", target, err)
		}
	})
}

func TestRemove(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		h.put(t, "a\n", "a")
		h.put(t, "-rf", "a")
		h.put(t, "dir/in/file", "x")
		h.put(t, "keep/file", "x")
		h.put(t, "last", "x")
		h.link(t, "link", "keep")
		h.link(t, "dir/out", "../keep")
		h.link(t, "tohome", h.home)
		for _, c := range []struct {
			paths []string
			o     RemoveOptions
			n     int
			kind  Kind
		}{
			{paths: []string{"a\n", "-rf"}, n: 2},
			{paths: []string{"last", "none"}, kind: NotFound},
			{paths: []string{"none", "none/x"}, o: RemoveOptions{MissingOK: true}},
			{paths: []string{"last", "dir"}, kind: IsDir},
			{paths: []string{"last", "none", "dir/"}, o: RemoveOptions{Recursive: true, MissingOK: true}, n: 2},
			{paths: []string{"link/", "tohome"}, o: RemoveOptions{Recursive: true}, n: 2},
			{paths: []string{"."}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{"keep/.."}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{".."}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{h.root}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{h.root + "//./"}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{"/"}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{"///"}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{"~"}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{"~/.."}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{"/tmp"}, o: RemoveOptions{Recursive: true}, kind: Protected},
			{paths: []string{""}, kind: Invalid},
		} {
			n, err := f.Remove(t.Context(), c.paths, c.o)
			if c.kind != "" {
				wantKind(t, err, c.kind)
			} else if err != nil || n != c.n {
				t.Errorf("%q: %d, %v", c.paths, n, err)
			}
		}
		h.wantTree(t, "keep/", "keep/file")
		if _, err := os.Stat(h.home); err != nil {
			t.Error(err)
		}
	})
}

func TestChangesInside(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		outside := t.TempDir()
		if err := os.WriteFile(outside+"/file", []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		h.put(t, "file", "x")
		h.link(t, "out", outside)
		f := h.fs()
		f.Inside = true
		_, err := f.Mkdir(t.Context(), "out/d", MkdirOptions{})
		wantKind(t, err, Outside)
		_, err = f.Mkdir(t.Context(), "out/d/e", MkdirOptions{Parents: true})
		wantKind(t, err, Outside)
		wantKind(t, f.Move(t.Context(), "out/file", "mine", MoveOptions{}), Outside)
		wantKind(t, f.Move(t.Context(), "file", "out/file2", MoveOptions{}), Outside)
		_, err = f.Remove(t.Context(), []string{"out/file"}, RemoveOptions{})
		wantKind(t, err, Outside)
		_, err = f.List(t.Context(), "out", ListOptions{})
		wantKind(t, err, Outside)
		if n, err := f.Remove(t.Context(), []string{"out"}, RemoveOptions{}); err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
		if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
			t.Errorf("outside are %v, %v", left, err)
		}
	})
}
