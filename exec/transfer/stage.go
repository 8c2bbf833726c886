package transfer

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// stagePrefix begins the names of what is staged here. Whoever stages something
// has it locked, so that what a killed process has left is known by its lock
// being free.
const stagePrefix = ".bivy-tmp-get-"

// stage is a file or a directory of ours that is not where it shall be yet.
type stage struct {
	root *os.Root // the directory that it is in
	dir  string   // its path
	name string
	file *os.File // holds the lock; for a file it is open for writing, too
}

// newStage makes a file or a directory that only we can read.
func newStage(dir string, asDir bool) (*stage, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, cannotWrite(dir, err)
	}
	sweep(root)
	for {
		s := &stage{root: root, dir: dir, name: stagePrefix + unguessable()}
		if err := s.make(asDir); err != nil {
			_ = root.Close()
			return nil, cannotWrite(dir, err)
		}
		if s.ours() {
			return s, nil
		}
		_ = s.file.Close() // somebody has just swept it away
	}
}

func unguessable() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return hex.EncodeToString(b[:])
}

func (s *stage) make(asDir bool) (err error) {
	if asDir {
		if err := s.root.Mkdir(s.name, 0o700); err != nil {
			return err
		}
		s.file, err = s.root.Open(s.name)
		return err
	}
	s.file, err = s.root.OpenFile(s.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return err
}

// ours locks what was made, and reports whether it is still there.
func (s *stage) ours() bool {
	if err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		// A file system without locks has nobody who sweeps.
		return !errors.Is(err, unix.EWOULDBLOCK)
	}
	return s.there()
}

// there reports whether what was made is what has its name now.
func (s *stage) there() bool {
	made, err := s.file.Stat()
	if err != nil {
		return false
	}
	now, err := s.root.Lstat(s.name)
	return err == nil && os.SameFile(made, now)
}

func (s *stage) path() string { return filepath.Join(s.dir, s.name) }

// drop removes what is still staged.
func (s *stage) drop() {
	_ = s.root.RemoveAll(s.name)
	_ = s.file.Close()
	_ = s.root.Close()
}

// sweep removes what killed processes of this user have left in a directory.
func sweep(root *os.Root) {
	d, err := root.Open(".")
	if err != nil {
		return
	}
	defer d.Close() //nolint:errcheck // it is only read
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			if strings.HasPrefix(name, stagePrefix) {
				sweepOne(root, name)
			}
		}
		if err != nil || len(names) == 0 {
			return
		}
	}
}

func sweepOne(root *os.Root, name string) {
	info, err := root.Lstat(name)
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int64(st.Uid) != int64(os.Geteuid()) {
		return
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // it ends the lock
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = root.RemoveAll(name)
	}
}

// target is where something goes here.
type target struct {
	// dir is a directory that is there, name what it gets there; a tree that
	// goes into dir itself has none.
	dir, name string
	old       fs.FileInfo // what is there and will be replaced; may be nil
}

func (t target) path() string { return filepath.Join(t.dir, t.name) }

// maxLinks is how many symbolic links may follow each other, as for the kernel.
const maxLinks = 40

// fileTarget finds where a file goes that is to be called local, or name in the
// directory local. Links are followed: what they lead to is replaced.
func fileTarget(local, name string) (target, error) {
	path, err := into(local, name)
	if err != nil {
		return target{}, err
	}
	for hops := 0; ; hops++ {
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return beside(path, nil)
		case err != nil:
			return target{}, cannotWrite(path, err)
		case info.Mode().IsRegular():
			return beside(path, info)
		case info.IsDir():
			return target{}, &TargetError{Path: path, Why: "it is a directory"}
		case info.Mode()&fs.ModeSymlink == 0:
			return target{}, &TargetError{Path: path, Why: "it is neither a file nor a directory"}
		case hops == maxLinks:
			return target{}, &TargetError{Path: path, Why: "its symbolic links go round in a circle"}
		}
		to, err := os.Readlink(path)
		if err != nil {
			return target{}, cannotWrite(path, err)
		}
		if !filepath.IsAbs(to) {
			to = filepath.Dir(path) + "/" + to
		}
		path = to
	}
}

// treeTarget finds where a directory goes: beside a name that is free, or into a
// directory of that name.
func treeTarget(local, name string) (target, error) {
	path, err := into(local, name)
	if err != nil {
		return target{}, err
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return target{dir: path, old: info}, nil
	case err == nil:
		return target{}, &TargetError{Path: path, Why: "it is not a directory"}
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return target{}, &TargetError{Path: path, Why: "it is a link that leads nowhere"}
	}
	return beside(strings.TrimRight(path, "/"), nil)
}

// into returns the path for something that goes to local: into a directory that
// is there, else local itself.
func into(local, name string) (string, error) {
	info, err := os.Stat(local)
	switch {
	case err == nil && info.IsDir():
		return filepath.Join(local, name), nil
	case strings.HasSuffix(local, "/") || nameOf(local) == "":
		if err == nil {
			err = syscall.ENOTDIR
		}
		return "", cannotWrite(local, err)
	}
	return local, nil
}

func beside(path string, old fs.FileInfo) (target, error) {
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if err == nil {
			err = syscall.ENOTDIR
		}
		return target{}, cannotWrite(dir, err)
	}
	return target{dir: dir, name: filepath.Base(path), old: old}, nil
}

func cannotWrite(path string, err error) error {
	e := &TargetError{Path: path, Missing: errors.Is(err, fs.ErrNotExist), Err: err, Why: err.Error()}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		e.Why = errno.Error()
	}
	return e
}

// umask is that of this process. Who makes a file meanwhile makes one that nobody
// else may read.
func umask() fs.FileMode {
	old := unix.Umask(0o077)
	unix.Umask(old)
	return fs.FileMode(old & 0o777)
}

// syncDir makes the names in a directory durable, where it can be done.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // it is only read
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return fmt.Errorf("the new content is in place, but may not survive a power cut: %w", err)
	}
	return nil
}
