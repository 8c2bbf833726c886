package transfer

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// packer writes files of ours as a tar archive. Owners and times are not in it,
// as with cp: what arrives is new there.
type packer struct {
	to    *tar.Writer
	umask fs.FileMode
	now   time.Time
	// skipped is told what has no place in an archive, tell what was done.
	skipped func(path, why string)
	tell    func()

	bytes, files, left int64
}

// pack writes the sources: what they are called is below the top of the archive,
// and a source without a name is that top.
func pack(ctx context.Context, w io.Writer, sources []source, p *packer) error {
	buffered := bufio.NewWriterSize(w, chunk)
	p.to = tar.NewWriter(buffered)
	for _, s := range sources {
		name := "./" + s.name
		if err := p.entry(ctx, s.path, name, s.info); err != nil {
			return err
		}
	}
	if err := p.to.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

func (p *packer) entry(ctx context.Context, path, name string, info fs.FileInfo) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return p.dir(ctx, path, name, info)
	case mode.IsRegular():
		return p.file(ctx, path, name)
	case mode&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return cannotSend(path, err)
		}
		p.files++
		return p.header(path, &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777})
	}
	p.left++
	p.skipped(path, "it is neither a file nor a directory")
	return nil
}

// dir writes a directory and what is in it. Its owner may always change it: it
// is filled, and perhaps renamed, before its mode would say otherwise.
func (p *packer) dir(ctx context.Context, path, name string, info fs.FileInfo) error {
	if name != "./" {
		mode := info.Mode().Perm()&^p.umask | 0o700
		if err := p.header(path, &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(mode)}); err != nil {
			return err
		}
		name += "/"
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return cannotSend(path, err)
	}
	for _, e := range list {
		at := filepath.Join(path, e.Name())
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return &ChangedError{Path: at}
		}
		if err != nil {
			return cannotSend(at, err)
		}
		if err := p.entry(ctx, at, name+e.Name(), info); err != nil {
			return err
		}
	}
	return nil
}

// file writes one file: so many bytes as it had when it was opened, and no file
// that changes meanwhile.
func (p *packer) file(ctx context.Context, path, name string) error {
	// What became a FIFO just now must not stop us.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return cannotSend(path, err)
	}
	defer f.Close() //nolint:errcheck // it is only read
	before, err := f.Stat()
	if err != nil || !before.Mode().IsRegular() {
		return &ChangedError{Path: path}
	}
	mode := int64(before.Mode().Perm() &^ p.umask)
	if err := p.header(path, &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: before.Size(), Mode: mode}); err != nil {
		return err
	}
	p.files++
	n, err := io.Copy(struct{ io.Writer }{p}, &upTo{ctx, io.LimitReader(f, before.Size())})
	if err != nil {
		return readOrWrite(path, err)
	}
	if after, err := f.Stat(); err != nil || n != before.Size() || after.Size() != n || !after.ModTime().Equal(before.ModTime()) {
		return &ChangedError{Path: path}
	}
	return nil
}

// Write passes on the content of a file.
func (p *packer) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.bytes += int64(n)
	p.tell()
	return n, err
}

func (p *packer) header(path string, h *tar.Header) error {
	h.ModTime, h.Format = p.now, tar.FormatGNU // which takes names of any bytes
	if err := p.to.WriteHeader(h); err != nil {
		return readOrWrite(path, err)
	}
	return nil
}

// readOrWrite says of an error of a copy which side it is about.
func readOrWrite(path string, err error) error {
	var pipe *pipeError
	var of *fs.PathError
	if errors.As(err, &pipe) || !errors.As(err, &of) {
		return err
	}
	return cannotSend(path, err)
}

// upTo is a reader that ends with a context.
type upTo struct {
	ctx context.Context //nolint:containedctx // it is the reader's only use
	r   io.Reader
}

func (u *upTo) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

// measure finds out how much there is to send.
func measure(ctx context.Context, sources []source) (total int64) {
	for _, s := range sources {
		_ = filepath.WalkDir(s.path, func(_ string, e fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return fs.SkipAll
			}
			if err == nil && e.Type().IsRegular() {
				if info, err := e.Info(); err == nil {
					total += info.Size()
				}
			}
			return nil
		})
	}
	return total
}
