package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"

	"bivy/exec/frame"
)

const (
	// DefaultMax is how much of a file Read returns at most, in bytes.
	DefaultMax = 1 << 20
	// DefaultHashMax is the size of the largest file, in bytes, that a host is
	// asked to hash and to count the lines of, when not all of it is sent.
	DefaultHashMax = 64 << 20
	// binaryProbe is how far a NUL is looked for, as git does it.
	binaryProbe = 8000
	// readTries is how often a part is asked for of a file that changes.
	readTries = 3
)

// ReadOptions choose what of a file is read. At most one of Lines, Bytes and
// Tail is set; none means all of it.
type ReadOptions struct {
	Lines *LineRange
	Bytes *ByteRange
	// Tail is a number of lines at the end.
	Tail int64
	// Max is how many bytes are returned at most; zero means DefaultMax, less
	// than zero no limit, which only ReadTo takes.
	Max int64
	// HashMax is in place of DefaultHashMax; less than zero means never.
	HashMax int64
}

// LineRange is the lines From to To, both included; the first is 1. To 0 is
// the last line.
type LineRange struct{ From, To int64 }

// ByteRange is Count bytes from Offset on.
type ByteRange struct{ Offset, Count int64 }

// Content is a file, or a part of it.
type Content struct {
	Info
	// Data is what was read; ReadTo leaves it empty.
	Data []byte
	// Length is that of what was read, in bytes.
	Length int64
	// Whole says that it is the whole file.
	Whole bool
	// Omitted is how many bytes were left out, for Max, of what was asked for;
	// -1 is some, the number of which is not known. What is left out stands
	// behind what was read, or before it for Tail.
	Omitted int64
	// SHA256 is that of the whole file, in hex; empty where not known.
	SHA256 string
	// Lines is how many the whole file has, one without a newline at the end
	// included; -1 where not known.
	Lines int64
	// FirstLine is the number of the line that Data begins with or in; zero
	// where not known.
	FirstLine int64
	// Binary says that there is a NUL in the first 8000 bytes of Data.
	Binary bool
}

// Read reads a regular file, or a part of it, into memory.
func (f *FS) Read(ctx context.Context, path string, o ReadOptions) (Content, error) {
	if o.Max < 0 {
		return Content{}, &Error{Host: f.Runner.Host(), Op: "read", Path: path, Kind: Invalid}
	}
	for try := 1; ; try++ {
		var data bytes.Buffer
		c, err := f.ReadTo(ctx, &data, path, o)
		var e *Error
		if errors.As(err, &e) && e.Kind == Changed && try < readTries {
			continue
		}
		c.Data = data.Bytes()
		return c, err
	}
}

// ReadTo is Read to a writer. It may have written something when it fails.
func (f *FS) ReadTo(ctx context.Context, w io.Writer, path string, o ReadOptions) (Content, error) {
	a, ok := o.ask()
	if !ok {
		return Content{}, &Error{Host: f.Runner.Host(), Op: "read", Path: path, Kind: Invalid}
	}
	body := newContentReader(w, a)
	known, err := f.call(ctx, Call{
		Op: "read", Function: "bivy_read",
		Script: frame.Strip(linesScript) + frame.Strip(hashScript) + frame.Strip(readScript),
		Args:   append([]string{path}, a.args()...),
	}, path, body)
	if err != nil {
		return Content{}, err
	}
	if err := body.finish(); err != nil {
		return Content{}, err
	}
	return f.content(path, known, body)
}

// asked is what of a file is wanted, in numbers that are all below most.
type asked struct {
	how         string
	from, count int64 // a line or an offset, and how many
	limit       int64 // in bytes
	hashMax     int64
}

const (
	most = 1 << 60
	// wholeBlock and rangeBlock are those of dd in read.sh.
	wholeBlock = 65536
	rangeBlock = 4096
)

func (o ReadOptions) ask() (a asked, ok bool) {
	a, ok = asked{how: "whole", limit: o.Max, hashMax: o.HashMax}, true
	if a.limit == 0 {
		a.limit = DefaultMax
	}
	if a.limit < 0 || a.limit > most {
		a.limit = most
	}
	if a.hashMax == 0 {
		a.hashMax = DefaultHashMax
	}
	a.hashMax = min(max(a.hashMax, 0), most)
	kinds := 0
	if l := o.Lines; l != nil {
		kinds++
		a.how, a.from = "lines", l.From
		if l.To != 0 {
			a.count = l.To - l.From + 1
		}
		ok = l.From >= 1 && l.From < most && l.To < most && (l.To == 0 || l.To >= l.From)
	}
	if b := o.Bytes; b != nil {
		kinds++
		a.how, a.from, a.count = "bytes", b.Offset, b.Count
		ok = b.Offset >= 0 && b.Count >= 1 && b.Offset < most && b.Count < most
	}
	if o.Tail != 0 {
		kinds++
		a.how, a.count = "tail", o.Tail
		ok = o.Tail > 0 && o.Tail < most
	}
	return a, ok && kinds <= 1
}

// args are those of bivy_read behind the path.
func (a asked) args() []string {
	from, count := a.from, a.count
	switch a.how {
	case "whole":
		count = a.limit/wholeBlock + 1
	case "bytes":
		from = a.from / rangeBlock
		count = (a.from%rangeBlock + min(a.count, a.limit) + rangeBlock - 1) / rangeBlock
	}
	return []string{a.how, itoa(a.limit), itoa(a.limit + 1), itoa(a.hashMax), itoa(from), itoa(count)}
}

// content puts together what is known of the file.
func (f *FS) content(path string, known facts, body *contentReader) (Content, error) {
	info, ok := parseInfo(known["meta"])
	if !ok || info.Size < 0 {
		return Content{}, f.odd("read", "it does not say what the file is")
	}
	info.Path = path
	c := Content{Info: info, Length: body.passed, Binary: body.binary, Lines: -1, FirstLine: body.firstLine()}
	switch known["part"] {
	case "whole":
		if body.omitted > 0 {
			// It grew after its size was asked for.
			c.Omitted = -1
			return c, nil
		}
		// The content counts, not the size that was asked for before: files of
		// /proc have none.
		c.Whole, c.Size = true, body.passed
		c.SHA256, c.Lines = hex.EncodeToString(body.sum.Sum(nil)), body.lines()
		return c, nil
	case "part":
	default:
		return Content{}, f.odd("read", "it does not say what it sent")
	}
	if c.SHA256 = known["sha256"]; c.SHA256 != "" && !isSHA256(c.SHA256) {
		return Content{}, f.odd("read", "its checksum is none")
	}
	if n, err := strconv.ParseInt(known["breaks"], 10, 64); err == nil && n >= 0 {
		c.Lines = n
		if known["open"] == "1" {
			c.Lines++
		}
	}
	body.judge(&c)
	return c, nil
}

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
	case r.how == "whole", r.how == "bytes" && r.from == 0:
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
