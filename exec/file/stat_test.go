package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A directory that may not be read, or changed, is told from one that is not
// there.
func TestDenied(t *testing.T) {
	if os.Getuid() == 0 {
		h := dashHost(t)
		// Root may do everything, so somebody else must try.
		h.argv = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dash"}
		if h.lacks("setpriv") {
			// It is part of util-linux, and every account but root needs none.
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
