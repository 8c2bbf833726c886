// Package file reads, writes, edits and finds files on a host. Every operation
// is one session and one round trip (an edit is two), and needs nothing there
// but POSIX tools.
//
// The host is not trusted: what it answers is bounded and checked, and an
// answer that makes no sense is a *ProtocolError.
//
// Paths are strings of any bytes but NUL. A relative one is relative to
// FS.Root; ~ and ~USER in front are home directories on the host (a file that
// is called so is ./~).
package file

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"

	"bivy/exec/frame"
)

// The scripts that run on the host.
var (
	//go:embed lib.sh
	libScript string
	//go:embed lines.sh
	linesScript string
	//go:embed hash.sh
	hashScript string
	//go:embed read.sh
	readScript string
)

// Call is one operation as its Runner sends it.
type Call struct {
	// Op names the operation, for logs.
	Op string
	// Script is shell text that defines functions and runs nothing; Function
	// is the one to call, with Args. It may end the shell that runs it.
	Script, Function string
	Args             []string
	// Stdin is what the function reads; it is nil where that is nothing.
	Stdin []byte
	// Stdout gets what the function writes. It may refuse to take more.
	Stdout io.Writer
	// Done reports that Stdout has had a whole answer, after which the
	// function writes nothing more.
	Done func() bool
	// Tools says that programs of the user's own PATH are of use.
	Tools bool
	// Long says that the function may take long although it writes nothing, so
	// that something there must see to it that it ends with its link. It reads
	// nothing then.
	Long bool
	// Changes says that the operation changes something, so that it must not
	// be repeated when nobody knows what became of it.
	Changes bool
}

// Ending is how the shell that ran a call ended.
type Ending struct {
	// How is a word on the end for people, such as "exited 0".
	How string
	// Words are the last that the host's tools said.
	Words string
}

// Runner runs calls on one host.
type Runner interface {
	// Host is the host's name, for errors.
	Host() string
	// Run runs one call. The error is about the session; that the function
	// failed is none. Errors of c.Stdout are wrapped.
	Run(ctx context.Context, c Call) (Ending, error)
}

// FS is the files of a host, seen from a directory. Its methods may be used
// from several goroutines if those of its Runner may.
type FS struct {
	Runner Runner
	// Root is the directory that relative paths are relative to: absolute,
	// ~, ~/… or relative to the home directory; empty is the home directory.
	Root string
	// Inside refuses paths that leave Root, also through symbolic links. The
	// host checks that and then works in the directory that it has checked; but
	// it may be deceived by a program there that exchanges the last part of a
	// path for a link at that very moment. It protects from mistakes, and is
	// no wall against a program that runs there under the same account.
	Inside bool
}

// call runs a function on the host. The body of its answer goes to body, and
// the facts are returned; trouble that the host reports is the error.
func (f *FS) call(ctx context.Context, c Call, path string, body io.Writer) (facts, error) {
	mark := newMark()
	s := &splitter{mark: []byte(mark), body: body}
	inside := "0"
	if f.Inside {
		inside = "1"
	}
	for _, arg := range append([]string{f.Root, path}, c.Args...) {
		if strings.IndexByte(arg, 0) >= 0 {
			return nil, &Error{Host: f.Runner.Host(), Op: c.Op, Path: path, Kind: Invalid}
		}
	}
	c.Args = append([]string{mark, f.Root, inside}, c.Args...)
	c.Script = frame.Strip(libScript) + c.Script
	c.Stdout, c.Done = s, s.ended
	end, err := f.Runner.Run(ctx, c)
	if s.err != nil {
		return nil, f.whole(c.Op, s.err) // says more than that the output was not taken
	}
	if err != nil {
		return nil, err
	}
	known, why := s.facts()
	if why != "" {
		return nil, &ProtocolError{Host: f.Runner.Host(), Op: c.Op, Why: why + " (the shell there " + end.How + ")", Line: lastLine(end.Words)}
	}
	if known["trouble"] != "" {
		return known, f.trouble(c.Op, path, known, end)
	}
	return known, nil
}

// whole fills in what the reader of an answer does not know of its errors.
func (f *FS) whole(op string, err error) error {
	var odd *ProtocolError
	if errors.As(err, &odd) {
		odd.Host, odd.Op = f.Runner.Host(), op
	}
	return err
}

// odd is the error for an answer that makes no sense.
func (f *FS) odd(op, why string) error {
	return &ProtocolError{Host: f.Runner.Host(), Op: op, Why: why}
}

// newMark stands between the body and the facts of one answer.
func newMark() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return "\x1e" + hex.EncodeToString(b[:]) + "\x1e"
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}
