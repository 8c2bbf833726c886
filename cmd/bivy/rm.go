package main

import (
	"context"
	"strings"

	"bivy/workspace"
)

// RmCmd is `bivy rm`.
type RmCmd struct {
	WS    []string `arg:"" name:"ws" placeholder:"WS" help:"Workspaces, as [PROJECT/]NAME."`
	Force bool     `name:"force" short:"f" help:"Remove even what would be lost, and end what runs there."`
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
