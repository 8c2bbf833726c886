package file

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// MaxEdit is the size of the largest file that is edited, in bytes.
const MaxEdit = 16 << 20

// Replacement is one change: Old becomes New. Old must be there once, unless
// All is set, which replaces every one.
type Replacement struct {
	Old, New string
	All      bool
}

// EditOptions choose how a file is edited.
type EditOptions struct {
	// IfMatch is the SHA-256, in hex, that the file must have.
	IfMatch string
	// Known, when set, is the whole file as it was read before. It saves a
	// round trip; if the file has changed since, that is a *PreconditionError.
	Known *Content
	// NoSync is as in WriteOptions.
	NoSync bool
}

// Edited says what an edit has done.
type Edited struct {
	Written
	// Before is the SHA-256 of what the file held; Content is what it holds.
	Before  string
	Content []byte
	// Replaced counts, for each replacement, how often it was made.
	Replaced []int
	// Diff is a unified diff; it is empty, and nothing was written, where the
	// replacements undo each other.
	Diff string
}

// EditError says which replacement cannot be made. Nothing was written.
type EditError struct {
	Host, Path string
	// Index is the replacement's, from 0. Count is how often its old text is
	// there; -1 where it cannot be meant (Why tells).
	Index, Count int
	Why          string
	// SHA256 is the file's.
	SHA256 string
}

func (e *EditError) Error() string {
	what := fmt.Sprintf("cannot edit %s on %s: the old text of change %d ", show(e.Path), e.Host, e.Index+1)
	switch {
	case e.Count < 0:
		what += e.Why
	case e.Count == 0:
		what += "is not there"
	default:
		what += fmt.Sprintf("is there %d times; add lines around it, or replace all", e.Count)
	}
	return what + "; nothing was written"
}

// Edit replaces texts in a file: each in what those before it have left, and
// all of them or none. In a file whose lines all end in CR LF the texts may have
// LF alone. It is a read and a write that requires what was read.
func (f *FS) Edit(ctx context.Context, path string, changes []Replacement, o EditOptions) (Edited, error) {
	c, err := f.known(ctx, path, o)
	if err != nil {
		return Edited{}, err
	}
	if o.IfMatch != "" && c.SHA256 != o.IfMatch {
		return Edited{}, &PreconditionError{Host: f.Runner.Host(), Path: path, Want: o.IfMatch, Have: c.SHA256}
	}
	before := string(c.Data)
	after, counts, err := replaceAll(before, changes)
	if err != nil {
		var e *EditError
		if errors.As(err, &e) {
			e.Host, e.Path, e.SHA256 = f.Runner.Host(), path, c.SHA256
		}
		return Edited{}, err
	}
	done := Edited{Before: c.SHA256, Content: []byte(after), Replaced: counts, Written: Written{SHA256: c.SHA256, Length: c.Length}}
	if after == before {
		return done, nil
	}
	done.Written, err = f.Write(ctx, path, done.Content, WriteOptions{IfMatch: c.SHA256, NoSync: o.NoSync})
	if err != nil {
		return Edited{}, err
	}
	done.Diff = unified(path, before, after)
	return done, nil
}

// known is the file's content: from the caller, or read now.
func (f *FS) known(ctx context.Context, path string, o EditOptions) (Content, error) {
	c := Content{}
	if o.Known != nil && o.Known.Whole && isSHA256(o.Known.SHA256) {
		c = *o.Known
	} else {
		var err error
		if c, err = f.Read(ctx, path, ReadOptions{Max: MaxEdit}); err != nil {
			return c, err
		}
	}
	switch {
	case !c.Whole:
		return c, &TooLargeError{Host: f.Runner.Host(), Op: "edit", Path: path, Size: c.Size, Limit: MaxEdit}
	case c.Binary:
		return c, &Error{Host: f.Runner.Host(), Op: "edit", Path: path, Kind: Binary}
	}
	return c, nil
}

// replaceAll makes all changes, or says which cannot be made.
func replaceAll(text string, changes []Replacement) (string, []int, error) {
	counts := make([]int, len(changes))
	if len(changes) == 0 {
		return "", nil, &EditError{Count: -1, Why: "is missing: there is no change at all"}
	}
	crlf := onlyCRLF(text)
	for i, c := range changes {
		if crlf {
			c.Old, c.New = toCRLF(c.Old), toCRLF(c.New)
		}
		switch n := occurrences(text, c.Old); {
		case c.Old == "":
			return "", nil, &EditError{Index: i, Count: -1, Why: "is empty"}
		case c.Old == c.New:
			return "", nil, &EditError{Index: i, Count: -1, Why: "is the same as the new one"}
		case n == 0, n > 1 && !c.All:
			return "", nil, &EditError{Index: i, Count: n}
		}
		counts[i] = strings.Count(text, c.Old)
		if grown := len(text) + counts[i]*(len(c.New)-len(c.Old)); grown > MaxWrite {
			return "", nil, &EditError{Index: i, Count: -1, Why: fmt.Sprintf("would make the file larger than %d bytes", MaxWrite)}
		}
		text = strings.ReplaceAll(text, c.Old, c.New)
	}
	return text, counts, nil
}

// occurrences counts also those that overlap, since which is meant is then as
// unclear. It stops at 1000.
func occurrences(text, old string) (n int) {
	if old == "" {
		return 0
	}
	for n < 1000 {
		i := strings.Index(text, old)
		if i < 0 {
			break
		}
		n++
		text = text[i+1:]
	}
	return n
}

// onlyCRLF reports whether every line ends in CR LF.
func onlyCRLF(text string) bool {
	n := strings.Count(text, "\n")
	return n > 0 && n == strings.Count(text, "\r\n")
}

func toCRLF(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// unified is the difference of two texts, with names that fit on a line. Whole
// lines are compared, which is fast and what the result shows.
func unified(path, before, after string) string {
	name := strings.TrimPrefix(show(path), "/")
	diff, err := udiff.ToUnified("a/"+name, "b/"+name, before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil {
		return "" // edits of its own making are never out of order
	}
	return diff
}
