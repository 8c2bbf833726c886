package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func TestPrivateDirMakes(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "a", "b", "c")
	// The second time it is there already.
	for range 2 {
		if err := PrivateDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir), filepath.Join(base, "a")} {
		if got := mode(t, d); got != fs.ModeDir|0o700 {
			t.Errorf("%s has mode %v, want 0700", d, got)
		}
	}
}

func TestPrivateDirAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := PrivateDir(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestPrivateDirRefuses(t *testing.T) {
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(at("good"), 0o700))
	must(os.Symlink("good", at("link")))
	must(os.Symlink("nowhere", at("dangling")))
	must(os.WriteFile(at("file"), nil, 0o600))
	for name, perm := range map[string]os.FileMode{"0755": 0o755, "0750": 0o750, "0701": 0o701, "0720": 0o720, "0704": 0o704} {
		must(os.Mkdir(at(name), 0o700))
		must(os.Chmod(at(name), perm))
	}
	tests := []struct{ dir, why string }{
		{at("link"), "symlink"},
		{at("link") + "/", "symlink"},
		{at("link") + "/.", "symlink"},
		{at("dangling"), "symlink"},
		{at("file"), "not a directory"},
		{at("file") + "/sub", "cannot make"},
		{at("0755"), "0755"},
		{at("0750"), "0750"},
		{at("0701"), "0701"},
		{at("0720"), "0720"},
		{at("0704"), "0704"},
		{"", "empty"},
	}
	for _, tt := range tests {
		err := PrivateDir(tt.dir)
		var dirErr *DirError
		if !errors.As(err, &dirErr) {
			t.Errorf("PrivateDir(%q) = %v, want a *DirError", tt.dir, err)
			continue
		}
		if dirErr.Dir != tt.dir || !strings.Contains(dirErr.Why, tt.why) {
			t.Errorf("PrivateDir(%q) = %v, want a reason with %q", tt.dir, err, tt.why)
		}
	}
	if got := mode(t, at("0755")); got != fs.ModeDir|0o755 {
		t.Errorf("the mode of a directory that we did not make became %v", got)
	}
	if _, err := os.Lstat(at("nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the target of a symlink was made: %v", err)
	}
}

func TestPrivateDirBehindSymlink(t *testing.T) {
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if err := PrivateDir(filepath.Join(base, "link", "sub")); err != nil {
		t.Errorf("a symlink among the parents: %v", err)
	}
}

func TestPrivateDirOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		// Only root can give a directory to another user; the decision
		// itself is tested for everybody below.
		t.Skip("needs root")
	}
	dir := filepath.Join(t.TempDir(), "theirs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Fatal(err)
	}
	var dirErr *DirError
	if err := PrivateDir(dir); !errors.As(err, &dirErr) || !strings.Contains(dirErr.Why, "user 12345") {
		t.Errorf("PrivateDir = %v, want a *DirError that names the owner", err)
	}
}

func TestNotPrivateOwner(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if why := notPrivate(info, os.Geteuid()); why != "" {
		t.Errorf("our own directory: %s", why)
	}
	if why := notPrivate(info, os.Geteuid()+1); !strings.Contains(why, "belongs to user") {
		t.Errorf("for another user: %q, want a word about the owner", why)
	}
}

func TestPrivateDirUnwraps(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may write everywhere, so the system refuses nothing.
		t.Skip("needs a user other than root")
	}
	parent := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(parent, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := PrivateDir(filepath.Join(parent, "d")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("PrivateDir = %v, want fs.ErrPermission", err)
	}
}
