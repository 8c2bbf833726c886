package proc

import (
	"context"
	"fmt"
	"os"

	"github.com/creack/pty"
)

// Size is a terminal's size in character cells.
type Size struct{ Rows, Cols uint16 }

// OpenTTY opens a new pseudo-terminal of that size: its controlling end and
// the end that a child uses. The caller closes both.
func OpenTTY(size Size) (control, tty *os.File, err error) {
	control, tty, err = pty.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	if size == (Size{}) {
		size = Size{Rows: 24, Cols: 80}
	}
	if err := Resize(control, size); err != nil {
		_ = control.Close()
		_ = tty.Close()
		return nil, nil, err
	}
	return control, tty, nil
}

// StartTTY starts the process on a new pseudo-terminal that has its size
// before the child runs, and returns the controlling end, which the caller
// closes. Stdin, Stdout and Stderr of the spec that are nil are the terminal.
// Reading the controlling end after the child's end gives EIO on Linux, which
// means end of file.
func StartTTY(ctx context.Context, s Spec, size Size) (*Process, *os.File, error) {
	control, tty, err := OpenTTY(size)
	if err != nil {
		return nil, nil, err
	}
	defer tty.Close() //nolint:errcheck // our copy only; the child has its own
	if s.Stdin == nil {
		s.Stdin = tty
	}
	if s.Stdout == nil {
		s.Stdout = tty
	}
	if s.Stderr == nil {
		s.Stderr = tty
	}
	s.TTY = tty
	p, err := Start(ctx, s)
	if err != nil {
		_ = control.Close()
		return nil, nil, err
	}
	return p, control, nil
}

// Resize tells the terminal its size; the child gets SIGWINCH.
func Resize(control *os.File, size Size) error {
	err := pty.Setsize(control, &pty.Winsize{Rows: size.Rows, Cols: size.Cols})
	if err != nil {
		return fmt.Errorf("set the terminal's size: %w", err)
	}
	return nil
}

// SizeOf returns the size of the terminal behind f.
func SizeOf(f *os.File) (Size, error) {
	rows, cols, err := pty.Getsize(f)
	if err != nil {
		return Size{}, fmt.Errorf("get the terminal's size: %w", err)
	}
	return Size{Rows: uint16(rows), Cols: uint16(cols)}, nil //nolint:gosec // the kernel's fields are 16 bits wide
}
