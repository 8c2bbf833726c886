package transfer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

const (
	// maxPath and maxName bound the path of an entry and one part of it, in bytes,
	// as Linux does.
	maxPath = 4096
	maxName = 255
	// maxLinkText bounds what is kept of links until the end, in bytes.
	maxLinkText = 64 << 20
)

// unpacker makes files of a tar archive that nobody vouches for, in a directory
// that is empty and ours alone.
//
// Symbolic links are made when all else is there, so that nothing is written
// through one. A link is kept if it cannot lead out of the tree, wherever the
// other links lead: a relative one, which goes up in front only, and not above
// the top.
type unpacker struct {
	root  *os.Root
	umask fs.FileMode
	// maxEntries and maxBytes bound the whole.
	maxEntries, maxBytes int64
	skipped              func(name, why string)
	tell                 func()

	entries, files, bytes, left int64
	links                       []link
	linkText                    int64
}

// entryError says what is wrong with an entry.
type entryError struct{ name, why string }

func (e *entryError) Error() string { return e.name + ": " + e.why }

// errTooMany and errTooMuch are the limits.
var (
	errTooMany = errors.New("too many entries")
	errTooMuch = errors.New("too many bytes")
)

// unpack takes the archive to its end.
func (u *unpacker) unpack(ctx context.Context, r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == io.EOF:
			return u.link()
		case err != nil:
			return damaged("", err)
		}
		if u.entries++; u.entries > u.maxEntries {
			return errTooMany
		}
		if err := u.entry(ctx, archive, h); err != nil {
			return err
		}
		u.tell()
	}
}

// damaged tells a broken archive from a broken way to here.
func damaged(name string, err error) error {
	switch {
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong), errors.Is(err, tar.ErrInsecurePath):
		return &entryError{name, "it is no tar archive, or a damaged one"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &entryError{name, "the archive ends in the middle"}
	}
	return err
}

func (u *unpacker) entry(ctx context.Context, content io.Reader, h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, why := cleanName(h.Name)
	if why != "" {
		return &entryError{h.Name, why}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.dir(name, fs.FileMode(h.Mode)) //nolint:gosec // all but the permissions is cut off
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return u.file(ctx, name, content, h)
	case tar.TypeSymlink:
		return u.keep(name, h.Linkname)
	case tar.TypeLink:
		return u.hardLink(name, h.Linkname)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		u.skip(name, "it is neither a file nor a directory")
		return nil
	}
	return &entryError{h.Name, fmt.Sprintf("it is of a kind %q that nobody knows", h.Typeflag)}
}

func (u *unpacker) skip(name, why string) {
	u.left++
	u.skipped(name, why)
}

// cleanName returns the path of an entry below the top, which is a point.
func cleanName(name string) (clean, why string) {
	switch {
	case len(name) > maxPath:
		return "", "its name is too long"
	case strings.HasPrefix(name, "/"):
		return "", "its name is absolute"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return "", "its name leads out of the tree"
		case len(part) > maxName:
			return "", "a part of its name is too long"
		case strings.IndexByte(part, 0) >= 0:
			return "", "its name holds a NUL"
		}
	}
	return path.Clean("./" + name), ""
}

// dir makes a directory. Its owner may always change it, as in pack.
func (u *unpacker) dir(name string, mode fs.FileMode) error {
	mode = mode.Perm()&^u.umask | 0o700
	if name == "." {
		return nil
	}
	err := u.root.Mkdir(name, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err = u.parents(name); err == nil {
			err = u.root.Mkdir(name, mode)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
			return u.root.Chmod(name, mode)
		}
		return &entryError{name, "it comes twice, as two things"}
	}
	return u.here(name, err)
}

// parents makes the directories above a name. There are no links yet that they
// could go through.
func (u *unpacker) parents(name string) error {
	return u.here(name, u.root.MkdirAll(path.Dir(name), 0o777&^u.umask|0o700))
}

// here makes an error of one of this machine: what the archive has to do with it
// is only that two of its entries do not go together.
func (u *unpacker) here(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return &entryError{name, "it comes twice"}
	case errors.Is(err, syscall.ENOTDIR):
		return &entryError{name, "it is below something that is no directory"}
	}
	return cannotWrite(name, err)
}

func (u *unpacker) file(ctx context.Context, name string, content io.Reader, h *tar.Header) error {
	if h.Size < 0 || h.Size > u.maxBytes-u.bytes {
		return errTooMuch
	}
	f, err := u.create(name)
	if err != nil {
		return u.here(name, err)
	}
	n, err := io.Copy(struct{ io.Writer }{&counting{u, f}}, &upTo{ctx, content})
	if err == nil && n != h.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = f.Chmod(fs.FileMode(h.Mode).Perm() &^ u.umask) //nolint:gosec // all but the permissions is cut off
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	u.files++
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		return cannotWrite(name, err)
	}
	return damaged(name, err)
}

// create makes a file that was not there.
func (u *unpacker) create(name string) (*os.File, error) {
	const how = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	f, err := u.root.OpenFile(name, how, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := u.parents(name); err != nil {
			return nil, err
		}
		f, err = u.root.OpenFile(name, how, 0o600)
	}
	return f, err
}

// counting counts what is written.
type counting struct {
	u *unpacker
	w io.Writer
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.u.bytes += int64(n)
	c.u.tell()
	return n, err
}
