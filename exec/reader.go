package exec

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// firstBuffer and readBuffer are what one read of a stream takes at most,
	// in bytes, until and after a buffer was filled. The latter is a quarter of
	// what the pipe holds then: with the kernel's 64 KiB for both, streaming
	// 1 GiB took a third longer (2 cores).
	firstBuffer = 16 << 10
	readBuffer  = 256 << 10
	// much is what makes a reader wait for more by itself, in bytes, and
	// bulkWait for how long, in milliseconds.
	much     = 4 << 10
	bulkWait = 10
)

// pipeReader reads a pipe. The runtime's poller hands every wakeup from one
// thread to another, which for bulk output cost a tenth of the throughput
// (1 GiB, 2 cores: 0.95 of plain ssh's rate, 1.05 with this). So a reader that
// just got much waits for more with poll(2); others leave no thread behind.
type pipeReader struct {
	pipe *os.File
	conn syscall.RawConn
	wide bool // the pipe is as wide as it will be
	bulk bool
}

func newPipeReader(pipe *os.File) (*pipeReader, error) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &pipeReader{pipe: pipe, conn: conn}, nil
}

// letGo ends the reading as soon as there is nothing to read.
func (r *pipeReader) letGo() { _ = r.pipe.SetReadDeadline(time.Unix(1, 0)) }

// Read waits for the pipe. The descriptor is borrowed for that long, so a close
// of the file waits for us. A reader that is let go, or whose file is closed,
// gets os.ErrClosed.
func (r *pipeReader) Read(p []byte) (n int, err error) {
	connErr := r.conn.Read(func(fd uintptr) bool {
		n, err = r.read(int(fd), p)
		return !errors.Is(err, unix.EAGAIN)
	})
	if errors.Is(connErr, os.ErrDeadlineExceeded) {
		r.bulk = false
		connErr = r.conn.Control(func(fd uintptr) { n, err = r.read(int(fd), p) })
	}
	switch {
	case connErr != nil, errors.Is(err, unix.EAGAIN):
		return 0, os.ErrClosed
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	r.bulk = n >= much
	if n == len(p) && !r.wide {
		r.wide = true
		widen(r.conn)
	}
	return n, nil
}

func (r *pipeReader) read(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && r.bulk:
			more := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor is a small number
			if _, err := unix.Poll(more, bulkWait); err != nil && !errors.Is(err, unix.EINTR) {
				return 0, err
			}
			r.bulk = more[0].Revents != 0
		default:
			return n, err
		}
	}
}

// copyStream copies a stream until it ends. The buffer grows for one that is
// more than a few lines.
func copyStream(to io.Writer, from io.Reader) error {
	buffer := make([]byte, firstBuffer)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == len(buffer) && n < readBuffer:
			buffer = make([]byte, readBuffer)
		}
	}
}
