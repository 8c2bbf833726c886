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
