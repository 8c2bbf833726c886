package exec

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isRaw reports whether the terminal behind control passes bytes as they are.
func isRaw(control *os.File) (raw bool, err error) {
	err = onModes(control, func(_ int, t *unix.Termios) error {
		raw = t.Lflag&(unix.ICANON|unix.ECHO) == 0
		return nil
	})
	return raw, err
}

// makeRaw makes the terminal behind control pass bytes as they are, both ways
// (cfmakeraw(3)).
func makeRaw(control *os.File) error {
	return onModes(control, func(fd int, t *unix.Termios) error {
		t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		t.Oflag &^= unix.OPOST
		t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		return os.NewSyscallError("tcsetattr", unix.IoctlSetTermios(fd, setTermios, t))
	})
}

// onModes hands the modes of the terminal behind control to use; the
// controlling end answers for the other. The descriptor is borrowed, since
// taking it from the file would make its reads uninterruptible.
func onModes(control *os.File, use func(fd int, t *unix.Termios) error) error {
	conn, err := control.SyscallConn()
	if err != nil {
		return err
	}
	ctlErr := conn.Control(func(fd uintptr) {
		var t *unix.Termios
		if t, err = unix.IoctlGetTermios(int(fd), getTermios); err != nil {
			err = os.NewSyscallError("tcgetattr", err)
			return
		}
		err = use(int(fd), t)
	})
	return errors.Join(ctlErr, err)
}
