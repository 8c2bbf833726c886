package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"bivy/exec/file"
)

// FsWriteCmd is `bivy fs write`.
type FsWriteCmd struct {
	Path string `arg:"" name:"ws:path" help:"The file; directories above it are made."`
	FilePlace
	IfMatch    string `name:"if-match" placeholder:"SHA256" help:"Only if the file has this SHA-256 now; else 84."`
	CreateOnly bool   `name:"create-only" help:"Only if there is nothing of that name; else 82."`
	Mode       string `name:"mode" placeholder:"MODE" help:"Its mode, as 0644; default: what it has, or what the umask there gives."`
}

// Help is the long help.
func (*FsWriteCmd) Help() string {
	return `Writes what comes on stdin, up to 256 MiB. Whatever happens, the file has the old
content or the new.

  bivy fs write fix-1:conf/local.toml <local.toml
  bivy fs write --create-only --mode 0600 fix-1:.env <env`
}

type writeFields struct {
	Format int `json:"format"`
	file.Name
	writtenFields
}

// writtenFields are what a write has done.
type writtenFields struct {
	SHA256       string `json:"sha256"`
	Length       int64  `json:"length"`
	Created      bool   `json:"created"`
	Verified     string `json:"verified"`
	OwnerChanged bool   `json:"owner_changed"`
	LinksBroken  bool   `json:"links_broken"`
}

func writtenJSON(w file.Written) writtenFields {
	return writtenFields{w.SHA256, w.Length, w.Created, w.Verified, w.OwnerChanged, w.LinksBroken}
}

// Run writes the file.
func (c *FsWriteCmd) Run(ctx context.Context, app *App) error {
	options := file.WriteOptions{CreateOnly: c.CreateOnly}
	var err error
	if options.IfMatch, err = sha256Flag(c.IfMatch); err != nil {
		return err
	}
	if options.Mode, err = modeFlag(c.Mode); err != nil {
		return err
	}
	if c.IfMatch != "" && c.CreateOnly {
		return usagef("--if-match wants a file that is there, --create-only none; give one of them")
	}
	files, paths, err := c.open(app, c.Path)
	if err != nil {
		return err
	}
	if paths[0] == "" {
		return usagef("%q names no file", c.Path)
	}
	content, err := readInput(ctx, app.UI, file.MaxWrite)
	if err != nil {
		return err
	}
	done, err := files.Write(ctx, paths[0], content, options)
	if err != nil {
		return err
	}
	return app.UI.Result(writeFields{1, named(paths[0]), writtenJSON(done)}, writtenText(paths[0], done))
}

func writtenText(path string, w file.Written) string {
	what := "replaced"
	if w.Created {
		what = "created"
	}
	text := fmt.Sprintf("%s %s: %d bytes, sha256 %s, checked there by %s\n", what, shown(path), w.Length, w.SHA256, w.Verified)
	if w.OwnerChanged {
		text += "it belonged to somebody else before, and is yours now\n"
	}
	if w.LinksBroken {
		text += "it had other names (hard links), which keep the old content\n"
	}
	return text
}

// sha256Flag checks the value of --if-match.
func sha256Flag(text string) (string, error) {
	sum := strings.ToLower(text)
	if sum != "" && (len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "") {
		return "", usagef("--if-match is %q, which is no SHA-256 of 64 hex digits", text)
	}
	return sum, nil
}

// modeFlag reads the value of --mode; nil is none.
func modeFlag(text string) (*fs.FileMode, error) {
	if text == "" {
		return nil, nil
	}
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil || bits > 0o7777 {
		return nil, usagef("--mode is %q, which is no mode such as 0644", text)
	}
	mode := fs.FileMode(bits & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return &mode, nil
}

// readInput reads stdin to its end.
func readInput(ctx context.Context, ui *UI, limit int64) ([]byte, error) {
	tellTyping(ui, "the content")
	data, err := readWhole(ctx, func() (io.ReadCloser, error) { return io.NopCloser(ui.In), nil }, limit)
	switch {
	case errors.Is(err, errTooMuch):
		return nil, fmt.Errorf("stdin has more than %d bytes, which is the most that is taken", limit)
	case err != nil && ctx.Err() == nil:
		return nil, fmt.Errorf("read stdin: %w", err)
	}
	return data, err
}

// tellTyping says to a person that something is waited for.
func tellTyping(ui *UI, what string) {
	if isTerminal(ui.In) {
		ui.Note("bivy: type %s; ^D at the beginning of a line ends it", what)
	}
}

var errTooMuch = errors.New("it is too much")

// readWhole reads to the end what is opened, or until the context ends. Neither
// can be called off, and to open a FIFO may take as long as to read it: the
// goroutine then ends with the process, which is about to.
func readWhole(ctx context.Context, open func() (io.ReadCloser, error), limit int64) ([]byte, error) {
	type input struct {
		data []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		in, err := open()
		if err != nil {
			done <- input{nil, err}
			return
		}
		data, err := io.ReadAll(io.LimitReader(in, limit+1))
		_ = in.Close() // it was only read
		done <- input{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case in := <-done:
		if in.err == nil && int64(len(in.data)) > limit {
			return nil, errTooMuch
		}
		return in.data, in.err
	}
}
