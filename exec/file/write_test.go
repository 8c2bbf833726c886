package file

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

func mode(m fs.FileMode) *fs.FileMode { return &m }

// wantMode checks the permissions of a file on this machine.
func (h *host) wantMode(t testing.TB, name string, want fs.FileMode) {
	t.Helper()
	i, err := os.Lstat(h.at(name))
	if err != nil || i.Mode() != want {
		t.Errorf("%q: %v, %v; want mode %v", name, i, err, want)
	}
}

func TestWrite(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		for name, content := range map[string]string{
			"new": "one\n", "empty": "", "bytes": allBytes(), "d 1/d\n2/$(x)": "odd", "-n": "dash", "large": strings.Repeat(allBytes(), 500),
		} {
			for _, text := range []string{content, content + "second"} {
				w, err := f.Write(t.Context(), name, []byte(text), WriteOptions{})
				if err != nil {
					t.Fatalf("write %q: %v", name, err)
				}
				if w.SHA256 != sumOf(text) || w.Length != int64(len(text)) || w.Created != (text == content) || w.OwnerChanged || w.LinksBroken {
					t.Errorf("write %q: %+v", name, w)
				}
				if (w.Verified == "sha256") == h.lacksSHA256() {
					t.Errorf("write %q: verified by %s", name, w.Verified)
				}
				h.want(t, name, text)
			}
			h.wantMode(t, name, 0o644)
		}
		h.wantNoLitter(t)
	})
}

func TestWriteKeepsTheMode(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		for _, m := range []fs.FileMode{0o600, 0o755, 0o444, 0o640, 0o700 | fs.ModeSetuid, 0o2 | 0o600 | fs.ModeSetgid, 0o777 | fs.ModeSticky} {
			h.put(t, "file", "old")
			if err := os.Chmod(h.at("file"), m); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(t.Context(), "file", []byte("new"), WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			h.want(t, "file", "new")
			h.wantMode(t, "file", m)
			if err := os.Remove(h.at("file")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Write(t.Context(), "made", []byte("x"), WriteOptions{Mode: mode(0o755)}); err != nil {
			t.Fatal(err)
		}
		h.wantMode(t, "made", 0o755)
		if _, err := f.Write(t.Context(), "made", []byte("y"), WriteOptions{Mode: mode(0o604 | fs.ModeSetgid)}); err != nil {
			t.Fatal(err)
		}
		h.wantMode(t, "made", 0o604|fs.ModeSetgid)
	})
}

func TestWriteThroughLinks(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "real/file", "old")
		for name, target := range map[string]string{
			"link": "real/file", "second": "link", "third\n": "second", "dangling": "real/none", "loop": "circle", "circle": "loop",
			"todir": "real", "real/back": "../real/file",
		} {
			if err := os.Symlink(target, h.at(name)); err != nil {
				t.Fatal(err)
			}
		}
		f := h.fs()
		if h.lacks("readlink") {
			_, err := f.Write(t.Context(), "link", []byte("new"), WriteOptions{})
			var lacks *HostLacksError
			if !errors.As(err, &lacks) {
				t.Errorf("the error is %v, want a *HostLacksError", err)
			}
			h.want(t, "real/file", "old")
			return
		}
		for _, name := range []string{"link", "second", "third\n", "todir/file", "todir/back"} {
			if _, err := f.Write(t.Context(), name, []byte("by "+name), WriteOptions{}); err != nil {
				t.Errorf("write %q: %v", name, err)
			}
			h.want(t, "real/file", "by "+name)
			if i, err := os.Lstat(h.at(name)); name != "todir/file" && (err != nil || i.Mode()&fs.ModeSymlink == 0) {
				t.Errorf("%q is a link no more: %v, %v", name, i, err)
			}
		}
		if w, err := f.Write(t.Context(), "dangling", []byte("made"), WriteOptions{}); err != nil || !w.Created {
			t.Errorf("%+v, %v", w, err)
		}
		h.want(t, "real/none", "made")
		_, err := f.Write(t.Context(), "loop", []byte("x"), WriteOptions{})
		wantKind(t, err, Loop)
		h.wantNoLitter(t)
	})
}

func TestWriteRefused(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "file", "old")
		if err := os.MkdirAll(h.at("dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(h.at("fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		f := h.fs()
		for path, kind := range map[string]Kind{
			"dir": IsDir, "dir/": IsDir, "dir/.": IsDir, "new/": IsDir, "": Invalid, "fifo": Special, "file/x": NotDir, "file/x/y": NotDir, "~no-such-user/x": NoUser,
			strings.Repeat("n", 300): Failed,
		} {
			_, err := f.Write(t.Context(), path, []byte("new"), WriteOptions{})
			wantKind(t, err, kind)
		}
		_, err := f.Write(t.Context(), "file", []byte("new"), WriteOptions{CreateOnly: true})
		wantKind(t, err, Exists)
		if err := os.Symlink("none", h.at("dangling")); err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(t.Context(), "dangling", []byte("new"), WriteOptions{CreateOnly: true})
		wantKind(t, err, Exists)
		_, err = f.Write(t.Context(), "file", []byte("new"), WriteOptions{IfMatch: "abc"})
		wantKind(t, err, Invalid)
		h.want(t, "file", "old")
		w, err := f.Write(t.Context(), "made/here", []byte("new"), WriteOptions{CreateOnly: true})
		if err != nil || !w.Created {
			t.Errorf("%+v, %v", w, err)
		}
		h.want(t, "made/here", "new")
		h.wantMode(t, "made/here", 0o644)
		h.wantNoLitter(t)
	})
}

func TestWriteInside(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		outside := t.TempDir()
		if err := os.WriteFile(outside+"/file", []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		h.put(t, "in/file", "old")
		for name, target := range map[string]string{"out": outside, "in/tofile": outside + "/file", "in/tonew": outside + "/new"} {
			if err := os.Symlink(target, h.at(name)); err != nil {
				t.Fatal(err)
			}
		}
		f := h.fs()
		f.Inside = true
		for _, path := range []string{
			"out/x", "out/deep/x", "in/tofile", "in/tonew", outside + "/x", outside + "/d/x", "../x", "none/../../x", "in/none/../../../x", "~/x", "in/../../x",
		} {
			_, err := f.Write(t.Context(), path, []byte("new"), WriteOptions{})
			var e *Error
			var lacks *HostLacksError
			if (!errors.As(err, &e) || e.Kind != Outside && e.Kind != NotFound) && !errors.As(err, &lacks) {
				t.Errorf("%s: %v; want a refusal", path, err)
			}
		}
		for _, path := range []string{"in/file", "new", "a/b/c/d", "in/../e/f", h.at("g/h")} {
			if _, err := f.Write(t.Context(), path, []byte("new"), WriteOptions{}); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		h.want(t, "a/b/c/d", "new")
		h.want(t, "e/f", "new")
		h.want(t, "g/h", "new")
		if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
			t.Errorf("outside are %v, %v", left, err)
		}
		if left, err := os.ReadDir(h.home); err != nil || len(left) != 0 {
			t.Errorf("at home are %v, %v", left, err)
		}
	})
}

func TestOwnersAndLinks(t *testing.T) {
	if os.Getuid() != 0 {
		// Only root may give files away.
		t.Skip("not root")
	}
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "file", "old")
		if err := os.Chown(h.at("file"), 12345, 23456); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(h.at("file"), 0o750|fs.ModeSetuid); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(h.at("file"), h.at("other")); err != nil {
			t.Fatal(err)
		}
		w, err := h.fs().Write(t.Context(), "file", []byte("new"), WriteOptions{})
		if err != nil || w.OwnerChanged || !w.LinksBroken {
			t.Errorf("%+v, %v", w, err)
		}
		h.wantMode(t, "file", 0o750|fs.ModeSetuid)
		h.want(t, "other", "old")
		i, err := os.Stat(h.at("file"))
		if err != nil {
			t.Fatal(err)
		}
		if sys, ok := i.Sys().(*syscall.Stat_t); !ok || sys.Uid != 12345 || sys.Gid != 23456 {
			t.Errorf("the file belongs to %+v", i.Sys())
		}
	})
}

func TestCksum(t *testing.T) {
	// As GNU cksum prints them.
	for content, want := range map[string]uint32{"": 4294967295, "hello\n": 3015617425, strings.Repeat("abc", 100_000): 0} {
		if want == 0 {
			continue // TestWrite on a bare host compares with the host's own
		}
		if got := cksum([]byte(content)); got != want {
			t.Errorf("the cksum of %q is %d, want %d", content, got, want)
		}
	}
}
