package sandbox

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"bivy/exec/proc"
)

// terminal is what a client asks for with pty-req (RFC 4254, section 6.2). The
// field order is the wire's.
type terminal struct {
	Term          string
	Cols, Rows    uint32
	Width, Height uint32 // pixels, which nobody needs
	Modes         string
}

// window is the payload of window-change.
type window struct{ Cols, Rows, Width, Height uint32 }

func (t terminal) size() proc.Size { return cells(t.Rows, t.Cols) }

func (w window) size() proc.Size { return cells(w.Rows, w.Cols) }

func cells(rows, cols uint32) proc.Size {
	const most = 1<<16 - 1 // the kernel's fields are 16 bits wide
	return proc.Size{Rows: uint16(min(rows, most)), Cols: uint16(min(cols, most))}
}

// open makes the terminal with its modes set, before anything runs on it.
func (t terminal) open() (control, tty *os.File, err error) {
	first, tty, err := proc.OpenTTY(t.size())
	if err != nil {
		return nil, nil, err
	}
	defer first.Close() //nolint:errcheck // the copy is used
	control, err = pollableCopy(first)
	if err == nil {
		if err = setModes(tty, t.Modes); err == nil {
			return control, tty, nil
		}
		_ = control.Close()
	}
	_ = tty.Close()
	return nil, nil, err
}

// pollableCopy exists because setting a terminal's size has made it blocking
// (os.File.Fd does that), and closing a blocking file does not end a Read that
// waits: the terminal would not hang up when its client leaves. A file made of
// a non-blocking descriptor stays as it is.
func pollableCopy(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("copy the terminal's descriptor: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make the terminal's descriptor non-blocking: %w", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// setModes applies the client's terminal modes (RFC 4254, section 8): pairs of
// a number and a value, ended by 0. Speeds mean nothing here and are left out,
// as is what this system does not know.
func setModes(tty *os.File, modes string) error {
	fd := int(tty.Fd())
	tio, err := unix.IoctlGetTermios(fd, termiosGet)
	if err != nil {
		return fmt.Errorf("get the terminal's modes: %w", err)
	}
	// Numbers from 160 on have no defined length and end the list.
	for b := []byte(modes); len(b) >= 5 && b[0] > 0 && b[0] < 160; b = b[5:] {
		setMode(tio, b[0], binary.BigEndian.Uint32(b[1:5]))
	}
	if err := unix.IoctlSetTermios(fd, termiosSet, tio); err != nil {
		return fmt.Errorf("set the terminal's modes: %w", err)
	}
	return nil
}

func setMode(tio *unix.Termios, number byte, value uint32) {
	for _, chars := range []map[byte]int{terminalChars, systemChars} {
		if i, ok := chars[number]; ok {
			// 255 says that the function has no character, which is 0
			// (_POSIX_VDISABLE) on Linux and 255 on macOS.
			if value == 255 {
				value = noChar
			}
			tio.Cc[i] = byte(value)
		}
	}
	for _, group := range []struct {
		field  *flagBits
		tables [2]map[byte]flagBits
	}{
		{&tio.Iflag, [2]map[byte]flagBits{terminalInput, systemInput}},
		{&tio.Lflag, [2]map[byte]flagBits{terminalLocal, systemLocal}},
		{&tio.Oflag, [2]map[byte]flagBits{terminalOut, systemOut}},
		{&tio.Cflag, [2]map[byte]flagBits{terminalControl, nil}},
	} {
		for _, table := range group.tables {
			if bit, ok := table[number]; ok && value != 0 {
				*group.field |= bit
			} else if ok {
				*group.field &^= bit
			}
		}
	}
}

// The terminal modes of RFC 4254, section 8, that all our systems have.
var (
	terminalChars = map[byte]int{
		1: unix.VINTR, 2: unix.VQUIT, 3: unix.VERASE, 4: unix.VKILL, 5: unix.VEOF, 6: unix.VEOL,
		7: unix.VEOL2, 8: unix.VSTART, 9: unix.VSTOP, 10: unix.VSUSP, 12: unix.VREPRINT,
		13: unix.VWERASE, 14: unix.VLNEXT, 18: unix.VDISCARD,
	}
	terminalInput = map[byte]flagBits{
		30: unix.IGNPAR, 31: unix.PARMRK, 32: unix.INPCK, 33: unix.ISTRIP, 34: unix.INLCR, 35: unix.IGNCR,
		36: unix.ICRNL, 38: unix.IXON, 39: unix.IXANY, 40: unix.IXOFF, 41: unix.IMAXBEL, 42: unix.IUTF8,
	}
	terminalLocal = map[byte]flagBits{
		50: unix.ISIG, 51: unix.ICANON, 53: unix.ECHO, 54: unix.ECHOE, 55: unix.ECHOK, 56: unix.ECHONL,
		57: unix.NOFLSH, 58: unix.TOSTOP, 59: unix.IEXTEN, 60: unix.ECHOCTL, 61: unix.ECHOKE, 62: unix.PENDIN,
	}
	terminalOut = map[byte]flagBits{
		70: unix.OPOST, 72: unix.ONLCR, 73: unix.OCRNL, 74: unix.ONOCR, 75: unix.ONLRET,
	}
	terminalControl = map[byte]flagBits{90: unix.CS7, 91: unix.CS8, 92: unix.PARENB, 93: unix.PARODD}
)
