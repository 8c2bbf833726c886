package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/shlex"

	"bivy/exec/proc"
	"bivy/internal/termsafe"
)

// The kinds of references.
const (
	FromEnv  Origin = "env"  // a variable of our own environment
	FromCmd  Origin = "cmd"  // what a program prints
	FromFile Origin = "file" // what a file holds
)

// Origin is where a reference points.
type Origin string

// CommandLimit is how long the program of a reference may take.
const CommandLimit = 30 * time.Second

// Reference says where a value is. It is resolved when a command needs it.
type Reference struct {
	Kind Origin
	// Text is the variable's name, the command line, or the file: absolute, or
	// with ~ for the home directory.
	Text string
}

// FormatError says that a reference is none. It does not hold the text, which
// may be a value that somebody has mistaken for one.
type FormatError struct{ Why string }

func (e *FormatError) Error() string { return e.Why }

// ParseReference reads env:NAME, cmd:COMMAND or file:PATH; a relative path is
// made absolute. The error is a *FormatError.
func ParseReference(text string) (*Reference, error) {
	kind, rest, _ := strings.Cut(text, ":")
	r := &Reference{Kind: Origin(kind), Text: rest}
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Kind == FromFile && rest != "~" && !strings.HasPrefix(rest, "~/") {
		abs, err := filepath.Abs(rest)
		if err != nil {
			return nil, &FormatError{"cannot find the directory that the path of file: is relative to: " + err.Error()}
		}
		r.Text = abs
	}
	return r, nil
}

func (r *Reference) check() error {
	switch r.Kind {
	case FromEnv:
		if r.Text == "" || strings.ContainsAny(r.Text, "=\x00") {
			return &FormatError{"env: takes the name of a variable, as in env:GITHUB_TOKEN"}
		}
	case FromCmd:
		if words, err := shlex.Split(r.Text); err != nil || len(words) == 0 || strings.Contains(r.Text, "\x00") {
			return &FormatError{"cmd: takes a command line with its quotes in pairs, as in 'cmd:op read op://vault/item/field'; no shell runs it"}
		}
	case FromFile:
		if r.Text == "" || strings.Contains(r.Text, "\x00") {
			return &FormatError{"file: takes a path, as in file:~/.netrc"}
		}
	default:
		return &FormatError{"a reference is env:NAME, cmd:COMMAND or file:PATH"}
	}
	return nil
}

func (r Reference) String() string { return string(r.Kind) + ":" + r.Text }

// MarshalText is for the store.
func (r Reference) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is for the store. It refuses what ParseReference would.
func (r *Reference) UnmarshalText(text []byte) error {
	kind, rest, _ := strings.Cut(string(text), ":")
	r.Kind, r.Text = Origin(kind), rest
	return r.check()
}

// ReferenceError says why the value of a secret cannot be had. It never holds
// any of it.
type ReferenceError struct {
	// Name is the secret's.
	Name string
	From Reference
	// Why is the end of a sentence.
	Why string
	Err error
}

func (e *ReferenceError) Error() string {
	return fmt.Sprintf("cannot get the secret %s from %s: %s", e.Name, termsafe.Line(e.From.String(), 200), e.Why)
}

// Unwrap returns what lies beneath, or nil.
func (e *ReferenceError) Unwrap() error { return e.Err }

// resolve gets the value. Only programs look at the context.
func (r Reference) resolve(ctx context.Context, name string) ([]byte, error) {
	value, err := r.get(ctx)
	if err != nil {
		return nil, &ReferenceError{Name: name, From: r, Why: why(err), Err: err}
	}
	var bad *ValueError
	if errors.As(checkValue("", value), &bad) {
		return nil, &ReferenceError{Name: name, From: r, Why: "what it gives " + bad.Why}
	}
	return value, nil
}

func (r Reference) get(ctx context.Context) ([]byte, error) {
	switch r.Kind {
	case FromEnv:
		text, ok := os.LookupEnv(r.Text)
		if !ok {
			return nil, errNotSet
		}
		return []byte(text), nil
	case FromFile:
		data, err := readSmall(r.Text)
		return OneLineLess(data), err
	case FromCmd:
		data, err := r.run(ctx)
		return OneLineLess(data), err
	}
	return nil, r.check()
}

// OneLineLess takes the newline off the end, and the carriage return before it:
// editors and programs put one there.
func OneLineLess(data []byte) []byte {
	data, cut := bytes.CutSuffix(data, []byte("\n"))
	if cut {
		data = bytes.TrimSuffix(data, []byte("\r"))
	}
	return data
}

var (
	errNotSet     = errors.New("the variable is not set here")
	errTooLong    = fmt.Errorf("it gives more than %d bytes", MaxValue)
	errNoOrdinary = errors.New("it is no ordinary file")
)

// why is an error of the system without the path, which the message has.
func why(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// readSmall reads an ordinary file, which cannot keep us waiting as a pipe can.
func readSmall(path string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(path, "~"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(home, rest)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errNoOrdinary, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxValue+3))
	if err == nil && len(OneLineLess(data)) > MaxValue {
		err = errTooLong
	}
	return data, err
}

// run runs the program without a shell and without a terminal, in the home
// directory: where we were started, a project could bring programs and settings
// of its own.
func (r Reference) run(ctx context.Context) ([]byte, error) {
	words, err := shlex.Split(r.Text)
	if err != nil {
		return nil, err
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, CommandLimit, fmt.Errorf("it took longer than %s", CommandLimit))
	defer cancel()
	limited, stop := context.WithCancelCause(limited)
	out := small{full: func() { stop(errTooLong) }}
	said := &proc.Tail{Limit: 4 << 10}
	exit, err := proc.Run(limited, proc.Spec{Args: words, Dir: home, Stdout: &out, Stderr: said, Isolation: proc.Session})
	switch {
	case err != nil:
		return nil, err
	case !exit.OK():
		text := exit.String()
		if line := termsafe.LastLine(said.String()); line != "" {
			text += "; it said: " + termsafe.Line(line, 300)
		}
		return nil, errors.New(text)
	}
	return out.data, nil
}

// small keeps one value, and says when that is too long.
type small struct {
	data []byte
	full func()
}

func (s *small) Write(p []byte) (int, error) {
	if len(s.data)+len(p) > MaxValue+2 {
		s.full()
		return 0, errTooLong
	}
	s.data = append(s.data, p...)
	return len(p), nil
}
