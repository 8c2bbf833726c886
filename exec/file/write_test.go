package file

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
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

func TestIfMatch(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		h.put(t, "file\n\\", "old")
		_, err := f.Write(t.Context(), "file\n\\", []byte("new"), WriteOptions{IfMatch: sumOf("old")})
		if h.lacksSHA256() {
			var lacks *HostLacksError
			if !errors.As(err, &lacks) || !strings.Contains(lacks.Tool, "sha256sum") {
				t.Errorf("the error is %v, want a *HostLacksError", err)
			}
			h.want(t, "file\n\\", "old")
			h.wantNoLitter(t)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		h.want(t, "file\n\\", "new")
		for name, have := range map[string]string{"file\n\\": sumOf("new"), "none": "", "none/below": ""} {
			_, err = f.Write(t.Context(), name, []byte("newer"), WriteOptions{IfMatch: sumOf("old")})
			var changed *PreconditionError
			if !errors.As(err, &changed) || changed.Have != have || changed.Want != sumOf("old") {
				t.Errorf("%q: the error is %v, want a *PreconditionError with %q", name, err, have)
			}
		}
		h.want(t, "file\n\\", "new")
		h.wantNoLitter(t)
	})
}

// Of several writers that know the same content one wins, and every round
// again; a counter that they increase loses nothing.
func TestWritersCompete(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		if h.lacksSHA256() {
			// There is no compare-and-swap then; TestIfMatch sees the refusal.
			t.Skip("the host has no SHA-256")
		}
		const writers, rounds = 4, 3
		h.put(t, "counter", "0")
		var mu sync.Mutex
		won := map[string]int{}
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				f := h.fs()
				for done := 0; done < rounds; {
					c, err := f.Read(t.Context(), "counter", ReadOptions{})
					if err != nil {
						t.Error(err)
						return
					}
					var n int
					if _, err := fmt.Sscan(string(c.Data), &n); err != nil {
						t.Errorf("the counter holds %q", c.Data)
						return
					}
					_, err = f.Write(t.Context(), "counter", fmt.Appendf(nil, "%d by %d", n+1, w), WriteOptions{IfMatch: c.SHA256, LockWait: patience})
					var changed *PreconditionError
					switch {
					case err == nil:
						done++
						mu.Lock()
						won[c.SHA256]++
						mu.Unlock()
					case !errors.As(err, &changed):
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		c, err := f0(h).Read(t.Context(), "counter", ReadOptions{})
		if err != nil || !strings.HasPrefix(string(c.Data), fmt.Sprint(writers*rounds)+" ") {
			t.Errorf("the counter holds %q, %v; want %d", c.Data, err, writers*rounds)
		}
		for sum, n := range won {
			if n != 1 {
				t.Errorf("%d writers won against %s", n, sum)
			}
		}
		h.wantNoLitter(t)
	})
}

func f0(h *host) *FS { return h.fs() }

// Of several that create a file one does.
func TestCreatorsCompete(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		var mu sync.Mutex
		made := []string{}
		var all sync.WaitGroup
		for w := range 5 {
			all.Go(func() {
				content := fmt.Sprintf("by %d", w)
				_, err := h.fs().Write(t.Context(), "file", []byte(content), WriteOptions{CreateOnly: true})
				if err == nil {
					mu.Lock()
					made = append(made, content)
					mu.Unlock()
					return
				}
				wantKind(t, err, Exists)
			})
		}
		all.Wait()
		if len(made) != 1 {
			t.Fatalf("%q made the file", made)
		}
		h.want(t, "file", made[0])
		h.wantNoLitter(t)
	})
}

// A content that is cut at any byte changes nothing, and leaves nothing.
func TestCutContent(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		content := strings.Repeat("0123456789", 20_000)
		h.put(t, "file", "old")
		for range 5 {
			h.starve = 1 + rand.IntN(len(content)-1) //nolint:gosec // a test
			for _, o := range []WriteOptions{{}, {CreateOnly: true}} {
				name := "file"
				if o.CreateOnly {
					name = "new"
				}
				_, err := h.fs().Write(t.Context(), name, []byte(content), o)
				wantKind(t, err, Incomplete)
			}
			h.want(t, "file", "old")
			if _, err := os.Lstat(h.at("new")); err == nil {
				t.Errorf("a file was made of %d bytes", h.starve)
			}
			h.wantNoLitter(t)
		}
	})
}

// The shell and all that it runs are killed before and after each program
// that it starts. The file is the old one or the new one, and the next write
// removes what is left.
func TestKilledAtEveryStep(t *testing.T) {
	for _, how := range []string{"KILL", "TERM", "HUP"} {
		for _, when := range []string{"before", "after"} {
			t.Run(how+" "+when, func(t *testing.T) {
				t.Parallel()
				h := dashHost(t)
				bin, count := t.TempDir(), filepath.Join(t.TempDir(), "count")
				for _, program := range append(posix(), "stat", "sha256sum", "readlink") {
					path := ""
					for _, dir := range filepath.SplitList(usualPath) {
						if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
							path = filepath.Join(dir, program)
						}
					}
					kill := `echo x >>"$COUNT"; n=$(/usr/bin/wc -l <"$COUNT"); end() { [ "$n" != "$STEP" ] || { echo hit >"$COUNT.hit"; kill -` + how + ` 0; }; }; `
					if when == "before" {
						script(t, bin, program, kill+"end; exec "+path+` "$@"`)
					} else {
						script(t, bin, program, kill+path+` "$@"; c=$?; end; exit $c`)
					}
				}
				for _, o := range []WriteOptions{{}, {IfMatch: sumOf("old")}, {CreateOnly: true}} {
					killedAtEveryStep(t, h, bin, count, o)
				}
			})
		}
	}
}

func killedAtEveryStep(t *testing.T, h *host, bin, count string, o WriteOptions) {
	t.Helper()
	for step := 1; ; step++ {
		old := "old"
		if o.CreateOnly {
			old = ""
			_ = os.Remove(h.at("file"))
		} else {
			h.put(t, "file", old)
		}
		_ = os.Remove(count)
		_ = os.Remove(count + ".hit")
		killed := *h
		killed.path, killed.env = bin, []string{"COUNT=" + count, fmt.Sprintf("STEP=%d", step)}
		_, err := killed.fs().Write(t.Context(), "file", []byte("new"), o)
		got, _ := os.ReadFile(h.at("file"))
		if string(got) != old && string(got) != "new" || err == nil && string(got) != "new" {
			t.Errorf("step %d: the file holds %q, the error is %v", step, got, err)
		}
		if _, missed := os.Stat(count + ".hit"); missed != nil {
			if err != nil || step < 4 {
				t.Errorf("%d steps, %v", step, err)
			}
			return
		}
		// mv may have done its work, and was then killed.
		if _, err := h.fs().Write(t.Context(), "file", []byte("newer"), WriteOptions{IfMatch: sumOf(string(got)), LockWait: time.Second}); err != nil {
			if _, there := os.Lstat(h.at("file")); there == nil {
				t.Errorf("step %d: the next write: %v", step, err)
			} else if _, err := h.fs().Write(t.Context(), "file", []byte("newer"), WriteOptions{}); err != nil {
				t.Errorf("step %d: the next write: %v", step, err)
			}
		}
		h.want(t, "file", "newer")
		h.wantNoLitter(t)
	}
}

// What another write still needs, and what another host left, stays.
func TestSweep(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		p, err := proc.Start(t.Context(), proc.Spec{Args: []string{"sleep", "600"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = p.Signal(syscall.SIGKILL)
			_, _ = p.Wait()
		}()
		name, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
		first, _, _ := strings.Cut(string(boot), "-")
		gone := h.deadPID(t)
		keep := []string{
			fmt.Sprintf(".bivy-tmp-%d-aa-%s:%s", p.Pid(), name, first), fmt.Sprintf(".bivy-tmp-%d-bb-elsewhere:%s", gone, first), ".bivy-tmp-", ".bivy-tmp-x-y-z",
		}
		drop := []string{
			fmt.Sprintf(".bivy-tmp-%d-cc-%s:%s", gone, name, first), fmt.Sprintf(".bivy-tmp-%d-dd-%s:0123abcd", p.Pid(), name),
		}
		old := fmt.Sprintf(".bivy-tmp-%d-ee-elsewhere:%s", gone, first)
		for _, n := range append(append([]string{old}, keep...), drop...) {
			h.put(t, n, "x")
		}
		past := time.Now().Add(-72 * time.Hour)
		if err := os.Chtimes(h.at(old), past, past); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(t.Context(), "file", []byte("x"), WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, n := range keep {
			h.want(t, n, "x")
		}
		for _, n := range append(drop, old) {
			if _, err := os.Lstat(h.at(n)); err == nil {
				t.Errorf("%s is left", n)
			}
		}
	})
}

// deadPID is the number of a process that is gone.
func (h *host) deadPID(t testing.TB) int {
	t.Helper()
	p, err := proc.Start(t.Context(), proc.Spec{Args: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	return p.Pid()
}

// A lock that somebody holds is waited for, not broken, and one whose owner is gone
// is taken. What is no file is nobody's lock, and stays.
func TestLocks(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		if h.lacksSHA256() {
			// Only a conditional write takes the lock.
			t.Skip("the host has no SHA-256")
		}
		f := h.fs()
		name, _ := os.Hostname()
		boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
		first, _, _ := strings.Cut(string(boot), "-")
		write := func() error {
			h.put(t, "file", "old")
			_, err := f.Write(t.Context(), "file", []byte("new"), WriteOptions{IfMatch: sumOf("old"), LockWait: 200 * time.Millisecond})
			return err
		}
		h.put(t, ".bivy-lock", fmt.Sprintf("%d-aa-%s:%s\n", os.Getpid(), name, first))
		wantKind(t, write(), Busy)
		h.put(t, ".bivy-lock", "")
		wantKind(t, write(), Busy)
		h.put(t, ".bivy-lock", fmt.Sprintf("%d-aa-%s:%s\n", h.deadPID(t), name, first))
		if err := write(); err != nil {
			t.Error(err)
		}
		h.wantNoLitter(t)
		for _, make := range []func(string) error{
			func(p string) error { return os.Mkdir(p, 0o755) },
			func(p string) error { return syscall.Mkfifo(p, 0o644) },
			func(p string) error { return os.Symlink("elsewhere", p) },
		} {
			if err := make(h.at(".bivy-lock")); err != nil {
				t.Fatal(err)
			}
			wantKind(t, write(), Busy)
			if _, err := os.Lstat(h.at(".bivy-lock")); err != nil {
				t.Error(err)
			}
			if err := os.Remove(h.at(".bivy-lock")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Lstat(h.at("elsewhere")); err == nil {
			t.Error("the lock was made where a link led")
		}
		h.want(t, "file", "old")
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

// A full disk is told by the words of whichever tool meets it.
func TestNoSpace(t *testing.T) {
	h := dashHost(t)
	bin := t.TempDir()
	script(t, bin, "dd", `cat >/dev/null; echo "dd: error writing: No space left on device" >&2; exit 1`)
	h.path = bin + ":" + h.path
	h.put(t, "file", "old")
	_, err := h.fs().Write(t.Context(), "file", []byte("new"), WriteOptions{})
	wantKind(t, err, NoSpace)
	script(t, bin, "dd", "exit 1")
	script(t, bin, "cat", `echo "cat: write error: Disk quota exceeded" >&2; exit 1`)
	_, err = h.fs().Write(t.Context(), "file", []byte("new"), WriteOptions{})
	wantKind(t, err, NoSpace)
	h.want(t, "file", "old")
	h.wantNoLitter(t)
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

// Names and contents of any bytes come back as they were.
func TestAnyBytes(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		rounds := 4
		if testing.Short() {
			rounds = 1
		}
		seed := rand.Uint64()                    //nolint:gosec // a test
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
		for range rounds {
			names := make([]string, 0, 8)
			for range 8 {
				name := randomName(random)
				content := make([]byte, random.IntN(3000))
				for i := range content {
					content[i] = byte(random.IntN(256)) //nolint:gosec // it fits
				}
				if _, err := f.Write(t.Context(), "./"+name, content, WriteOptions{NoSync: true}); err != nil {
					t.Fatalf("seed %d: write %q: %v", seed, name, err)
				}
				c, err := f.Read(t.Context(), "./"+name, ReadOptions{})
				if err != nil || string(c.Data) != string(content) {
					t.Fatalf("seed %d: read %q: %v", seed, name, err)
				}
				h.want(t, name, string(content))
				names = append(names, "./"+name)
			}
			list, err := f.Stat(t.Context(), names, StatOptions{})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, s := range list {
				if s.Err != nil || s.Path != names[i] || s.Type != Regular {
					t.Errorf("seed %d: %q: %+v", seed, names[i], s)
				}
			}
		}
	})
}

// randomName is a name of up to 40 bytes: any, or those that are hard.
func randomName(random *rand.Rand) string {
	const hard = "\n\n'\"\\$`*?[]{}~-#=! \t\x01\x7f\x80\x83\xff;&|<>()%"
	for {
		name := make([]byte, 1+random.IntN(40))
		for i := range name {
			if random.IntN(2) == 0 {
				name[i] = hard[random.IntN(len(hard))]
			} else {
				name[i] = byte(1 + random.IntN(255)) //nolint:gosec // it fits
			}
			if name[i] == '/' {
				name[i] = '\n'
			}
		}
		if s := string(name); s != "." && s != ".." {
			return s
		}
	}
}
