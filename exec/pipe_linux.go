package exec

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is the capacity that the pipe of stdout gets, in bytes, so that
// bulk output costs fewer turns between ssh's master and us. It is the most
// that anybody may ask for; the user's limit on pipe memory may refuse it
// (pipe(7)), and then the pipe stays as it is.
const pipeSize = 1 << 20

func widen(pipe syscall.RawConn) {
	_ = pipe.Control(func(fd uintptr) {
		_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
	})
}
