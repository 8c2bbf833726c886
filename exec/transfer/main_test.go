package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bivy/exec/mux"
	"bivy/integration/mastertest"
	"bivy/integration/sshdtest"
)

// patience is the deadline of everything that a test waits for.
const patience = 60 * time.Second

func TestMain(m *testing.M) { mastertest.Main(m) }

// world is a real sshd, and a Place on it.
type world struct {
	testing.TB
	*Place
	server *sshdtest.Server
	// far is a directory on the host, near one here.
	far, near string
}

func newWorld(t testing.TB, server *sshdtest.Server) *world {
	t.Helper()
	masters, target := mastertest.Open(t, server, func(c *mux.Config) { c.Spare = true })
	w := &world{TB: t, server: server, far: server.Home + "/far", near: t.TempDir()}
	w.Place = &Place{
		Masters: masters, Root: "far", SCP: []string{"scp"}, Target: target,
	}
	w.must(os.MkdirAll(w.far, 0o755))
	return w
}

func start(t testing.TB, o sshdtest.Options) *world {
	t.Helper()
	return newWorld(t, sshdtest.Start(t, o))
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// write makes a file, and the directories above it.
func (w *world) write(path, content string) {
	w.Helper()
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path, []byte(content), 0o644))
	w.must(os.Chmod(path, 0o644))
}

func (w *world) want(path, content string) {
	w.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		w.Errorf("%q holds %d bytes, %.60q, %v; want %d, %.60q", path, len(got), got, err, len(content), content)
	}
}

func (w *world) wantMode(path string, mode fs.FileMode) {
	w.Helper()
	if info, err := os.Lstat(path); err != nil || info.Mode() != mode {
		w.Errorf("%q has the mode %v, %v; want %v", path, info.Mode(), err, mode)
	}
}

// wantTree checks the paths below a directory: those of directories end in a
// slash, those of links tell where they lead.
func (w *world) wantTree(dir string, want ...string) {
	w.Helper()
	var got []string
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		w.must(err)
		name := strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
		switch {
		case name == "":
			return nil
		case e.IsDir():
			name += "/"
		case e.Type()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			name += " -> " + to
		}
		got = append(got, name)
		return nil
	})
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s does not hold what it should (-want +got):\n%s", dir, diff)
	}
}

// eventually polls a condition until it holds.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if holds() {
			return
		}
	}
	w.Fatalf("waited %s in vain for %s", patience, what)
}

// staged are the names of what is staged in a directory.
func staged(dir string) []string {
	names, _ := filepath.Glob(dir + "/.bivy-*")
	return names
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// noise is a content of n bytes that is not the same twice.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // it hides nothing
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return string(b[:n])
}

// oddNames are names that a shell, scp or tar could take for something else.
var oddNames = []string{
	"it's a", "new\nline", "\xff\xfe", `q"uote`, "end\n", "-rf", "c:olon", "[x]*?", `back\slash`, "$(id)`id`", "~root", " ", "é", "#;&|", strings.Repeat("n", 255),
}

func count(n int64) string { return fmt.Sprint(n) }
