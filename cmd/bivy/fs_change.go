package main

import (
	"context"
	"fmt"
	"strings"

	"bivy/exec/file"
	"bivy/internal/humane"
)

// FsMkdirCmd is `bivy fs mkdir`.
type FsMkdirCmd struct {
	Path string `arg:"" name:"ws:path" help:"The directory."`
	FilePlace
	Parents bool `name:"parents" short:"p" help:"Make those above it too, and be content if it is there."`
}

type mkdirFields struct {
	Format int `json:"format"`
	file.Name
	Created bool `json:"created"`
}

// Run makes the directory.
func (c *FsMkdirCmd) Run(ctx context.Context, app *App) error {
	files, paths, err := c.open(app, c.Path)
	if err != nil {
		return err
	}
	created, err := files.Mkdir(ctx, paths[0], file.MkdirOptions{Parents: c.Parents})
	if err != nil {
		return err
	}
	text := shown(paths[0]) + " is there already\n"
	if created {
		text = "created " + shown(paths[0]) + "\n"
	}
	return app.UI.Result(mkdirFields{1, named(paths[0]), created}, text)
}

// FsMvCmd is `bivy fs mv`.
type FsMvCmd struct {
	From string `arg:"" name:"ws:from" help:"What is renamed."`
	To   string `arg:"" name:"to" help:"Its new name, without WS:; relative to the workspace as FROM is, and nothing is there yet."`
	FilePlace
}

type mvFields struct {
	Format int       `json:"format"`
	From   file.Name `json:"from"`
	To     file.Name `json:"to"`
}

// Run renames.
func (c *FsMvCmd) Run(ctx context.Context, app *App) error {
	if ws, _, ok := strings.Cut(c.From, ":"); ok && c.Host == "" && strings.HasPrefix(c.To, ws+":") {
		return usagef("the new name goes without the workspace: %q, or %q if it is meant so", strings.TrimPrefix(c.To, ws+":"), "./"+c.To)
	}
	files, paths, err := c.open(app, c.From)
	if err != nil {
		return err
	}
	if paths[0] == "" || c.To == "" {
		return usagef("give two names")
	}
	if err := files.Move(ctx, paths[0], c.To, file.MoveOptions{}); err != nil {
		return err
	}
	return app.UI.Result(mvFields{1, named(paths[0]), named(c.To)}, fmt.Sprintf("renamed %s to %s\n", shown(paths[0]), shown(c.To)))
}

// FsRmCmd is `bivy fs rm`.
type FsRmCmd struct {
	Paths []string `arg:"" name:"ws:path" help:"Files, links and, with -r, directories."`
	FilePlace
	Recursive bool `name:"recursive" short:"r" help:"Remove directories with all that they hold."`
}

// Help is the long help.
func (*FsRmCmd) Help() string {
	return `Where one cannot be removed, for what is seen before, none is. The workspace itself,
the home directory and what holds one of them are refused (83). A link is removed,
and never what it leads to; what lies behind a link that leads out of the workspace
is removed only by a path that shows it, absolute or with "..".

  bivy fs rm -r fix-1:build fix-1:dist`
}

type rmFileFields struct {
	Format  int         `json:"format"`
	Files   []file.Name `json:"files"`
	Removed int         `json:"removed"`
}

// Run removes.
func (c *FsRmCmd) Run(ctx context.Context, app *App) error {
	files, paths, err := c.open(app, c.Paths...)
	if err != nil {
		return err
	}
	out := rmFileFields{Format: 1}
	for i, p := range paths {
		if p == "" {
			paths[i] = "." // which is refused as what it is
		}
		out.Files = append(out.Files, named(p))
	}
	out.Removed, err = files.Remove(ctx, paths, file.RemoveOptions{Recursive: c.Recursive, Below: c.Host == ""})
	if err != nil {
		return err
	}
	return app.UI.Result(out, "removed "+humane.Plural(out.Removed, "path", "paths")+"\n")
}
