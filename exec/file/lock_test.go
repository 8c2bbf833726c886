package file

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
)

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
