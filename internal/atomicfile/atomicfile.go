// Package atomicfile puts files and private directories on the disk in the
// only two ways that bivy allows itself: a file is wholly old or wholly new,
// and a directory that must be private is private or an error.
package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// tempPattern names temporary files. It does not contain the file's own name,
// which may be as long as the file system allows, and begins with a dot, so
// that what a crash leaves behind is not taken for an entry of the directory.
const tempPattern = ".bivy-tmp-*"

// Write writes data to path so that a reader, or a crash at any point, sees
// the old content or the new. The data goes to a temporary file in the same
// directory, which is synced, renamed over path, and made durable by a sync
// of the directory. On an error the temporary file is gone; a crash may leave
// one, called .bivy-tmp-*.
//
// The new file has exactly the permission bits of perm (umask does not apply)
// and the owner of this process, whatever the old one had. A symlink at path
// is replaced, not followed. The error wraps that of the system, so that
// errors.Is finds fs.ErrNotExist where the directory is missing.
func Write(path string, data []byte, perm os.FileMode) error {
	if err := write(path, data, perm); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

func write(path string, data []byte, perm os.FileMode) (err error) {
	if path == "" {
		return syscall.ENOENT
	}
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return err
	}
	if err := fill(temp, data, perm); err != nil {
		_ = os.Remove(temp.Name())
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		_ = os.Remove(temp.Name())
		return err
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("the new content is in place, but may not survive a power cut: %w", err)
	}
	return nil
}

// fill gives the file its mode before its content, so that no byte is ever
// readable for more users than it should be, and closes it.
func fill(f *os.File, data []byte, perm os.FileMode) error {
	err := f.Chmod(perm.Perm())
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // opened for reading only
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		// fsync(2): this file system has no sync for directories (some
		// network and FUSE ones); there is nothing more that we could do.
		return nil
	}
	return err
}
