package sandbox

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Stdio takes standard input and output over as a connection: afterwards
// descriptors 0 and 1 are /dev/null, so that no stray print gets between the
// packets. Closing it ends a Read that waits, where they are pipes or sockets,
// as they are for a ProxyCommand.
//
// A copy of the descriptors is needed for one more reason: a Go program that
// writes to a broken pipe dies of SIGPIPE if the descriptor is 1 or 2, and a
// host must outlive its client to end the sessions.
func Stdio() io.ReadWriteCloser {
	return &stdio{in: takeOver(os.Stdin), out: takeOver(os.Stdout)}
}

type stdio struct{ in, out *os.File }

func (s *stdio) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *stdio) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *stdio) Close() error                { return errors.Join(s.in.Close(), s.out.Close()) }

// takeOver moves the file to another descriptor, or returns it as it is where
// that is impossible.
func takeOver(f *os.File) *os.File {
	old := int(f.Fd())
	fd, err := unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return f
	}
	if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
		_ = replace(int(null.Fd()), old)
		_ = null.Close()
	}
	return pollable(fd, f.Name())
}

// pollable makes a file of the descriptor whose Close ends a Read that waits.
// Go's os package can do that with non-blocking descriptors only. A terminal or
// a file given as standard input is left as it is, since others share its mode.
func pollable(fd int, name string) *os.File {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err == nil {
		switch stat.Mode & unix.S_IFMT {
		case unix.S_IFIFO, unix.S_IFSOCK:
			_ = syscall.SetNonblock(fd, true)
		}
	}
	return os.NewFile(uintptr(fd), name)
}
