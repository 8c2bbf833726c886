package transfer

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sync/errgroup"

	"bivy/exec/file"
)

// file receives one file.
func (r *receiving) file(ctx context.Context, far string) (Result, error) {
	if r.info.Size > r.MaxBytes {
		return Result{}, &LimitError{Host: r.host(), Path: r.path, Limit: r.MaxBytes, What: "bytes"}
	}
	to, err := fileTarget(r.local, r.name)
	if err != nil {
		return Result{}, err
	}
	s, err := newStage(to.dir, false)
	if err != nil {
		return Result{}, err
	}
	defer s.drop()
	way, how := BySCP, ""
	sum, theirs, err := r.bySCP(ctx, s, far)
	if unusable := (*unusableError)(nil); errors.As(err, &unusable) {
		tellWay(ctx, unusable)
		way = ByStream
		sum, theirs, err = r.byStream(ctx, s)
	}
	if err == nil {
		how, err = r.check(ctx, s, sum, theirs)
	}
	if err == nil {
		err = r.install(s, to)
	}
	if err != nil {
		return Result{}, err
	}
	return Result{Way: way, Path: to.path(), Bytes: sum.n, Files: 1, SHA256: sum.sha256(), Checked: how}, nil
}

// bySCP receives by scp, while both sides hash what is there.
func (r *receiving) bySCP(ctx context.Context, s *stage, far string) (sum *sums, theirs string, err error) {
	if r.info.Size == 0 {
		// Files of /proc have no size and may be long.
		return nil, "", &unusableError{"the size of the file is not known before it is read"}
	}
	all, within := errgroup.WithContext(ctx)
	over := make(chan struct{})
	all.Go(func() error {
		defer close(over)
		return r.copyFrom(within, far, s.path())
	})
	sum = newSums()
	asked := false
	all.Go(func() error {
		return r.watch(within, s, sum, over, func() {
			if !asked { // something comes, so the host's work will not be in vain
				r.ask("sum")
				asked = true
			}
		})
	})
	err = all.Wait()
	if unusable := (*unusableError)(nil); errors.As(err, &unusable) {
		if asked {
			_, _ = r.dialog.wait(ctx, "sum")
		}
		if err := r.full(s); err != nil {
			return nil, "", err
		}
		return nil, "", unusable
	}
	switch {
	case err != nil:
		return nil, "", err
	case sum.n == 0:
		return nil, "", &unusableError{"scp has brought nothing"}
	}
	known, err := r.dialog.wait(ctx, "sum")
	return sum, known["sum"], err
}

// watch hashes what arrives in a staged file, and sees to it that it is no more
// than was said.
func (r *receiving) watch(ctx context.Context, s *stage, sum *sums, over <-chan struct{}, comes func()) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	flushed := int64(0)
	return sumGrowing(ctx, s.file, sum, over, func(n int64) {
		if n-flushed >= large {
			flush(s.file, flushed, n-flushed)
			flushed = n
		}
		if r.info.Size > 0 && n > r.info.Size {
			stop(&ChangedError{Host: r.host(), Path: r.path})
		}
		comes()
		r.tell(Progress{Bytes: n, Total: r.total(), Files: 1})
	})
}

func (r *receiving) total() int64 {
	if r.info.Size == 0 {
		return -1
	}
	return r.info.Size
}

// ask asks for the content, or its sum, which is worth a fast program where it is
// large.
func (r *receiving) ask(what string) {
	big := "0"
	if r.info.Size >= large || r.info.Type == file.Dir {
		big = "1"
	}
	r.dialog.say("%s %s", what, big)
}

// full looks after an scp that failed: where it is this disk that is full, that
// is the error.
func (r *receiving) full(s *stage) error {
	info, err := s.file.Stat()
	if err == nil && info.Size() > 0 {
		_, err = s.file.WriteAt(make([]byte, chunkBlock), info.Size())
	}
	if err == nil {
		err = s.file.Truncate(0)
	}
	if err != nil {
		return cannotWrite(r.local, err)
	}
	return nil
}

// byStream receives through the dialog.
func (r *receiving) byStream(ctx context.Context, s *stage) (sum *sums, theirs string, err error) {
	limit := r.info.Size
	if limit == 0 {
		limit = r.MaxBytes
	}
	sum = newSums()
	all, within := errgroup.WithContext(ctx)
	over := make(chan struct{})
	r.dialog.answers.expect(&capped{to: s.file, left: limit, over: func() error {
		if r.info.Size == 0 {
			return &LimitError{Host: r.host(), Path: r.path, Limit: limit, What: "bytes"}
		}
		return &ChangedError{Host: r.host(), Path: r.path}
	}})
	all.Go(func() error {
		defer close(over)
		r.ask("send")
		known, err := r.dialog.wait(within, "sum")
		theirs = known["sum"]
		return err
	})
	all.Go(func() error { return r.watch(within, s, sum, over, func() {}) })
	err = all.Wait()
	r.dialog.answers.expect(nil)
	return sum, theirs, err
}

// capped passes on so many bytes and no more.
type capped struct {
	to   *os.File
	left int64
	over func() error
}

func (c *capped) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, c.over()
	}
	n, err := c.to.Write(p)
	if err != nil {
		return n, cannotWrite(c.to.Name(), err)
	}
	return n, nil
}

// check compares the sums of both sides. Ours may have been made before scp had
// written all, so that the whole is hashed once more before it is called wrong.
func (r *receiving) check(ctx context.Context, s *stage, sum *sums, theirs string) (how string, err error) {
	if theirs == "" {
		r.ask("sum") // it could not be made on the way
		known, err := r.dialog.wait(ctx, "sum")
		if err != nil {
			return "", err
		}
		theirs = known["sum"]
	}
	for try := 0; ; try++ {
		how, v := sum.compare(theirs)
		switch {
		case v == same:
			return how, r.steady(ctx, sum.n)
		case v == nonsense:
			return "", r.odd("get", "it does not say what the hash of the content is")
		case try > 0:
			if err := r.steady(ctx, sum.n); err != nil {
				return "", err
			}
			return "", r.failed("get", r.path, file.Incomplete, "")
		}
		again := newSums()
		if v == notComparable {
			again.crc = newCRC()
		}
		if err := sumFile(ctx, s.file, again); err != nil {
			return "", err
		}
		*sum = *again
	}
}

// steady makes sure that the file on the host is what it was in the beginning,
// and that so many bytes are all of it.
func (r *receiving) steady(ctx context.Context, n int64) error {
	if r.info.Size == 0 {
		return nil // files of /proc have another time whenever one looks
	}
	r.dialog.say("meta")
	known, err := r.dialog.wait(ctx, "meta")
	if err == nil && (known["meta"] != r.meta || n != r.info.Size) {
		err = &ChangedError{Host: r.host(), Path: r.path}
	}
	return err
}

// install renames the staged file.
func (r *receiving) install(s *stage, to target) error {
	mode := r.info.Mode.Perm() &^ umask()
	if to.old != nil {
		mode = to.old.Mode().Perm() // a new content does not inherit what setuid lent the old
	}
	if !s.there() {
		return &TargetError{Path: s.path(), Why: "somebody has replaced what was staged there"}
	}
	err := s.file.Chmod(mode)
	if err == nil {
		err = s.file.Sync()
	}
	if err == nil {
		err = s.root.Rename(s.name, to.name)
	}
	if err != nil {
		return cannotWrite(to.path(), err)
	}
	return syncDir(s.root)
}
