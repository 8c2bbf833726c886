package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"bivy/exec/file"
	"bivy/internal/humane"
)

// FsEditCmd is `bivy fs edit`.
type FsEditCmd struct {
	Path string `arg:"" name:"ws:path" help:"The file."`
	FilePlace
	Old     *string `name:"old" placeholder:"S" help:"Text to replace, which must be there once."`
	New     *string `name:"new" placeholder:"S" help:"What replaces it; may be empty."`
	Edits   string  `name:"edits" placeholder:"FILE" help:"Several replacements as JSON, from a file here or \"-\" for stdin: [{\"old\":\"a\",\"new\":\"b\",\"all\":false},…]."`
	All     bool    `name:"all" help:"Replace every occurrence."`
	IfMatch string  `name:"if-match" placeholder:"SHA256" help:"Only if the file has this SHA-256 now; else 84."`
}

// Help is the long help.
func (*FsEditCmd) Help() string {
	return `All replacements are made, each in what those before it have left, or none. A text
that is not there, or not only once, is refused (84). A unified diff is printed.

  bivy fs edit fix-1:main.go --old 'n := 3' --new 'n := 5'
  bivy fs edit fix-1:main.go --edits - <edits.json`
}

type editFields struct {
	Format int `json:"format"`
	file.Name
	Changed    bool    `json:"changed"`
	Before     string  `json:"sha256_before"`
	SHA256     string  `json:"sha256"`
	Length     int64   `json:"length"`
	Replaced   []int   `json:"replaced"`
	Diff       *string `json:"diff,omitempty"`
	DiffBase64 *string `json:"diff_base64,omitempty"`

	OwnerChanged bool `json:"owner_changed"`
	LinksBroken  bool `json:"links_broken"`
}

// Run edits the file and prints the difference.
func (c *FsEditCmd) Run(ctx context.Context, app *App) error {
	sum, err := sha256Flag(c.IfMatch)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	files, paths, err := c.open(app, c.Path)
	if err != nil {
		return err
	}
	changes, err := c.changes(ctx, app.UI)
	if err != nil {
		return err
	}
	// It reads and then writes, in one session that is given up with us: to wait
	// for its end would take another round trip.
	if session, ok := files.Runner.(*file.Session); ok {
		files.Runner = file.InLanes(ctx, session.Masters, session.Target)
	}
	done, err := files.Edit(ctx, paths[0], changes, file.EditOptions{IfMatch: sum})
	if err != nil {
		return err
	}
	if app.UI.JSON {
		return app.UI.object(editJSON(paths[0], done))
	}
	out, end := app.UI.safe(app.UI.Out, false)
	_, err = io.WriteString(out, done.Diff)
	end()
	if err != nil {
		return err
	}
	tellEdited(app.UI, paths[0], done)
	return nil
}

// tellEdited says beside the difference what it does not show.
func tellEdited(ui *UI, path string, e file.Edited) {
	total := 0
	for _, n := range e.Replaced {
		total += n
	}
	if e.SHA256 == e.Before {
		ui.Note("bivy: %s has the same content as before; nothing was written", shown(path))
		return
	}
	ui.Note("bivy: made %s in %s; sha256 %s", humane.Plural(total, "replacement", "replacements"), shown(path), e.SHA256)
	if e.OwnerChanged {
		ui.Note("bivy: it belonged to somebody else before, and is yours now")
	}
	if e.LinksBroken {
		ui.Note("bivy: it had other names (hard links), which keep the old content")
	}
}

// check refuses flags that do not go together, before anything is read.
func (c *FsEditCmd) check() error {
	switch {
	case c.Edits != "" && (c.Old != nil || c.New != nil):
		return usagef("give --old and --new, or --edits, not both")
	case c.Edits == "" && (c.Old == nil || c.New == nil):
		return usagef("say what to replace: --old S --new S, or --edits FILE")
	case c.Old != nil && *c.Old == "":
		return usagef("--old is empty; give the text that is to be replaced")
	case c.Old != nil && *c.Old == *c.New:
		return usagef("--old and --new are the same")
	}
	return nil
}

func (c *FsEditCmd) changes(ctx context.Context, ui *UI) ([]file.Replacement, error) {
	if c.Edits == "" {
		return []file.Replacement{{Old: *c.Old, New: *c.New, All: c.All}}, nil
	}
	if c.Edits == "-" {
		tellTyping(ui, "the edits")
	}
	data, err := readWhole(ctx, func() (io.ReadCloser, error) {
		if c.Edits == "-" {
			return io.NopCloser(ui.In), nil
		}
		return os.Open(c.Edits)
	}, maxEdits)
	switch {
	case errors.Is(err, errTooMuch):
		return nil, usagef("--edits has more than %d bytes, which is the most that is taken", maxEdits)
	case err != nil:
		return nil, fmt.Errorf("read --edits: %w", err)
	}
	changes, err := parseEdits(data)
	for i := range changes {
		changes[i].All = changes[i].All || c.All
	}
	return changes, err
}

func editJSON(path string, e file.Edited) editFields {
	f := editFields{
		Format: 1, Name: named(path), Changed: e.SHA256 != e.Before, Before: e.Before, SHA256: e.SHA256, Length: e.Length,
		Replaced: some(e.Replaced), OwnerChanged: e.OwnerChanged, LinksBroken: e.LinksBroken,
	}
	f.Diff, f.DiffBase64 = inText([]byte(e.Diff))
	return f
}
