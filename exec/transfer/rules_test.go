package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bivy/exec/file"
	"bivy/integration/sshdtest"
)

func (w *world) wantKind(err error, kind file.Kind) {
	w.Helper()
	var e *file.Error
	if !errors.As(err, &e) || e.Kind != kind {
		w.Errorf("the error is %v (%T), want one of kind %s", err, err, kind)
	}
}

// Modes, links and what is in the way, of a file that is put.
func TestPutRules(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	ctx, from := t.Context(), w.near+"/from"
	put := func(path string) (Result, error) { return w.Put(ctx, []string{from}, path, Options{}) }
	w.write(from, "new")
	w.must(os.Chmod(from, 0o4775))
	for _, scp := range []bool{true, false} {
		if !scp {
			w.SCP = nil
		}
		w.must(os.RemoveAll(w.far))
		w.must(os.MkdirAll(w.far+"/dir", 0o755))
		// A new file has the source's mode, less the umask and without setuid.
		_, err := put("fresh")
		w.must(err)
		w.wantMode(w.far+"/fresh", 0o755)
		// An old one keeps its own, even where nobody may write to it.
		w.write(w.far+"/old", "old")
		w.must(os.Chmod(w.far+"/old", 0o440))
		_, err = put("old")
		w.must(err)
		w.wantMode(w.far+"/old", 0o440)
		w.want(w.far+"/old", "new")
		// A link is followed, also to where nothing is yet.
		w.must(os.Symlink("dir/target", w.far+"/link"))
		r, err := put("link")
		w.must(err)
		if r.Path != w.far+"/dir/target" {
			t.Errorf("it went to %s", r.Path)
		}
		w.want(w.far+"/dir/target", "new")
		w.must(os.Symlink("dir", w.far+"/into"))
		for _, path := range []string{"dir", "dir/", "into", "into/", "dir/.", ""} {
			w.must(os.RemoveAll(w.far + "/dir/from"))
			if r, err := put(path); err != nil || filepath.Base(r.Path) != "from" {
				t.Errorf("put to %q: %+v, %v", path, r, err)
			}
		}
		w.must(os.Symlink("loop", w.far+"/loop"))
		w.must(os.Mkdir(w.far+"/dir/dir", 0o755))
		w.must(unix.Mkfifo(w.far+"/fifo", 0o644))
		w.must(os.Mkdir(w.far+"/dir/x", 0o755))
		w.write(w.near+"/x", "x")
		for path, kind := range map[string]file.Kind{
			"none/f": file.NotFound, "none/": file.NotFound, "fresh/": file.NotDir, "fresh/f": file.NotDir, "loop": file.Loop,
			"fifo": file.Special, "~nobody-here/f": file.NoUser,
		} {
			_, err := put(path)
			w.wantKind(err, kind)
		}
		_, err = w.Put(ctx, []string{w.near + "/x"}, "dir", Options{})
		w.wantKind(err, file.IsDir)
		w.want(w.far+"/fresh", "new")
		if left := append(staged(w.far), staged(w.far+"/dir")...); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// What cannot be sent, and where a tree cannot go.
func TestPutTreeRules(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	ctx := t.Context()
	w.write(w.near+"/d/sub/f", "f")
	w.must(unix.Mkfifo(w.near+"/d/fifo", 0o644))
	w.must(os.Symlink("/etc", w.near+"/d/abs"))
	w.must(os.Chmod(w.near+"/d/sub", 0o500))
	w.must(os.Chmod(w.near+"/d/sub/f", 0o6777))
	var left []string
	r, err := w.Put(ctx, []string{w.near + "/d/"}, "d", Options{Skipped: func(path, _ string) { left = append(left, path) }})
	if err != nil || r.Skipped != 1 || len(left) != 1 || !strings.HasSuffix(left[0], "d/fifo") {
		t.Errorf("%+v, %v, left out: %q", r, err, left)
	}
	w.wantTree(w.far+"/d", "sub/", "sub/f", "abs -> /etc")
	w.wantMode(w.far+"/d/sub", fs.ModeDir|0o700)
	w.wantMode(w.far+"/d/sub/f", 0o755)
	w.write(w.far+"/file", "file")
	w.write(w.far+"/a/d/sub/f/g", "a directory in the place of a file")
	w.write(w.far+"/b/d/sub", "a file in the place of a directory")
	w.must(os.MkdirAll(w.far+"/c/d", 0o755))
	w.must(os.Symlink("../..", w.far+"/c/d/sub"))
	w.must(os.MkdirAll(w.far+"/e/d/sub", 0o755))
	w.must(unix.Mkfifo(w.far+"/e/d/sub/f", 0o644))
	for path, kind := range map[string]file.Kind{
		"file": file.NotDir, "file/": file.NotDir, "none/x": file.NotFound, "none/": file.NotFound, "a": file.IsDir, "b": file.NotDir, "c": file.NotDir, "e": file.Special,
	} {
		_, err := w.Put(ctx, []string{w.near + "/d"}, path, Options{})
		w.wantKind(err, kind)
	}
	for _, dir := range []string{"a", "b", "c", "e"} {
		if _, err := os.Lstat(w.far + "/" + dir + "/d/abs"); err == nil {
			t.Errorf("%s has got a part of it", dir)
		}
	}
	// A link gives way to a file.
	w.write(w.far+"/g/d/sub/other", "other")
	w.must(os.Symlink("other", w.far+"/g/d/sub/f"))
	_, err = w.Put(ctx, []string{w.near + "/d"}, "g", Options{})
	w.must(err)
	w.want(w.far+"/g/d/sub/other", "other")
	w.want(w.far+"/g/d/sub/f", "f")
	w.wantMode(w.far+"/g/d/sub/f", 0o755)
	for _, sources := range [][]string{{w.near + "/none"}, {"/dev/null"}, {w.near + "/d/fifo"}, {w.near + "/d", w.near + "/none"}, {w.near + "/d", w.near + "/./d/"}} {
		_, err := w.Put(ctx, sources, "d", Options{})
		var source *SourceError
		if !errors.As(err, &source) {
			t.Errorf("put %q: %v", sources, err)
		}
	}
	_, err = w.Put(ctx, []string{w.near + "/d", w.near + "/d/sub/f"}, "new", Options{})
	w.wantKind(err, file.NotFound)
	_, err = w.Put(ctx, []string{w.near + "/d", w.near + "/d/sub/f"}, "file", Options{})
	w.wantKind(err, file.NotDir)
}

// Modes, links and what is in the way, of what is fetched.
func TestGetRules(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	ctx := t.Context()
	w.write(w.far+"/f", "new")
	w.must(os.Chmod(w.far+"/f", 0o4755))
	w.must(os.Symlink("f", w.far+"/link"))
	w.must(os.Mkdir(w.near+"/dir", 0o755))
	w.write(w.near+"/old", "old")
	w.must(os.Chmod(w.near+"/old", 0o4440))
	w.must(os.Symlink("dir/target", w.near+"/link"))
	for local, where := range map[string]string{
		"new": "new", "dir": "dir/f", "dir/": "dir/f", "dir/.": "dir/f", "old": "old", "link": "dir/target",
	} {
		if r, err := w.Get(ctx, "f", w.near+"/"+local, Options{}); err != nil || r.Path != w.near+"/"+where {
			t.Errorf("get to %q: %+v, %v", local, r, err)
		}
		w.want(w.near+"/"+where, "new")
	}
	w.wantMode(w.near+"/new", 0o755)
	w.wantMode(w.near+"/old", 0o440)
	if _, err := w.Get(ctx, "link", w.near+"/followed", Options{}); err != nil {
		t.Error(err)
	}
	w.wantMode(w.near+"/followed", 0o755)
	w.must(unix.Mkfifo(w.near+"/fifo", 0o644))
	w.must(os.Symlink("loop", w.near+"/loop"))
	w.must(os.Mkdir(w.near+"/dir/d", 0o755))
	w.write(w.far+"/d", "a file")
	for _, local := range []string{"none/f", "none/", "old/", "fifo", "loop", "old/f"} {
		_, err := w.Get(ctx, "f", w.near+"/"+local, Options{})
		var target *TargetError
		if !errors.As(err, &target) || target.Missing != strings.HasPrefix(local, "none") {
			t.Errorf("get to %q: %v", local, err)
		}
	}
	if _, err := w.Get(ctx, "d", w.near+"/dir", Options{}); err == nil {
		t.Error("a file takes the place of a directory")
	}
	w.must(unix.Mkfifo(w.far+"/fifo", 0o644))
	for path, kind := range map[string]file.Kind{"none": file.NotFound, "fifo": file.Special, "/dev/zero": file.Special, "f/": file.NotDir} {
		_, err := w.Get(ctx, path, w.near+"/x", Options{})
		w.wantKind(err, kind)
	}
	_, err := w.Get(ctx, "f", w.near+"/x", Options{MaxBytes: 2})
	var limit *LimitError
	if !errors.As(err, &limit) {
		t.Errorf("the limit is %v", err)
	}
	if r, err := w.Get(ctx, "/proc/self/status", w.near+"/status", Options{}); err != nil || r.Way != ByStream || r.Bytes == 0 {
		t.Errorf("a file of /proc: %+v, %v", r, err)
	}
	if _, err := w.Get(ctx, "/proc/self/status", w.near+"/x", Options{MaxBytes: 10}); !errors.As(err, &limit) {
		t.Errorf("the limit of a file of /proc is %v", err)
	}
	if left := append(staged(w.near), staged(w.near+"/dir")...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// What is in the way of a tree that is fetched, and its limits.
func TestGetTreeRules(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	ctx := t.Context()
	w.write(w.far+"/d/sub/f", "f")
	w.write(w.far+"/d/g", "g")
	w.must(unix.Mkfifo(w.far+"/d/fifo", 0o644))
	w.must(os.Symlink("/etc", w.far+"/d/abs"))
	w.must(os.Link(w.far+"/d/g", w.far+"/d/hard"))
	w.must(os.Chmod(w.far+"/d/g", 0o2711))
	var left []string
	r, err := w.Get(ctx, "d", w.near+"/d", Options{Skipped: func(path, _ string) { left = append(left, path) }})
	if err != nil || r.Skipped != 2 || len(left) != 2 || r.Files != 3 {
		t.Errorf("%+v, %v, left out: %q", r, err, left)
	}
	w.wantTree(w.near+"/d", "sub/", "sub/f", "g", "hard")
	w.wantMode(w.near+"/d/g", 0o711)
	w.write(w.near+"/a/sub/f/x", "a directory in the place of a file")
	w.write(w.near+"/b/sub", "a file in the place of a directory")
	w.must(os.Mkdir(w.near+"/c", 0o755))
	w.must(os.Symlink("..", w.near+"/c/sub"))
	w.must(os.MkdirAll(w.near+"/e/sub", 0o755))
	w.must(unix.Mkfifo(w.near+"/e/sub/f", 0o644))
	w.write(w.near+"/file", "file")
	w.must(os.Symlink("nowhere", w.near+"/broken"))
	for _, local := range []string{"a", "b", "c", "e", "file", "file/", "none/x", "none/", "broken"} {
		_, err := w.Get(ctx, "d/.", w.near+"/"+local, Options{})
		var target *TargetError
		if !errors.As(err, &target) {
			t.Errorf("get to %q: %v", local, err)
		}
		if _, err := os.Lstat(w.near + "/" + local + "/g"); err == nil {
			t.Errorf("%s has got a part of it", local)
		}
	}
	// A link gives way to a file.
	w.write(w.near+"/h/sub/other", "other")
	w.must(os.Symlink("other", w.near+"/h/sub/f"))
	_, err = w.Get(ctx, "d/.", w.near+"/h", Options{})
	w.must(err)
	w.want(w.near+"/h/sub/other", "other")
	w.want(w.near+"/h/sub/f", "f")
	for what, o := range map[string]Options{"bytes": {MaxBytes: 1}, "entries": {MaxFiles: 3}} {
		_, err := w.Get(ctx, "d", w.near+"/x", o)
		var limit *LimitError
		if !errors.As(err, &limit) || limit.What != what {
			t.Errorf("the limit of %s is %v", what, err)
		}
	}
	if _, err := os.Lstat(w.near + "/x"); err == nil || len(staged(w.near)) > 0 {
		t.Errorf("something is left: %q", staged(w.near))
	}
}

// What killed transfers have left goes with the next one; what is at work stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	ctx := t.Context()
	host, err := os.Hostname()
	w.must(err)
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	here := host + ":" + strings.SplitN(string(boot), "-", 2)[0]
	alive := count(int64(os.Getpid()))
	w.write(w.far+"/.bivy-tmp-4194999-1-"+here, "dead")
	w.write(w.far+"/.bivy-tmp-4194999-2-"+here+"/tree/f", "dead")
	w.write(w.far+"/.bivy-tmp-"+alive+"-3-"+here, "alive")
	w.write(w.far+"/.bivy-tmp-"+alive+"-4-"+here+"/tree/f", "alive")
	w.write(w.near+"/f", "f")
	for _, dir := range []string{"1", "2"} {
		w.write(w.near+"/"+stagePrefix+dir+"/tree/f", "dead")
		w.write(w.near+"/"+stagePrefix+dir+"f", "dead")
	}
	at, err := os.Open(w.near + "/" + stagePrefix + "2")
	w.must(err)
	defer at.Close() //nolint:errcheck // it ends the lock
	w.must(unix.Flock(int(at.Fd()), unix.LOCK_EX))
	w.must(os.Symlink(w.near+"/f", w.near+"/"+stagePrefix+"link"))
	_, err = w.Put(ctx, []string{w.near + "/f"}, "f", Options{})
	w.must(err)
	_, err = w.Get(ctx, "f", w.near+"/g", Options{})
	w.must(err)
	w.wantTree(w.far, ".bivy-tmp-"+alive+"-3-"+here, ".bivy-tmp-"+alive+"-4-"+here+"/", ".bivy-tmp-"+alive+"-4-"+here+"/tree/",
		".bivy-tmp-"+alive+"-4-"+here+"/tree/f", "f")
	w.wantTree(w.near, stagePrefix+"2/", stagePrefix+"2/tree/", stagePrefix+"2/tree/f", stagePrefix+"link -> "+w.near+"/f", "f", "g")
	if !errors.Is(cannotWrite("x", &fs.PathError{Err: syscall.ENOSPC}), syscall.ENOSPC) {
		t.Error("the reason is lost")
	}
}
