package mux

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"bivy/exec/proc"
)

// master is ssh with the ends of its terminals that we keep.
type master struct {
	process  *proc.Process
	keyboard *os.File // nil without a terminal
	tty      *os.File // the end of it that ssh opens
	readers  sync.WaitGroup
	outputs  []*os.File
}

// startSSH starts the master. With a human about it gets two terminals: its
// controlling one, on which it asks, and one as stderr, so that notices which
// want a terminal (a touch of a security key) show, and are still told apart
// from questions. Otherwise it gets none, so that nothing can ask.
func (h *holder) startSSH(ctx context.Context) (*master, error) {
	m := &master{}
	spec := proc.Spec{Args: h.spec.Argv, Isolation: proc.Session, EndWithParent: true}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	if h.spec.Interactive {
		size := proc.Size{Rows: h.spec.Rows, Cols: h.spec.Cols}
		keyboard, tty, err := proc.OpenTTY(size)
		if err != nil {
			return nil, err
		}
		words, stderr, err := proc.OpenTTY(size)
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, stderr)
		spec.TTY, spec.Stderr, m.keyboard = tty, stderr, keyboard
		// ssh closes what it inherits and opens /dev/tty when it asks. A
		// terminal that nobody has open meanwhile would give EIO here.
		m.tty = tty
		m.read(keyboard, func(p []byte) { h.tellWhile(kindPrompt, p) })
		m.read(words, h.heard)
	} else {
		words, stderr, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("make a pipe for ssh's words: %w", err)
		}
		theirs = append(theirs, stderr)
		spec.Stderr = stderr
		m.read(words, h.heard)
	}
	p, err := proc.Start(ctx, spec)
	m.process = p
	return m, err
}

// read hands everything from f to use, until the end of f. On Linux the end
// of a terminal is EIO.
func (m *master) read(f *os.File, use func([]byte)) {
	m.outputs = append(m.outputs, f)
	m.readers.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if n > 0 {
				use(buf[:n])
			}
			if err != nil {
				return
			}
		}
	})
}

// drain waits a little for the rest of what ssh and its proxies said, then
// closes our ends, which ends the readers.
func (m *master) drain() {
	if m.tty != nil {
		_ = m.tty.Close()
	}
	done := make(chan struct{})
	go func() { m.readers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drain):
	}
	for _, f := range m.outputs {
		_ = f.Close()
	}
}
