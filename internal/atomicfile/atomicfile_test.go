package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, step := range []struct {
		data string
		perm os.FileMode
	}{{"one", 0o600}, {"longer than one", 0o644}, {"", 0o666}, {"four", 0o400}, {"five", 0o600}} {
		if err := Write(path, []byte(step.data), step.perm); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != step.perm {
			t.Errorf("mode %v, want %v", info.Mode(), step.perm)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != step.data {
			t.Errorf("content %q, %v, want %q", got, err, step.data)
		}
	}
	if diff := cmp.Diff([]string{"f"}, names(t, dir)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

func TestWriteLongName(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	if err := Write(path, []byte("x"), 0o600); err != nil {
		t.Errorf("a name as long as the system allows: %v", err)
	}
}

// The old file stays as it is for those who have it open, and for the link
// that led to it.
func TestWriteReplacesSymlink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(target); string(got) != "old" {
		t.Errorf("the target holds %q, want its old content", got)
	}
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link is now %v, %v, want a regular file", info.Mode(), err)
	}
}

func TestWriteErrors(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "no", "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v, want fs.ErrNotExist", err)
	}
	if err := Write("", nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty path: %v, want fs.ErrNotExist", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "d", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := Write(filepath.Join(dir, "d"), []byte("x"), 0o600)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "d")) {
		t.Errorf("over a directory: %v, want an error that names it", err)
	}
	if diff := cmp.Diff([]string{"d"}, names(t, dir)); diff != "" {
		t.Errorf("temporary file left (-want +got):\n%s", diff)
	}
}

// Where the data cannot be written the old content stays. The limit on the
// size of files stands for a full disk; Go ignores SIGXFSZ.
func TestWriteNoSpace(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	small := syscall.Rlimit{Cur: 1 << 20, Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	err := Write(path, make([]byte, 2<<20), 0o600)
	if restore := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); restore != nil {
		t.Fatal(restore)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("error %v, want EFBIG", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("content %.20q, want the old one", got)
	}
	if diff := cmp.Diff([]string{"f"}, names(t, filepath.Dir(path))); diff != "" {
		t.Errorf("temporary file left (-want +got):\n%s", diff)
	}
}

// Readers and several writers at once: every read gives one whole content.
func TestWriteNeverTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	content := func(c byte) []byte { return bytes.Repeat([]byte{c}, 100_000) }
	if err := Write(path, content('0'), 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, c := range []byte("abc") {
		writers.Go(func() {
			for range 20 {
				if err := Write(path, content(c), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		got, err := os.ReadFile(path)
		if err != nil || len(got) != 100_000 || !bytes.Equal(got, content(got[0])) {
			t.Errorf("torn: %d bytes, %v", len(got), err)
			<-done
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
