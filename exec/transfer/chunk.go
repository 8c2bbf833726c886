package transfer

import (
	"io"
	"strconv"
)

const (
	// chunkBlock is that of the host's dd, and chunk how much one of them reads,
	// in bytes.
	chunkBlock = 64 << 10
	chunk      = 8 << 20
)

// pipeError is about the way to the host, which the host's end explains better.
type pipeError struct{ err error }

func (e *pipeError) Error() string { return e.err.Error() }

// chunks are what bivy_chunks takes: each Write is one, in whole blocks and a
// rest.
type chunks struct {
	w        io.Writer
	progress func(int64)
	n        int64
}

func (c *chunks) Write(p []byte) (int, error) {
	whole := len(p) / chunkBlock * chunkBlock
	if whole > 0 {
		if err := c.one(p[:whole], chunkBlock, whole/chunkBlock); err != nil {
			return 0, err
		}
	}
	if whole < len(p) {
		if err := c.one(p[whole:], len(p)-whole, 1); err != nil {
			return whole, err
		}
	}
	return len(p), nil
}

func (c *chunks) one(p []byte, size, count int) error {
	if _, err := io.WriteString(c.w, strconv.Itoa(size)+" "+strconv.Itoa(count)+"\n"); err != nil {
		return &pipeError{err}
	}
	for len(p) > 0 {
		part := p[:min(len(p), block)]
		if _, err := c.w.Write(part); err != nil {
			return &pipeError{err}
		}
		p = p[len(part):]
		c.n += int64(len(part))
		if c.progress != nil {
			c.progress(c.n)
		}
	}
	return nil
}

// end says that there is no more.
func (c *chunks) end() error {
	if _, err := io.WriteString(c.w, "0\n"); err != nil {
		return &pipeError{err}
	}
	return nil
}
