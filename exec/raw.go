package exec

import (
	"os"

	"golang.org/x/sys/unix"
)

// isRaw reports whether the terminal behind control passes bytes as they are;
// the controlling end answers for the other. The descriptor is borrowed, since
// taking it from the file would make its reads uninterruptible.
func isRaw(control *os.File) (raw bool, err error) {
	conn, err := control.SyscallConn()
	if err != nil {
		return false, err
	}
	ctlErr := conn.Control(func(fd uintptr) {
		var t *unix.Termios
		if t, err = unix.IoctlGetTermios(int(fd), getTermios); err == nil {
			raw = t.Lflag&(unix.ICANON|unix.ECHO) == 0
		}
	})
	if err == nil {
		err = ctlErr
	}
	return raw, os.NewSyscallError("tcgetattr", err)
}
