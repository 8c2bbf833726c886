package mux

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bivy/exec/frame"
	"bivy/sshcmd"
)

const (
	// spareStart is how long a host may take to give a spare session.
	spareStart = 10 * time.Second
	// spareLife is after how long a spare is replaced: what a login there sets
	// up may be another since.
	spareLife = time.Minute
	// spareCrowd is the number of commands beyond which the sessions that the
	// host gives are for those.
	spareCrowd = 3
	// spareRest is how long a host is left without one that refused a session.
	spareRest = limitLife
	// spareFiles are passed with a spare: the connection to the master, both
	// ends of its stdin, and what comes of its stdout and stderr.
	spareFiles = 5
)

// Spare is a session that the holder has opened before there was a command for
// it: the host's shell waits there (frame.BootSpare). A session costs two
// round trips and the start of two shells until it takes the first byte; a
// command that gets a spare pays for none of that, and the holder opens the
// next one meanwhile.
type Spare struct {
	// Channel is the session, which was opened.
	Channel *Channel
	// In takes the session's stdin; Unread is its other end, for what nobody
	// has read. Out and Errs give its stdout and stderr.
	In, Unread, Out, Errs *os.File
	// Exact says that its shell knows frames with something behind them.
	Exact bool

	born  time.Time
	took  time.Duration // to open it
	stir  chan struct{} // closed when the watch over it has ended
	quiet bool          // nothing had come by then
}

// spareName is how a spare shows in the host's list of processes.
const spareName = "bivy-spare"

// openSpare opens a session on the holder's master.
func (l *Lease) openSpare(ctx context.Context) (*Spare, error) {
	ctx, cancel := context.WithTimeout(ctx, spareStart)
	defer cancel()
	var ends []*os.File // reader and writer of each stream
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeFiles(ends...)
			return nil, fmt.Errorf("make pipes for a spare session: %w", err)
		}
		ends = append(ends, r, w)
	}
	line, err := sshcmd.WrapSh(frame.BootSpare, spareName)
	if err != nil {
		panic(err) // a constant, covered by a test
	}
	request := sshcmd.Session{SSH: l.masters.cfg.SSH, ControlPath: l.ControlPath(), Command: line}
	began := time.Now()
	c, err := l.Dial(ctx, request, ends[0], ends[3], ends[5])
	closeFiles(ends[3], ends[5])
	s := &Spare{Channel: c, In: ends[1], Unread: ends[0], Out: ends[2], Errs: ends[4], born: time.Now(), stir: make(chan struct{})}
	if err != nil {
		s.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	c.session, err = c.opened()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil && c.from.Buffered() > 0 {
		err = errors.New("the session has ended already")
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	c.open, s.took = true, time.Since(began)
	return s, nil
}

// watch returns when the master says something about the session, which can
// only be its end, or when calm is asked. What was said stays to be read.
func (s *Spare) watch() {
	defer close(s.stir)
	raw, err := s.Channel.conn.SyscallConn()
	if err != nil {
		return
	}
	err = raw.Read(func(fd uintptr) bool { return !silent(fd) })
	_ = raw.Control(func(fd uintptr) { s.quiet = errors.Is(err, os.ErrDeadlineExceeded) && silent(fd) })
}

// silent reports whether there is nothing to read, not even an end.
func silent(fd uintptr) bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

// calm ends the watch, and reports whether the session was there until now.
func (s *Spare) calm() bool {
	_ = s.Channel.conn.SetReadDeadline(time.Unix(1, 0))
	<-s.stir
	return s.quiet
}

// greet makes sure that the host is there, which takes a round trip: what is
// sent to a link that has died meanwhile would be neither run nor lost. The
// host answers with the line that we say, behind whatever its rc files did.
func (s *Spare) greet(ctx context.Context, limit time.Duration) error {
	word := newNonce() + "\n"
	_ = s.Out.SetReadDeadline(time.Now().Add(limit))
	stop := context.AfterFunc(ctx, func() { _ = s.Out.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(s.In, word); err != nil {
		return err
	}
	// Nothing comes behind the answer before there is a frame.
	const much = 64 << 10
	heard := make([]byte, 0, 1<<10)
	for !bytes.HasSuffix(heard, []byte(word)) {
		if len(heard) > much {
			return errors.New("the host says more than it was asked")
		}
		heard = slices.Grow(heard, 1<<10)
		n, err := s.Out.Read(heard[len(heard):cap(heard)])
		if heard = heard[:len(heard)+n]; err != nil {
			return err
		}
	}
	if !stop() {
		return context.Cause(ctx)
	}
	return s.Out.SetReadDeadline(time.Time{})
}

// Close gives up a spare that is not used: the shell there reads the end of its
// stdin, and ends. What was handed on lives on.
func (s *Spare) Close() {
	if s.Channel != nil {
		s.Channel.hangUp()
	}
	closeFiles(s.In, s.Unread, s.Out, s.Errs)
}

func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// rights are the spare's descriptors as a control message, for sendmsg. They
// are borrowed: the files must stay open until it was sent.
func (s *Spare) rights() ([]byte, error) {
	var fds []int
	for _, f := range []syscall.Conn{s.Channel.conn, s.In, s.Unread, s.Out, s.Errs} {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
		}
		if err != nil {
			return nil, err
		}
	}
	return unix.UnixRights(fds...), nil
}

// spare makes a Spare of what came over the holder's socket. It takes the
// descriptors, also where it fails.
func (l *Lease) spare(ctx context.Context, fds []int, session uint32) (*Spare, error) {
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), "spare") // an fd of recvmsg is never negative
	}
	if len(files) != spareFiles {
		closeFiles(files...)
		return nil, fmt.Errorf("the holder passed %d files", len(files))
	}
	conn, err := net.FileConn(files[0])
	_ = files[0].Close() // conn has a copy
	local, ok := conn.(*net.UnixConn)
	if err != nil || !ok {
		closeFiles(files[1:]...)
		return nil, errors.Join(err, errors.New("the holder passed no connection"))
	}
	c := &Channel{
		lease: l, socket: l.ControlPath(), ctx: ctx, began: time.Now(), conn: local, from: bufio.NewReaderSize(local, 512),
		open: true, session: session,
	}
	return &Spare{Channel: c, In: files[1], Unread: files[2], Out: files[3], Errs: files[4]}, nil
}
