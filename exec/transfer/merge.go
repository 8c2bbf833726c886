package transfer

import (
	"errors"
	"os"
	"path/filepath"
)

// merge moves a tree that is staged below a directory into it. Nothing is begun
// that cannot be done. What has no counterpart is moved as a whole.
func merge(root *os.Root, from, to, shown string) error {
	if err := compare(root, from, to, shown); err != nil {
		return err
	}
	return move(root, from, to, shown)
}

// compare finds what cannot take the place of what is there.
func compare(root *os.Root, from, to, shown string) error {
	return each(root, from, func(name string, isDir bool) error {
		at, path := filepath.Join(to, name), filepath.Join(shown, name)
		have, err := root.Lstat(at)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil
		case err != nil:
			return cannotWrite(path, err)
		case isDir && have.IsDir():
			return compare(root, filepath.Join(from, name), at, path)
		case isDir:
			return &TargetError{Path: path, Why: "it is not a directory"}
		case have.IsDir():
			return &TargetError{Path: path, Why: "it is a directory"}
		case !have.Mode().IsRegular() && have.Mode()&os.ModeSymlink == 0:
			return &TargetError{Path: path, Why: "it is neither a file nor a directory"}
		}
		return nil
	})
}

func move(root *os.Root, from, to, shown string) error {
	return each(root, from, func(name string, isDir bool) error {
		at, path := filepath.Join(to, name), filepath.Join(shown, name)
		if isDir {
			if _, err := root.Lstat(at); err == nil {
				return move(root, filepath.Join(from, name), at, path)
			}
		}
		if err := root.Rename(filepath.Join(from, name), at); err != nil {
			return cannotWrite(path, err)
		}
		return nil
	})
}

// each calls a function for what is in a directory.
func each(root *os.Root, dir string, f func(name string, isDir bool) error) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	list, err := d.ReadDir(-1)
	_ = d.Close()
	for _, e := range list {
		if err == nil {
			err = f(e.Name(), e.IsDir())
		}
	}
	return err
}
