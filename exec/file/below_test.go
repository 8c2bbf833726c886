package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a copy to another disk left here that was killed goes with the next
// change of any kind, if it is ours.
func TestSweepOfDirectories(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		name, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
		first, _, _ := strings.Cut(string(boot), "-")
		gone := fmt.Sprintf(".bivy-tmp-%d-cc-%s:%s", h.deadPID(t), name, first)
		for what, change := range map[string]func() error{
			"write": func() error { _, err := f.Write(t.Context(), "file", []byte("x"), WriteOptions{}); return err },
			"mkdir": func() error { _, err := f.Mkdir(t.Context(), "dir", MkdirOptions{}); return err },
			"rm": func() error {
				h.put(t, "f", "x")
				_, err := f.Remove(t.Context(), []string{"f"}, RemoveOptions{})
				return err
			},
			"mv": func() error { h.put(t, "f", "x"); return f.Move(t.Context(), "f", "g", MoveOptions{}) },
		} {
			h.put(t, gone+"/in/file", "x")
			h.link(t, gone+"/in/link", h.home)
			if err := change(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := os.Lstat(h.at(gone)); err == nil {
				t.Errorf("%s has left a directory", what)
			}
		}
		h.link(t, gone, h.home)
		if os.Getuid() == 0 {
			h.put(t, gone+"0/file", "x")
			if err := os.Chown(h.at(gone+"0"), 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Mkdir(t.Context(), "last", MkdirOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(h.home); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(h.at(gone + "0/file")); err != nil && os.Getuid() == 0 {
			t.Error("the directory of somebody else was emptied")
		}
	})
}

// Below keeps who removes from what lies behind a link, unless it is named.
func TestRemoveBelow(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		outside := t.TempDir()
		for _, name := range []string{"a", "b", "c", "d"} {
			if err := os.WriteFile(filepath.Join(outside, name), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h.put(t, "ws/in/..x/file", "x")
		h.put(t, "ws/mine", "x")
		h.put(t, "beside", "x")
		h.link(t, "ws/out", outside)
		h.link(t, "ws/here", "in")
		h.link(t, "ws/self", ".")
		h.link(t, "root", "ws")
		for _, root := range []string{h.at("root"), h.at("ws")} {
			f := &FS{Runner: h, Root: root}
			for _, path := range []string{"out/a", "./out/a", "out/./a", "self/out/a"} {
				_, err := f.Remove(t.Context(), []string{"mine", path}, RemoveOptions{Recursive: true, Below: true})
				wantKind(t, err, Outside)
			}
		}
		f := &FS{Runner: h, Root: h.at("root")}
		paths := []string{"mine", "here/..x/file", "self/in/..x", "out/../" + filepath.Base(outside) + "/b", filepath.Join(outside, "c"), "../beside"}
		if n, err := f.Remove(t.Context(), paths, RemoveOptions{Recursive: true, Below: true}); err != nil || n != len(paths) {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := f.Remove(t.Context(), []string{"out/d"}, RemoveOptions{}); err != nil || n != 1 {
			t.Errorf("without Below: %d, %v", n, err)
		}
		if n, err := f.Remove(t.Context(), []string{"out", "here"}, RemoveOptions{Below: true}); err != nil || n != 2 {
			t.Errorf("links: %d, %v", n, err)
		}
		left, err := os.ReadDir(outside)
		if err != nil || len(left) != 1 || left[0].Name() != "a" {
			t.Errorf("outside are %v, %v; want a", left, err)
		}
		h.wantTree(t, "root", "ws/", "ws/in/", "ws/self")
	})
}
