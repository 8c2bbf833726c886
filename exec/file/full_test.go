package file

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"bivy/exec/proc"
)

// small mounts a file system of 64 KiB as the directory d below the root.
func (h *host) small(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		// Only root may mount a small disk.
		t.Skip("needs root to mount a tmpfs")
	}
	if err := os.Mkdir(h.at("d"), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (proc.Exit, string) {
		var out bytes.Buffer
		exit, err := proc.Run(t.Context(), proc.Spec{Args: args, Stderr: &out})
		if err != nil {
			t.Fatal(err)
		}
		return exit, out.String()
	}
	if exit, why := run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", h.at("d")); !exit.OK() {
		// Containers often may not mount, not even as root.
		t.Skipf("cannot mount a tmpfs: %s", why)
	}
	t.Cleanup(func() {
		_, _ = proc.Run(context.Background(), proc.Spec{Args: []string{"umount", "-l", h.at("d")}}) //nolint:usetesting // the test is over
	})
}

// On a disk that is full there is room for a new file and none for what is in
// it. Neither a lock nor a temporary file stays, and what was there does.
func TestFullDisk(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.small(t)
		h.put(t, "d/file", "old")
		fill, err := os.Create(h.at("d/fill"))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = fill.Write(make([]byte, 4096))
		}
		_ = fill.Close()
		f := h.fs()
		began := time.Now()
		for name, write := range map[string]func() error{
			"write": func() error { _, err := f.Write(t.Context(), "d/file", []byte("new"), WriteOptions{}); return err },
			"conditional": func() error {
				// Its content needs no room, but its lock does.
				_, err := f.Write(t.Context(), "d/file", nil, WriteOptions{IfMatch: sumOf("old")})
				return err
			},
			"move": func() error {
				h.put(t, "file", "moved")
				return f.Move(t.Context(), "file", "d/moved", MoveOptions{})
			},
		} {
			if name == "conditional" && h.lacksSHA256() {
				continue
			}
			wantKind(t, write(), NoSpace)
			h.want(t, "d/file", "old")
			h.wantNoLitter(t)
		}
		h.want(t, "file", "moved")
		if took := time.Since(began); took > DefaultLockWait {
			t.Errorf("it took %s, so something was waited for", took)
		}
		if err := os.Remove(h.at("d/fill")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(t.Context(), "d/file", []byte("new"), WriteOptions{}); err != nil {
			t.Error(err)
		}
		h.want(t, "d/file", "new")
	})
}

// On a disk that may only be read nothing is changed, and what is refused is
// told apart from what is not there.
func TestReadOnlyDisk(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.small(t)
		h.put(t, "d/file", "old")
		h.put(t, "d/in/file", "old")
		h.put(t, "file", "old")
		if exit, err := proc.Run(t.Context(), proc.Spec{Args: []string{"mount", "-o", "remount,ro", h.at("d")}}); err != nil || !exit.OK() {
			t.Fatal(exit, err)
		}
		f := h.fs()
		for name, change := range map[string]func() error{
			"write": func() error { _, err := f.Write(t.Context(), "d/file", []byte("new"), WriteOptions{}); return err },
			"new":   func() error { _, err := f.Write(t.Context(), "d/a/b", []byte("new"), WriteOptions{}); return err },
			"mkdir": func() error { _, err := f.Mkdir(t.Context(), "d/new", MkdirOptions{}); return err },
			"from":  func() error { return f.Move(t.Context(), "d/file", "moved", MoveOptions{}) },
			"to":    func() error { return f.Move(t.Context(), "file", "d/moved", MoveOptions{}) },
			"rm":    func() error { _, err := f.Remove(t.Context(), []string{"d/file"}, RemoveOptions{}); return err },
			"rm -r": func() error {
				_, err := f.Remove(t.Context(), []string{"d/in"}, RemoveOptions{Recursive: true})
				return err
			},
		} {
			err := change()
			if wantKind(t, err, Denied); t.Failed() {
				t.Fatal(name)
			}
		}
		if c, err := f.Read(t.Context(), "d/file", ReadOptions{}); err != nil || string(c.Data) != "old" {
			t.Errorf("%q, %v", c.Data, err)
		}
		// To root, busybox says of any disk that it may be written to. What came from
		// another one is then there twice, and not lost.
		_ = os.Remove(h.at("moved"))
		h.wantTree(t, "d/", "d/file", "d/in/", "d/in/file", "file")
	})
}

// A lock that stays empty is of somebody who died in the middle of one step.
func TestLockThatStaysEmpty(t *testing.T) {
	h := dashHost(t)
	h.put(t, "file", "old")
	h.put(t, ".bivy-lock", "")
	if _, err := h.fs().Write(t.Context(), "file", []byte("new"), WriteOptions{IfMatch: sumOf("old"), LockWait: patience}); err != nil {
		t.Error(err)
	}
	h.want(t, "file", "new")
	h.wantNoLitter(t)
}
