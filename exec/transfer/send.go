package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"bivy/exec/file"
	"bivy/exec/mux"
)

// sizePoll is how often the host is asked how much has arrived.
const sizePoll = 500 * time.Millisecond

// sending is one Put.
type sending struct {
	*Place
	Options
	lease  *mux.Lease
	path   string
	dialog *dialog
	umask  fs.FileMode
	final  string // the target as the host has it
	asked  int    // how often the host was asked for the size
	// answered is what the host said when it had taken all.
	answered facts
}

// file sends one file.
func (s *sending) file(ctx context.Context, from source) (Result, error) {
	f, err := os.Open(from.path)
	if err != nil {
		return Result{}, cannotSend(from.path, err)
	}
	defer f.Close() //nolint:errcheck // it is only read
	before, err := f.Stat()
	if err != nil || !before.Mode().IsRegular() {
		return Result{}, &SourceError{Path: from.path, Why: "it is no file any more", Err: err}
	}
	size := before.Size()
	known, err := s.open(ctx, from.name, "file", size)
	if s.dialog != nil {
		defer s.dialog.close(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	sum, way := newSums(), BySCP
	err = s.bySCP(ctx, f, known["far"], size, sum)
	if unusable := (*unusableError)(nil); errors.As(err, &unusable) {
		tellWay(ctx, unusable)
		way, sum = ByStream, newSums()
		err = s.byStream(ctx, f, size, sum)
	}
	if err != nil {
		return Result{}, s.blame(ctx, err)
	}
	if after, err := f.Stat(); err != nil || after.Size() != size || !after.ModTime().Equal(before.ModTime()) || sum.n != size {
		return Result{}, &ChangedError{Path: from.path}
	}
	how, err := s.check(ctx, f, sum, known["watched"] == "1")
	if err != nil {
		return Result{}, s.blame(ctx, err)
	}
	if err := s.install(ctx, before.Mode().Perm()&^s.umask); err != nil {
		return Result{}, err
	}
	return Result{Way: way, Path: s.final, Bytes: size, Files: 1, SHA256: sum.sha256(), Checked: how}, nil
}

// bySCP sends the file by scp, and hashes it meanwhile. The error is
// *unusableError where another way may work.
func (s *sending) bySCP(ctx context.Context, f *os.File, far string, size int64, sum *sums) error {
	all, within := errgroup.WithContext(ctx)
	arrived := make(chan struct{})
	all.Go(func() error { return sumFile(within, f, sum) })
	all.Go(func() error { return s.follow(within, arrived, size) })
	all.Go(func() error {
		defer close(arrived)
		return s.copyTo(within, f.Name(), far)
	})
	failed := all.Wait()
	unusable := (*unusableError)(nil)
	if failed != nil && !errors.As(failed, &unusable) {
		return failed
	}
	n, err := s.arrived(ctx)
	switch {
	case err != nil:
		return err
	case failed != nil && n > 0:
		// It got on well until then: is it the host's disk?
		s.dialog.say("room")
		if _, err := s.dialog.wait(ctx, "room"); err != nil {
			return err
		}
		return unusable
	case failed != nil:
		return unusable
	case n == 0 && size > 0:
		return &unusableError{"what scp has sent is nowhere to be seen"}
	case n != size:
		return &ChangedError{Path: f.Name()}
	}
	return nil
}

// arrived asks the host how much is there.
func (s *sending) arrived(ctx context.Context) (int64, error) {
	s.asked++
	s.dialog.say("size %d", s.asked)
	for {
		known, err := s.dialog.wait(ctx, "size")
		if err != nil {
			return 0, err
		}
		if known["to"] == strconv.Itoa(s.asked) { // else it was asked before
			return strconv.ParseInt(known["size"], 10, 64)
		}
	}
}

// follow tells how much has arrived, until all has.
func (s *sending) follow(ctx context.Context, arrived <-chan struct{}, size int64) error {
	if s.Progress == nil {
		select {
		case <-arrived:
			return nil
		case <-s.dialog.ended:
			return s.dialog.failure(ctx)
		}
	}
	tick := time.NewTicker(sizePoll)
	defer tick.Stop()
	for {
		select {
		case <-arrived:
			return nil
		case <-s.dialog.ended:
			return s.dialog.failure(ctx)
		case <-tick.C:
		}
		n, err := s.arrived(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		s.Progress(Progress{Bytes: min(n, size), Total: size, Files: 1})
	}
}

// byStream sends the file through the dialog.
func (s *sending) byStream(ctx context.Context, f *os.File, size int64, sum *sums) error {
	both, within := errgroup.WithContext(ctx)
	both.Go(func() error { return sumFile(within, f, sum) })
	both.Go(func() error {
		return s.feed(within, "filled", func(out *chunks) error {
			out.progress = func(n int64) { s.tell(Progress{Bytes: n, Total: size, Files: 1}) }
			_, err := io.CopyBuffer(out, struct{ io.Reader }{io.NewSectionReader(f, 0, size)}, make([]byte, chunk))
			return err
		})
	})
	return both.Wait()
}

func (s *sending) tell(p Progress) {
	if s.Progress != nil {
		s.Progress(p)
	}
}

// feed has the host take what write writes, and waits for its answer.
func (s *sending) feed(ctx context.Context, answer string, write func(*chunks) error) error {
	s.dialog.say("fill")
	sent := make(chan error, 1)
	go func() {
		out := &chunks{w: s.dialog.in}
		err := write(out)
		if err == nil {
			err = out.end()
		} else {
			// The host waits for the rest, which does not come.
			_ = s.dialog.in.Close()
		}
		sent <- err
	}()
	known, err := s.dialog.wait(ctx, answer)
	if err != nil {
		// It may be writing to somebody who does not read any more.
		_ = s.dialog.in.CloseWithError(err)
	}
	s.answered = known
	var pipe *pipeError
	if failed := <-sent; failed != nil && ctx.Err() == nil && !errors.As(failed, &pipe) {
		return failed // it is the reason for what the host says
	}
	return err
}

// check compares the sums of both sides. One that the host made while the file
// arrived comes by itself; it may have seen what was not there yet, so that the
// whole is hashed once more before it is called wrong.
func (s *sending) check(ctx context.Context, f *os.File, sum *sums, watched bool) (how string, err error) {
	for try := 1; ; try++ {
		if !watched {
			s.dialog.say("sum")
		}
		watched = false
		known, err := s.dialog.wait(ctx, "sum")
		if err != nil {
			return "", err
		}
		how, v := sum.compare(known["sum"])
		if v == notComparable {
			again := newSums()
			again.crc = newCRC()
			if err := sumFile(ctx, f, again); err != nil {
				return "", err
			}
			sum.crc = again.crc
			how, v = sum.compare(known["sum"])
		}
		switch {
		case v == same:
			return how, nil
		case v == nonsense:
			return "", s.odd("put", "it does not say how it checked the content")
		case try > 1:
			return "", s.failed("put", s.final, file.Incomplete, "")
		}
	}
}

// install has the host do the rename. From here on only its answer tells what
// was done, so that an end of the context is not heeded before the second.
func (s *sending) install(ctx context.Context, mode fs.FileMode) error {
	last, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	go func() {
		select {
		case <-s.Hurry:
			stop(context.Cause(ctx))
		case <-last.Done():
		}
	}()
	s.dialog.say("install %o", mode)
	_, err := s.dialog.wait(last, "done")
	return err
}
