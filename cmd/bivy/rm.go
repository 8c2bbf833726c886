package main

import (
	"context"
	"strings"

	"bivy/internal/termsafe"
	"bivy/workspace"
)

// RmCmd is `bivy rm`.
type RmCmd struct {
	WS    []string `arg:"" name:"ws" placeholder:"WS" help:"Workspaces, as [PROJECT/]NAME."`
	Force bool     `name:"force" short:"f" help:"Remove even what would be lost, and end what runs there."`
}

// Help is the long help.
func (*RmCmd) Help() string {
	return `Removes the workspaces on their hosts, and forgets them. Refuses where something would be lost: changes, untracked
files, ignored files of .bivy/include that changed, stashes, commits that are nowhere else, or what runs there. A
directory that was adopted stays.

  bivy rm fix-1`
}

type rmFields struct {
	Format  int      `json:"format"`
	Removed []string `json:"removed"`
}

// Run removes one workspace after the other and stops at the first that
// cannot be.
func (c *RmCmd) Run(ctx context.Context, app *App) error {
	refs := make([]workspace.Ref, 0, len(c.WS))
	for _, name := range c.WS {
		ref, err := workspace.ParseRef(name)
		if err != nil {
			return &usageError{err: err}
		}
		refs = append(refs, ref)
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	var removed []string
	for _, ref := range refs {
		rec, rmErr := ws.Remove(ctx, ref, c.Force)
		if rmErr != nil {
			err = rmErr
			break
		}
		if rec.Adopted {
			app.UI.Note("bivy: %s stays on %s: it was adopted", termsafe.Line(rec.Dir, 300), rec.Host)
		}
		removed = append(removed, rec.FullName().String())
	}
	if len(removed) == 0 {
		return err
	}
	if outErr := app.UI.Result(rmFields{1, removed}, strings.Join(removed, "\n")+"\n"); err == nil {
		err = outErr
	}
	return err
}
