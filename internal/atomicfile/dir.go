package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// DirError says why a directory cannot be trusted to be private.
type DirError struct {
	// Dir is the directory as it was asked for.
	Dir string
	// Why is what was seen and what to do, as the end of a sentence.
	Why string
	// Err is the system's error, if one was the reason.
	Err error
}

func (e *DirError) Error() string {
	msg := fmt.Sprintf("private directory %q: %s", e.Dir, e.Why)
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

// Unwrap returns the system's error or nil.
func (e *DirError) Unwrap() error { return e.Err }

// PrivateDir makes dir with mode 0700, and parents that are missing likewise.
// It returns a *DirError unless dir is then, by lstat, a directory that the
// effective user owns, not a symlink, and without any permission for group
// and others: mode 0700 or less. It never changes a mode or an owner.
//
// Parents are not checked, and symlinks among them are followed: /tmp is as
// good a parent as HOME, since in a sticky directory nobody else can replace
// what we own.
func PrivateDir(dir string) error {
	if dir == "" {
		return &DirError{Dir: dir, Why: "the name is empty"}
	}
	// A slash behind the name of a symlink would make lstat follow it.
	path := filepath.Clean(dir)
	if err := makeDir(path); err != nil {
		return &DirError{Dir: dir, Why: "cannot make it", Err: err}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return &DirError{Dir: dir, Why: "cannot look at it", Err: err}
	}
	if why := notPrivate(info, os.Geteuid()); why != "" {
		return &DirError{Dir: dir, Why: why}
	}
	return nil
}

// makeDir leaves alone whatever has that name already; the check comes after.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.Mkdir(path, 0o700)
		}
	}
	// Another process of ours may make it at the same time.
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// notPrivate says what is wrong with the directory, or nothing.
func notPrivate(info fs.FileInfo, uid int) string {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "it is a symlink, which is not followed; remove it or name its target"
	case !info.IsDir():
		return "it is not a directory; move it away"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "its owner cannot be found out"
	}
	if int64(stat.Uid) != int64(uid) {
		return fmt.Sprintf("it belongs to user %d and we are user %d; move it away or use another one", stat.Uid, uid)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Sprintf("its mode is %#o, open to other users; look at what is in it, then chmod 700", perm)
	}
	return ""
}
