package mux

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bivy/internal/atomicfile"
)

func shortDir(t *testing.T) string {
	t.Helper()
	// Below t.TempDir a directory would be too long for sockets.
	dir, err := os.MkdirTemp("/tmp", "mux") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestOpenDirMakesAPrivateDirectory(t *testing.T) {
	want := filepath.Join(shortDir(t), "a", "m")
	for range 2 {
		d, err := OpenDir(want)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(want)
		if err != nil || d.Path() != want || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("the directory is %s, %v, %v; want %s of mode 0700", d.Path(), info, err, want)
		}
	}
}

func TestOpenDirFailsClosed(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"open to a group": func(path string) error { return mkdirMode(path, 0o710) },
		"open to others":  func(path string) error { return mkdirMode(path, 0o701) },
		"a file":          func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a symlink": func(path string) error {
			return errors.Join(os.Mkdir(path+".d", 0o700), os.Symlink(path+".d", path))
		},
		"a symlink to nothing": func(path string) error { return os.Symlink(path+".none", path) },
		"below a file": func(path string) error {
			return errors.Join(os.Remove(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(shortDir(t), "m")
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			refused(t, path, path)
			if _, err := Open(Config{Sockets: path}); err == nil {
				t.Error("Open takes what OpenDir refuses")
			}
		})
	}
}

// refused checks that OpenDir refuses wanted because of the directory dir.
func refused(t *testing.T, wanted, dir string) {
	t.Helper()
	_, err := OpenDir(wanted)
	var why *atomicfile.DirError
	if !errors.As(err, &why) || why.Dir != dir {
		t.Errorf("OpenDir gives %v, want a refusal of %s", err, dir)
	}
}

func mkdirMode(path string, mode os.FileMode) error {
	return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode))
}

func TestOpenDirOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		// Only root can give a directory away; for others / is root's.
		refused(t, "/", "/")
		return
	}
	path := filepath.Join(shortDir(t), "m")
	if err := errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 1, 1)); err != nil {
		t.Fatal(err)
	}
	refused(t, path, path)
}

func TestOpenDirTooLong(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	d, err := OpenDir(long)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d.Path()) })
	if !strings.HasPrefix(d.Path(), "/tmp/bivy-"+strconv.Itoa(os.Getuid())+"-") {
		t.Errorf("the directory is %s, want one below /tmp", d.Path())
	}
	if _, err := os.Lstat(long); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory that is not used was made: %v", err)
	}
	again, err := OpenDir(long)
	if err != nil || again != d {
		t.Errorf("the second time it is %s, %v; want %s", again.Path(), err, d.Path())
	}
	another, err := OpenDir(long + "x")
	if err != nil || another == d {
		t.Errorf("another wanted directory gives %s, %v; want one of its own", another.Path(), err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(another.Path()) })
	// In /tmp anybody may have been there first.
	if err := errors.Join(os.Remove(d.Path()), os.Symlink(t.TempDir(), d.Path())); err != nil {
		t.Fatal(err)
	}
	refused(t, long, d.Path())
}
