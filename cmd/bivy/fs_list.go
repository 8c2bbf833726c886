package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"bivy/exec/file"
)

// FsStatCmd is `bivy fs stat`.
type FsStatCmd struct {
	Paths []string `arg:"" name:"ws:path" help:"Files and directories; of a link, the link itself is looked at."`
	FilePlace
}

type statFileFields struct {
	Format int `json:"format"`
	// Files holds a fileFields, or a statTrouble for what could not be looked
	// at, in the order of the arguments.
	Files []any `json:"files"`
}

type statTrouble struct {
	file.Name
	Error statError `json:"error"`
}

type statError struct {
	Class   string `json:"class"`
	Message string `json:"message"`
}

// Run looks at all, prints what is there, and fails with the first that is not.
func (c *FsStatCmd) Run(ctx context.Context, app *App) error {
	files, paths, err := c.open(app, c.Paths...)
	if err != nil {
		return err
	}
	list, err := files.Stat(ctx, paths, file.StatOptions{})
	if err != nil {
		return err
	}
	out := statFileFields{Format: 1, Files: []any{}}
	var there []file.Info
	var failed []error
	for _, s := range list {
		if s.Err == nil {
			out.Files = append(out.Files, fieldsOfFile(s.Info))
			there = append(there, s.Info)
			continue
		}
		f := explain(s.Err)
		out.Files = append(out.Files, statTrouble{named(s.Path), statError{f.Class, f.Message}})
		failed = append(failed, s.Err)
	}
	if err := app.UI.Result(out, fileTable(there)); err != nil || len(failed) == 0 {
		return err
	}
	for _, err := range failed[1:] {
		app.UI.Note("bivy: %s", explain(err).Message)
	}
	return failed[0]
}

func fileTable(list []file.Info) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, i := range list {
		_, _ = fmt.Fprintln(w, fileRow(i))
	}
	_ = w.Flush()
	return b.String()
}

// FsLsCmd is `bivy fs ls`.
type FsLsCmd struct {
	Path string `arg:"" name:"ws:path" help:"The directory; WS: alone is the workspace's."`
	FilePlace
	Recursive bool `name:"recursive" short:"r" help:"All that lies below it."`
	Depth     int  `name:"depth" placeholder:"N" help:"So many levels; 1 is the directory itself."`
}

type listFields struct {
	Format int `json:"format"`
	file.Name
	Entries    []fileFields `json:"entries"`
	Truncated  bool         `json:"truncated"`
	Incomplete bool         `json:"incomplete"`
}

// Run lists the directory. Names are relative to it.
func (c *FsLsCmd) Run(ctx context.Context, app *App) error {
	if c.Depth < 0 || c.Depth > 0 && c.Recursive {
		return usagef("give -r, or --depth with 1 or more")
	}
	depth := c.Depth
	if c.Recursive {
		depth = -1
	}
	files, paths, err := c.open(app, c.Path)
	if err != nil {
		return err
	}
	list, err := files.List(ctx, paths[0], file.ListOptions{Depth: depth})
	if err != nil {
		return err
	}
	out := listFields{Format: 1, Name: named(paths[0]), Entries: []fileFields{}, Truncated: list.Truncated, Incomplete: list.Incomplete}
	for _, i := range list.Entries {
		out.Entries = append(out.Entries, fieldsOfFile(i))
	}
	err = app.UI.Result(out, fileTable(list.Entries))
	tellPartial(app.UI, list.Truncated, list.Incomplete, len(list.Entries), "entries")
	return err
}

// tellPartial says that a result is not all there is.
func tellPartial(ui *UI, truncated, incomplete bool, n int, what string) {
	if truncated {
		ui.Note("bivy: there are more than these %d %s; look for less", n, what)
	}
	if incomplete {
		ui.Note("bivy: something there could not be read, so these may not be all")
	}
}

// FsFindCmd is `bivy fs find`.
type FsFindCmd struct {
	Path string `arg:"" name:"ws:path" help:"The directory; WS: alone is the workspace's."`
	Glob string `arg:"" name:"glob" help:"A glob for the path from there, such as '**/*_test.go'."`
	FilePlace
}

// Help is the long help.
func (*FsFindCmd) Help() string {
	return `* and ? match no slash, ** is any number of directories, [a-z] and {a,b} as usual.
In a git repository, what git ignores is left out.

  bivy fs find fix-1: '**/*.{c,h}'`
}

type findFields struct {
	Format int `json:"format"`
	file.Name
	Files      []file.Name `json:"files"`
	Truncated  bool        `json:"truncated"`
	Incomplete bool        `json:"incomplete"`
	// Git says that what git ignores was left out.
	Git bool `json:"git"`
}

// Run prints the paths, from where the directory's is relative to.
func (c *FsFindCmd) Run(ctx context.Context, app *App) error {
	files, paths, err := c.open(app, c.Path)
	if err != nil {
		return err
	}
	found, err := files.Find(ctx, paths[0], c.Glob, file.FindOptions{})
	if err != nil {
		return err
	}
	out := findFields{
		Format: 1, Name: named(paths[0]), Files: []file.Name{},
		Truncated: found.Truncated, Incomplete: found.Incomplete, Git: found.Git,
	}
	var text strings.Builder
	for _, p := range found.Paths {
		p = within(paths[0], p)
		out.Files = append(out.Files, named(p))
		text.WriteString(shown(p) + "\n")
	}
	err = app.UI.Result(out, text.String())
	tellPartial(app.UI, found.Truncated, found.Incomplete, len(found.Paths), "files")
	return err
}
