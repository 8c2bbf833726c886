package transfer

import (
	"context"
	"io"
	"io/fs"
	"time"

	"bivy/exec/file"
)

// tree sends directories, or several files, as one archive.
func (s *sending) tree(ctx context.Context, sources []source) (Result, error) {
	what, name, top := "many", "", fs.FileMode(0o777)
	if len(sources) == 1 {
		what, name, top = "tree", sources[0].name, sources[0].info.Mode().Perm()
		sources[0].name = "" // its top is the archive's
	}
	known, err := s.open(ctx, name, what, 0)
	if s.dialog != nil {
		defer s.dialog.close(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	total := int64(-1)
	if s.Progress != nil {
		total = measure(ctx, sources)
	}
	p := &packer{umask: s.umask, now: time.Now(), skipped: s.skip}
	p.tell = func() { s.tell(Progress{Bytes: p.bytes, Total: max(total, p.bytes), Files: p.files}) }
	sum := newSums()
	if known["digest"] == byCksum {
		sum.crc = newCRC()
	}
	err = s.feed(ctx, "sum", func(out *chunks) error { return pack(ctx, io.MultiWriter(sum, out), sources, p) })
	if err != nil {
		return Result{}, s.blame(ctx, err)
	}
	how, err := s.checkStream(sum, s.answered["sum"])
	if err != nil {
		return Result{}, err
	}
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	if err := s.install(ctx, top&^s.umask|0o700); err != nil {
		return Result{}, err
	}
	return Result{Way: ByTar, Path: s.final, Bytes: p.bytes, Files: p.files, Checked: how, Skipped: p.left}, nil
}

func (s *sending) skip(path, why string) {
	if s.Skipped != nil {
		s.Skipped(path, why)
	}
}

// checkStream compares the sums of an archive.
func (s *sending) checkStream(sum *sums, theirs string) (how string, err error) {
	if theirs == "" {
		return byLength, nil
	}
	how, v := sum.compare(theirs)
	switch v {
	case same:
		return how, nil
	case different:
		return "", s.failed("put", s.final, file.Incomplete, "")
	default:
		return "", s.odd("put", "it does not say how it checked the content")
	}
}
