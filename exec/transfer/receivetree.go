package transfer

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"bivy/exec/file"
)

const (
	// stagedTree is the tree's name in its stage.
	stagedTree = "tree"
	// maxFill bounds what follows the end of an archive, in bytes: tar fills a
	// block up.
	maxFill = 1 << 20
	// endOfArchive is how many zero bytes end an archive at least.
	endOfArchive = 1024
)

// tree receives a directory.
func (r *receiving) tree(ctx context.Context) (Result, error) {
	to, err := treeTarget(r.local, r.name)
	if err != nil {
		return Result{}, err
	}
	s, err := newStage(to.dir, true)
	if err != nil {
		return Result{}, err
	}
	defer s.drop()
	if err := s.root.Mkdir(s.name+"/"+stagedTree, 0o700); err != nil {
		return Result{}, cannotWrite(s.dir, err)
	}
	root, err := s.root.OpenRoot(s.name + "/" + stagedTree)
	if err != nil {
		return Result{}, cannotWrite(s.dir, err)
	}
	defer root.Close() //nolint:errcheck // nothing is written by it
	u := &unpacker{root: root, umask: umask(), maxEntries: r.MaxFiles, maxBytes: r.MaxBytes, skipped: r.skip}
	u.tell = func() { r.tell(Progress{Bytes: u.bytes, Total: -1, Files: u.files}) }
	how, err := r.unpack(ctx, u)
	if err != nil {
		return Result{}, err
	}
	if to.old != nil {
		err = merge(s.root, s.name+"/"+stagedTree, ".", to.dir)
	} else {
		if err = s.root.Chmod(s.name+"/"+stagedTree, r.info.Mode.Perm()&^u.umask|0o700); err == nil {
			err = s.root.Rename(s.name+"/"+stagedTree, to.name)
		}
		if err != nil {
			err = cannotWrite(to.path(), err)
		}
	}
	if err == nil {
		err = syncDir(s.root)
	}
	return Result{Way: ByTar, Path: to.path(), Bytes: u.bytes, Files: u.files, Checked: how, Skipped: u.left}, err
}

func (r *receiving) skip(name, why string) {
	if r.Skipped != nil {
		r.Skipped(filepath.Join(r.path, name), why)
	}
}

// unpack has the host send the archive, and takes it.
func (r *receiving) unpack(ctx context.Context, u *unpacker) (how string, err error) {
	read, write := io.Pipe()
	r.dialog.answers.expect(write)
	sum, done := newSums(), make(chan error, 1)
	if r.digest == byCksum {
		sum.crc = newCRC()
	}
	go func() {
		err := r.take(ctx, u, io.TeeReader(read, sum))
		_ = read.CloseWithError(err) // nil is no error: who writes finds nobody
		done <- err
	}()
	r.ask("send")
	known, err := r.dialog.wait(ctx, "sum")
	if err != nil {
		_ = write.CloseWithError(err)
	} else {
		_ = write.Close()
	}
	if failed := <-done; failed != nil && !errors.Is(failed, err) {
		return "", failed
	}
	if err != nil {
		return "", err
	}
	if known["sum"] == "" {
		return byLength, nil
	}
	how, v := sum.compare(known["sum"])
	switch v {
	case same:
		return how, nil
	case nonsense:
		return "", r.odd("get", "it does not say what the hash of the archive is")
	default:
		return "", r.failed("get", r.path, file.Incomplete, "")
	}
}

// take unpacks an archive, and what fills its last block up.
func (r *receiving) take(ctx context.Context, u *unpacker, from io.Reader) error {
	end := &tail{r: from}
	err := u.unpack(ctx, end)
	var entry *entryError
	switch {
	case errors.As(err, &entry):
		return &ArchiveError{Host: r.host(), Path: r.path, Entry: entry.name, Why: entry.why}
	case errors.Is(err, errTooMany):
		return &LimitError{Host: r.host(), Path: r.path, Limit: r.MaxFiles, What: "entries"}
	case errors.Is(err, errTooMuch):
		return &LimitError{Host: r.host(), Path: r.path, Limit: r.MaxBytes, What: "bytes"}
	case err != nil:
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(end, maxFill))
	switch {
	case err != nil:
		return err
	case n == maxFill:
		return &ArchiveError{Host: r.host(), Path: r.path, Why: "its archive does not end"}
	case end.zeros < endOfArchive:
		return &ArchiveError{Host: r.host(), Path: r.path, Why: "its archive ends before its end"}
	}
	return nil
}

// tail counts the zero bytes at the end of what was read.
type tail struct {
	r     io.Reader
	zeros int
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	run := 0
	for run < n && run < endOfArchive && p[n-1-run] == 0 {
		run++
	}
	if run == n {
		run += t.zeros
	}
	t.zeros = run
	return n, err
}
