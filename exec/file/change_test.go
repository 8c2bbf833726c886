package file

import (
	"errors"
	"io/fs"
	"math/rand/v2"
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

// A directory that may not be read, or changed, is told from one that is not
// there.
func TestDenied(t *testing.T) {
	if os.Getuid() == 0 {
		h := dashHost(t)
		// Root may do everything, so somebody else must try.
		h.argv = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dash"}
		if h.lacks("setpriv") {
			t.Skip("there is no setpriv")
		}
		for dir := h.root; dir != "/"; dir = filepath.Dir(dir) {
			if i, err := os.Stat(dir); err == nil && i.Mode().Perm()&1 == 0 {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
		denied(t, h)
		return
	}
	denied(t, dashHost(t))
}

func denied(t *testing.T, h *host) {
	t.Helper()
	h.put(t, "shut/in/file", "x")
	h.put(t, "fixed/file", "x")
	h.put(t, "secret", "x")
	for name, m := range map[string]fs.FileMode{"shut": 0, "fixed": 0o555, "secret": 0} {
		if err := os.Chmod(h.at(name), m); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(h.at(name), 0o755) })
	}
	f := h.fs()
	for _, path := range []string{"shut/in/file", "secret"} {
		_, err := f.Read(t.Context(), path, ReadOptions{})
		wantKind(t, err, Denied)
	}
	for _, path := range []string{"shut/new", "fixed/file", "fixed/new", "fixed/new/deep"} {
		_, err := f.Write(t.Context(), path, []byte("y"), WriteOptions{})
		wantKind(t, err, Denied)
	}
	list, err := f.Stat(t.Context(), []string{"shut/in", "fixed/file", "none"}, StatOptions{})
	if err != nil || len(list) != 3 || list[1].Err != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	wantKind(t, list[0].Err, Denied)
	wantKind(t, list[2].Err, NotFound)
	_, err = f.List(t.Context(), "shut", ListOptions{})
	wantKind(t, err, Denied)
	_, err = f.Mkdir(t.Context(), "fixed/d", MkdirOptions{})
	wantKind(t, err, Denied)
	wantKind(t, f.Move(t.Context(), "fixed/file", "x", MoveOptions{}), Denied)
	_, err = f.Remove(t.Context(), []string{"fixed/file"}, RemoveOptions{})
	wantKind(t, err, Denied)
	l, err := f.List(t.Context(), ".", ListOptions{Depth: -1})
	if err != nil || !l.Incomplete {
		t.Errorf("%+v, %v; want an incomplete listing", l, err)
	}
}

func TestStat(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "file\nx", "12345")
		h.link(t, "link", "file\nx")
		h.link(t, "odd", "no\nwhere\n\n")
		if err := os.Mkdir(h.at("dir"), 0o750|fs.ModeSticky); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(h.at("dir"), 0o750|fs.ModeSticky); err != nil {
			t.Fatal(err)
		}
		paths := []string{"none", "file\nx", "link", "dir", "odd", "file\nx/below", "/dev/null", ""}
		for _, inside := range []bool{false, true} {
			f := h.fs()
			f.Inside = inside
			list, err := f.Stat(t.Context(), paths, StatOptions{})
			if err != nil || len(list) != len(paths) {
				t.Fatal(list, err)
			}
			wantKind(t, list[0].Err, NotFound)
			if s := list[1]; s.Err != nil || s.Type != Regular || s.Size != 5 || s.Mode != 0o644 || s.Links != 1 || s.UID != int64(os.Getuid()) {
				t.Errorf("%+v", s)
			}
			targets := []string{"file\nx", "no\nwhere\n\n"}
			if h.lacks("readlink") {
				targets = []string{"", ""}
			}
			if s := list[2]; s.Err != nil || s.Type != Symlink || s.Target != targets[0] {
				t.Errorf("%+v", s)
			}
			if s := list[3]; s.Err != nil || s.Type != Dir || s.Mode != 0o750|fs.ModeSticky {
				t.Errorf("%+v", s)
			}
			if s := list[4]; s.Err != nil || s.Type != Symlink || s.Target != targets[1] {
				t.Errorf("%+v", s)
			}
			wantKind(t, list[5].Err, NotDir)
			if inside {
				wantKind(t, list[6].Err, Outside)
			} else if s := list[6]; s.Err != nil || s.Type != Other {
				t.Errorf("%+v", s)
			}
			if s := list[7]; s.Err != nil || s.Type != Dir {
				t.Errorf("%+v", s)
			}
			if h.lacks("readlink") {
				continue
			}
			list, err = f.Stat(t.Context(), []string{"link", "odd"}, StatOptions{Follow: true})
			if err != nil || list[0].Err != nil || list[0].Type != Regular || list[0].Size != 5 {
				t.Errorf("%+v, %v", list, err)
			}
			wantKind(t, list[1].Err, NotFound)
		}
	})
}

func TestList(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
		var want []string
		for range 60 {
			name := randomName(random)
			if _, err := os.Lstat(h.at(name)); err != nil {
				h.put(t, name, name)
				want = append(want, name)
			}
		}
		h.put(t, "d\n/e/f", "x")
		h.link(t, "d\n/link\n", "to\n")
		h.link(t, "d\n/up", "..")
		top := append([]string{"d\n"}, want...)
		all := append([]string{"d\n/e", "d\n/e/f", "d\n/link\n", "d\n/up"}, top...)
		slices.Sort(top)
		slices.Sort(all)
		f := h.fs()
		for depth, want := range map[int][]string{0: top, 1: top, -1: all} {
			l, err := f.List(t.Context(), ".", ListOptions{Depth: depth})
			var got []string
			for _, e := range l.Entries {
				got = append(got, e.Path)
				if e.Type == Regular && e.Path != "d\n/e/f" && e.Size != int64(len(e.Path)) {
					t.Errorf("%+v", e)
				}
				if e.Path == "d\n/link\n" && (e.Type != Symlink || e.Target != "to\n" && !h.lacks("readlink")) {
					t.Errorf("%+v", e)
				}
			}
			if err != nil || l.Truncated || l.Incomplete || !slices.Equal(got, want) {
				t.Errorf("depth %d: %q, %v; want %q", depth, got, err, want)
			}
		}
		l, err := f.List(t.Context(), ".", ListOptions{Depth: -1, Types: []Type{Dir, Symlink}})
		if err != nil || len(l.Entries) != 4 {
			t.Errorf("%+v, %v", l, err)
		}
		l, err = f.List(t.Context(), "d\n/e", ListOptions{})
		if err != nil || len(l.Entries) != 1 || l.Entries[0].Path != "f" {
			t.Errorf("%+v, %v", l, err)
		}
		l, err = f.List(t.Context(), ".", ListOptions{Max: 5})
		if err != nil || !l.Truncated || len(l.Entries) > 5 {
			t.Errorf("%+v, %v", l, err)
		}
		_, err = f.List(t.Context(), "none", ListOptions{})
		wantKind(t, err, NotFound)
		_, err = f.List(t.Context(), "d\n/e/f", ListOptions{})
		wantKind(t, err, NotDir)
		if err := os.Mkdir(h.at("none"), 0o755); err != nil {
			t.Fatal(err)
		}
		l, err = f.List(t.Context(), "none", ListOptions{})
		if err != nil || len(l.Entries) != 0 || l.Truncated {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

func TestHostileListings(t *testing.T) {
	line := "c 81a4 5 1700000000 0 0 1 7"
	for name, body := range map[string]string{
		"nothing": "", "no end": "b1\x00./a\x00" + line + "\x00", "no number": "bx\x00e0\x00", "too many": "b999999999\x00./a\x00e0\x00",
		"negative": "b-1\x00e0\x00", "no name": "b1\x00./\x00" + line + "\x00e0\x00", "absolute": "b1\x00/etc/passwd\x00" + line + "\x00e0\x00",
		"a missing line": "b2\x00./a\x00./b\x00" + line + "\x00e0\x00", "a bad line": "b1\x00./a\x00x\x00e0\x00",
		"a target of none": "b1\x00./a\x00" + line + "\x005:x\x00e0\x00", "words behind": "e0\x00e0\x00", "no head": "\x00e0\x00",
	} {
		f := &FS{Runner: &stubborn{answer: func(m string) string { return body + m + "ok=1\x00done\x00" }}}
		_, err := f.List(t.Context(), ".", ListOptions{})
		var odd *ProtocolError
		if !errors.As(err, &odd) {
			t.Errorf("%s: the error is %v, want a *ProtocolError", name, err)
		}
	}
}

func FuzzListing(f *testing.F) {
	f.Add("b1\x00./a\x00c 81a4 5 1700000000 0 0 1 7\x00e0\x00", true)
	f.Add("b2\x00./a\x00./b\x00f 120777 5 1700000000 0 0 1 7\nl -rw-r--r-- 5 - 0 0 1 -\x001:x\x00e1\x00", false)
	f.Fuzz(func(t *testing.T, body string, cut bool) {
		l, why := parseListing(body, cut)
		for _, e := range l.Entries {
			if e.Path == "" || e.Path[0] == '/' || e.Type == "" || strings.Contains(e.Path, "\x00") {
				t.Errorf("%+v, %s", e, why)
			}
		}
	})
}
