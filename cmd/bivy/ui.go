package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/internal/termsafe"
	"bivy/secrets"
)

// UI is where a command speaks: results on Out, all else on Err.
type UI struct {
	In, Out, Err *os.File
	JSON, Quiet  bool
	Verbose      int

	// secrets are the values that must not be shown.
	secrets *secrets.Redactor
	// lent is the terminal that a command on a host has.
	lent atomic.Pointer[exec.TTY]
}

func newUI(in, out, err *os.File) *UI {
	return &UI{In: in, Out: out, Err: err, secrets: &secrets.Redactor{}}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// logged returns a context with the logger of this run: warnings always,
// phases with -v, every argv with -vv; JSON lines under --json.
func (u *UI) logged(ctx context.Context) context.Context {
	level := zerolog.WarnLevel
	switch {
	case u.Quiet:
		level = zerolog.ErrorLevel
	case u.Verbose == 1:
		level = zerolog.InfoLevel
	case u.Verbose > 1:
		level = zerolog.DebugLevel
	}
	out := u.secrets.Messages(u.Err)
	if !u.JSON {
		out = zerolog.ConsoleWriter{
			Out: out, NoColor: !isTerminal(u.Err), TimeFormat: time.TimeOnly,
			PartsExclude: partsWithout(u.Verbose),
			FormatLevel:  func(any) string { return "bivy:" },
		}
	}
	zerolog.DurationFieldUnit, zerolog.DurationFieldInteger = time.Millisecond, true
	logger := zerolog.New(out).Level(level).With().Timestamp().Logger()
	return logger.WithContext(ctx)
}

// partsWithout drops the time from messages that people get unasked.
func partsWithout(verbose int) []string {
	if verbose > 0 {
		return nil
	}
	return []string{zerolog.TimestampFieldName}
}

// terminal is where ssh may ask: the user's terminal, if somebody looks at
// what we print. Being in the session of a terminal is not enough: agents are
// too, and a question would reach the wrong screen.
func (u *UI) terminal(batch bool) *mux.Terminal {
	if batch || !isTerminal(u.Err) {
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	return &mux.Terminal{In: tty, Out: tty, Quiet: u.Quiet}
}

// lend notes that a command is about to have the user's terminal.
func (u *UI) lend(t *exec.TTY) *exec.TTY {
	u.lent.Store(t)
	return t
}

// takeBack restores a terminal that was lent, on the ways out that do not wait
// for the command's end: a second signal, a panic.
func (u *UI) takeBack() {
	if t := u.lent.Load(); t != nil {
		t.Restore()
	}
}

// Result prints one result: a JSON object under --json, else the text.
func (u *UI) Result(object any, text string) error {
	if u.JSON {
		return u.object(object)
	}
	_, err := io.WriteString(u.Out, text)
	return err
}

func (u *UI) object(object any) error {
	enc := json.NewEncoder(u.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(object)
}

// Note tells a person something that is no result.
func (u *UI) Note(format string, args ...any) {
	if !u.Quiet && !u.JSON {
		_, _ = io.WriteString(u.Err, u.secrets.Text(fmt.Sprintf(format+"\n", args...)))
	}
}

// safe makes host output fit for the file: without secrets and filtered where
// that is a terminal, as it is everywhere else. The second value ends the filter.
func (u *UI) safe(f *os.File, raw bool) (io.Writer, func()) {
	if !isTerminal(f) {
		return f, func() {}
	}
	if raw {
		w := u.secrets.Writer(f)
		return w, func() { _ = w.Close() }
	}
	c := &colours{out: f}
	filter := termsafe.NewWriter(c)
	// First the secrets: what is made safe may not be the value any more.
	w := u.secrets.Writer(filter)
	return w, func() {
		_ = w.Close()
		_ = filter.Close()
		c.reset()
	}
}

// through keeps secrets from a terminal that a command has as it is; nil where
// its output goes elsewhere.
func (u *UI) through() func(io.Writer) io.WriteCloser {
	if !isTerminal(u.Out) {
		return nil
	}
	return func(out io.Writer) io.WriteCloser { return u.secrets.Writer(out) }
}

// colours notes whether colours passed, and takes them back at the end: a host
// must not make our own next words invisible.
type colours struct {
	out  io.Writer
	seen bool
}

func (c *colours) Write(p []byte) (int, error) {
	c.seen = c.seen || bytes.IndexByte(p, '\x1b') >= 0
	return c.out.Write(p)
}

func (c *colours) reset() {
	if c.seen {
		_, _ = io.WriteString(c.out, "\x1b[0m")
	}
}
