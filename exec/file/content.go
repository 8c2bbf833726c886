package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// contentReader is the body of a read: it passes on what was asked for, and
// cuts off what is more.
type contentReader struct {
	w io.Writer
	asked
	skip int64 // bytes that come before what was asked for
	left int64 // bytes that are still wanted

	passed, omitted int64
	breaks          int64
	open            bool // the last byte was no newline
	binary          bool
	sum             hash.Hash
	held            []byte // for tail: everything
}

func newContentReader(w io.Writer, a asked) *contentReader {
	r := &contentReader{w: w, asked: a, left: a.limit, sum: sha256.New()}
	if a.how == "bytes" {
		r.skip, r.left = a.from%rangeBlock, min(a.limit, a.count)
	}
	return r
}

func (r *contentReader) Write(p []byte) (int, error) {
	n := len(p)
	skipped := min(r.skip, int64(len(p)))
	p, r.skip = p[skipped:], r.skip-skipped
	if r.how == "tail" {
		if int64(len(r.held)+len(p)) > r.left+1 {
			return 0, &ProtocolError{Why: "it sent more than it was asked for"}
		}
		r.held = append(r.held, p...)
		return n, nil
	}
	over := p[min(r.left, int64(len(p))):]
	if r.omitted += int64(len(over)); r.omitted > wholeBlock {
		return 0, &ProtocolError{Why: "it sent more than it was asked for"}
	}
	return n, r.pass(p[:len(p)-len(over)])
}

func (r *contentReader) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if r.passed < binaryProbe && bytes.IndexByte(p[:min(int64(len(p)), binaryProbe-r.passed)], 0) >= 0 {
		r.binary = true
	}
	r.passed += int64(len(p))
	r.left -= int64(len(p))
	r.breaks += int64(bytes.Count(p, []byte("\n")))
	r.open = p[len(p)-1] != '\n'
	_, _ = r.sum.Write(p)
	_, err := r.w.Write(p)
	return err
}

// finish passes on what could not be before the end was known: the end of a
// file, of which too much came.
func (r *contentReader) finish() error {
	if over := int64(len(r.held)) - r.left; over > 0 {
		r.held, r.omitted = r.held[over:], over
	}
	return r.pass(r.held)
}

func (r *contentReader) lines() int64 {
	if r.open {
		return r.breaks + 1
	}
	return r.breaks
}

func (r *contentReader) firstLine() int64 {
	switch {
	case r.how == "lines":
		return r.from
	case r.how == "whole", r.how == "bare", r.how == "bytes" && r.from == 0:
		return 1
	default:
		return 0
	}
}

// judge says what of a part was left out, and whether it is the whole after
// all.
func (r *contentReader) judge(c *Content) {
	switch r.how {
	case "whole":
		c.Omitted = max(c.Size-c.Length, 0)
	case "bytes":
		c.Omitted = max(min(c.Size-r.from, r.count)-c.Length, 0)
	default:
		if r.omitted > 0 {
			c.Omitted = -1
		}
	}
	if r.how == "tail" && c.Lines >= 0 {
		c.FirstLine = max(c.Lines-r.lines()+1, 1)
	}
	if c.Whole = c.Length == c.Size && c.Omitted == 0; c.Whole && c.SHA256 == "" {
		c.SHA256 = hex.EncodeToString(r.sum.Sum(nil))
	}
}
