package transfer

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"bivy/exec/file"
	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

// smallDisk makes a directory a disk of that size.
func (w *world) smallDisk(dir, size string) {
	w.Helper()
	if os.Getuid() != 0 {
		// Only root may mount a small disk.
		w.Skip("needs root to mount a tmpfs")
	}
	w.must(os.MkdirAll(dir, 0o755))
	exit, err := proc.Run(w.Context(), proc.Spec{Args: []string{"mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", dir}})
	if err != nil || !exit.OK() {
		// Containers often may not mount, not even as root.
		w.Skipf("cannot mount a tmpfs: %v, %v", exit, err)
	}
	w.Cleanup(func() {
		_, _ = proc.Run(context.Background(), proc.Spec{Args: []string{"umount", "-l", dir}})
	})
}

// A full disk is said to be one, on either side, and keeps what it has.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	content := noise(4 << 20)
	w.write(w.near+"/f", content)
	w.write(w.near+"/d/f", content)
	w.write(w.far+"/f", content)
	w.write(w.far+"/d/f", content)
	w.smallDisk(w.far+"/small", "1m")
	w.smallDisk(w.near+"/small", "1m")
	w.write(w.far+"/small/f", "old")
	w.write(w.near+"/small/f", "old")
	for _, scp := range [][]string{{"scp"}, nil} {
		w.SCP = scp
		_, err := w.Put(t.Context(), []string{w.near + "/f"}, "small", Options{})
		w.wantKind(err, file.NoSpace)
		_, err = w.Put(t.Context(), []string{w.near + "/d"}, "small", Options{})
		w.wantKind(err, file.NoSpace)
		var target *TargetError
		for _, path := range []string{"f", "d"} {
			if _, err := w.Get(t.Context(), path, w.near+"/small", Options{}); !errors.As(err, &target) || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("get %s: %v", path, err)
			}
		}
	}
	for _, dir := range []string{w.near, w.far} {
		w.wantTree(dir+"/small", "f")
		w.want(dir+"/small/f", "old")
	}
}

// Whoever is cut off leaves the old file or the new, and nothing beside it.
func TestCut(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	content := noise(12 << 20)
	w.write(w.near+"/f", content)
	w.write(w.near+"/d/f", content)
	w.write(w.far+"/f", content)
	w.write(w.far+"/d/f", content)
	for _, to := range []string{w.near, w.far} {
		w.write(to+"/to/f", "old")
		w.write(to+"/to/d/f", "old")
	}
	for _, how := range []string{"cancel", "connection"} {
		for _, what := range []string{"put f scp", "put f stream", "put d tar", "get f scp", "get f stream", "get d tar"} {
			w.cut(how, strings.Fields(what), content)
		}
	}
}

// cut begins a transfer, and cuts it off as soon as it has staged something.
func (w *world) cut(how string, what []string, content string) {
	w.Helper()
	w.SCP = nil
	if what[2] == "scp" {
		w.SCP = []string{"scp"}
	}
	run := func(ctx context.Context) (err error) {
		if what[0] == "put" {
			_, err = w.Put(ctx, []string{w.near + "/" + what[1]}, "to", Options{})
		} else {
			_, err = w.Get(ctx, what[1], w.near+"/to", Options{})
		}
		return err
	}
	dir := map[string]string{"put": w.far + "/to", "get": w.near + "/to"}[what[0]]
	target := dir + "/" + what[1]
	if what[1] == "d" {
		target += "/f"
		dir += map[string]string{"put": "/d", "get": "/d"}[what[0]]
	}
	ctx, cancel := context.WithCancelCause(w.Context())
	defer cancel(nil)
	why, ended := errors.New("why"), make(chan error, 1)
	go func() { ended <- run(ctx) }()
	w.eventually("something staged in "+dir, func() bool { return len(staged(dir)) > 0 || len(ended) > 0 })
	if how == "cancel" {
		cancel(why)
	} else {
		w.server.KillConnections()
	}
	var err error
	select {
	case err = <-ended:
	case <-time.After(2 * patience):
		w.Fatalf("%s, %q: it does not end", how, what)
	}
	got, _ := os.ReadFile(target)
	if string(got) != "old" && string(got) != content || err == nil && string(got) != content {
		w.Errorf("%s, %q: there are %d bytes, and the error is %v", how, what, len(got), err)
	}
	var lost *CutError
	switch {
	case err == nil:
	case how == "cancel" && !errors.Is(err, why):
		w.Errorf("%s, %q: the error is %v (%T)", how, what, err, err)
	case how == "connection" && !errors.As(err, &lost):
		w.Errorf("%s, %q: the error is %v (%T)", how, what, err, err)
	}
	if how == "cancel" && len(staged(dir)) > 0 {
		w.Errorf("%s, %q: left: %q", how, what, staged(dir))
	}
	w.must(run(w.Context()))
	w.want(target, content)
	// What was cut off may be at its end just now.
	w.eventually("nothing staged in "+dir, func() bool { return len(staged(dir)) == 0 })
	w.write(target, "old")
}
