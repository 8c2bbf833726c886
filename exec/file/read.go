package file

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math"
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

// ReadOptions choose what of a file is read. At most one of Lines, Bytes, Tail
// and Bare is set; none means all of it.
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
	// Bare reads the whole content and nothing about the file, which is faster:
	// of Info only Path, Type and, where Whole is set, Size are known.
	Bare bool
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
	if o.Bare {
		kinds++
		a.how = "bare"
	}
	return a, ok && kinds <= 1
}

// args are those of bivy_read behind the path.
func (a asked) args() []string {
	from, count := a.from, a.count
	switch a.how {
	case "tail":
		// busybox counts no further, and says so where nobody listens.
		count = min(count, math.MaxInt32)
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
	if known["part"] == "bare" && body.how == "bare" {
		info, ok = Info{Type: Regular, UID: -1, GID: -1, Links: -1}, true
	}
	if !ok || info.Size < 0 {
		return Content{}, f.odd("read", "it does not say what the file is")
	}
	info.Path = path
	c := Content{Info: info, Length: body.passed, Binary: body.binary, Lines: -1, FirstLine: body.firstLine()}
	switch known["part"] {
	case "whole", "bare":
		if body.omitted > 0 {
			// There is more, or it grew after its size was asked for.
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
	if head := known["head"]; head != "" && head != hex.EncodeToString(body.sum.Sum(nil)) {
		return Content{}, &Error{Host: f.Runner.Host(), Op: "read", Path: path, Kind: Changed}
	}
	body.judge(&c)
	return c, nil
}
