package exec

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeReader reads a pipe with poll(2) and read(2). The runtime's own poller
// hands every wakeup from one thread to another, which for bulk output cost a
// tenth of the throughput (1 GiB, 2 cores: 0.95 of plain ssh's rate, 1.05
// with this).
type pipeReader struct {
	conn syscall.RawConn
	wake int32 // becomes readable when nobody wants more
}

func newPipeReader(pipe *os.File, wake *os.File) (*pipeReader, error) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &pipeReader{conn: conn, wake: int32(wake.Fd())}, nil //nolint:gosec // a descriptor is a small number
}

// Read waits for the pipe or for the wake. The descriptor is borrowed for that
// long, so a close of the file waits for us.
func (r *pipeReader) Read(p []byte) (n int, err error) {
	connErr := r.conn.Read(func(fd uintptr) bool {
		n, err = r.read(int(fd), p)
		return true
	})
	switch {
	case connErr != nil:
		return 0, connErr
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (r *pipeReader) read(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return n, err
		}
		both := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: r.wake, Events: unix.POLLIN}} //nolint:gosec // a descriptor is a small number
		if _, err := unix.Poll(both, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return 0, err
		}
		if both[0].Revents == 0 && both[1].Revents != 0 {
			return 0, os.ErrClosed
		}
	}
}
