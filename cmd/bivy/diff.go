package main

import (
	"context"
	"os"

	"bivy/workspace"
)

// DiffCmd is `bivy diff`.
type DiffCmd struct {
	WS   string `arg:"" name:"ws" placeholder:"WS" help:"Workspace, as [PROJECT/]NAME."`
	Stat bool   `name:"stat" help:"Print a summary: files, and how many lines of each changed."`
}

// Help is the long help.
func (*DiffCmd) Help() string {
	return `Prints what changed in the workspace since the last sync as a unified diff: what was
committed, what was not, and untracked files that are not ignored.`
}

// Run prints what the host says.
func (c *DiffCmd) Run(ctx context.Context, app *App) error {
	rec, err := app.findHere(c.WS)
	if err != nil {
		return err
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	out, end := textOut(app.UI)
	colours := !app.UI.JSON && isTerminal(app.UI.Out) && os.Getenv("NO_COLOR") == ""
	nested, err := ws.Diff(ctx, rec, workspace.DiffWish{Stat: c.Stat, Color: colours, Out: out})
	if err != nil {
		return err
	}
	for _, dir := range nested {
		app.UI.Note("bivy: left out: %s, a repository of its own", dir)
	}
	return end("diff", rec)
}
