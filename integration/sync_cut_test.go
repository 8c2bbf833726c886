package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/link"
)

// TestSyncCut ends a sync somewhere, by whatever may end it: afterwards the
// work that only the workspace has is there, the same command again succeeds,
// and nothing is left half-made.
func TestSyncCut(t *testing.T) {
	const rounds = 4
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		between := link.Start(t, w.server.Addr)
		w.server.HostAt(t, "far", between.Addr())
		w.wants(0, "new", "ws", "--host", "far")
		there := w.remote + "/bivy/proj/ws"
		w.wants(0, "exec", "ws", "-c", "echo theirs >work; echo changed >>README")
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
		cuts := map[string]func(b *running){
			"link": func(*running) { between.Cut() },
			"bivy": func(b *running) { _ = b.process.Signal(syscall.SIGKILL) },
			"^C":   func(b *running) { _ = b.process.Signal(syscall.SIGINT) },
			"host": func(*running) { w.killThere(there) },
		}
		for name, cut := range cuts {
			for round := range rounds {
				w.grow(random, 400)
				b := w.start(w.spec("sync", "ws"))
				after := time.Duration(random.IntN(220)) * time.Millisecond
				<-time.After(after)
				cut(b)
				first := b.wait()
				w.eventually("nothing works there any more", func() bool {
					return !exists(there + "/.git/index.lock")
				})
				again := w.bivy("sync", "ws")
				if again.code != 0 {
					t.Fatalf("%s, round %d, after %s: first %v, then %v", name, round, after, first, again)
				}
				w.sameThere(there)
			}
		}
		w.nothingHalfMade()
		if out := w.wants(0, "exec", "ws", "--", "git", "fsck", "--strict", "--no-dangling").stdout; out != "" {
			t.Errorf("git fsck says %q", out)
		}
	})
}

// grow commits changes in n files, some of them new, some gone.
func (w *world) grow(random *rand.Rand, n int) {
	w.tb.Helper()
	for i := range n {
		path := filepath.Join(w.proj, "grown", strconv.Itoa(i))
		if random.IntN(10) == 0 {
			_ = os.Remove(path)
			continue
		}
		w.write(path, fmt.Sprint(random.Uint64(), strings.Repeat(" text", random.IntN(4000))))
	}
	w.git("add", "-A")
	w.git("commit", "-qm", "grown")
}

// killThere kills everything that works in a directory on the host.
func (w *world) killThere(dir string) {
	for _, line := range w.there() {
		pid, _, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(pid)
		if cwd, _ := os.Readlink("/proc/" + pid + "/cwd"); err == nil && cwd == dir {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
	_ = os.Remove(dir + "/.git/index.lock")
}

// sameThere wants the files of the project's last commit there, and the work
// beside them.
func (w *world) sameThere(dir string) {
	w.tb.Helper()
	for _, path := range strings.Split(strings.TrimSuffix(w.git("ls-files", "-z").stdout, "\x00"), "\x00") {
		want := w.read(filepath.Join(w.proj, path))
		if path == "README" {
			want += "changed\n"
		}
		if got := w.read(filepath.Join(dir, path)); got != want {
			w.tb.Fatalf("%s has %d bytes there, want %d", path, len(got), len(want))
		}
	}
	if got := w.read(dir + "/work"); got != "theirs\n" {
		w.tb.Fatalf("the work is %q", got)
	}
	if out := w.wants(0, "exec", "ws", "--", "git", "status", "--porcelain").stdout; out != " M README\n?? work\n" {
		w.tb.Fatalf("git status says %q", out)
	}
}
