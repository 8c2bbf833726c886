package main

import (
	"context"

	"bivy/internal/termsafe"
	"bivy/workspace"
)

// ForkCmd is `bivy fork`.
type ForkCmd struct {
	WS    string `arg:"" name:"ws" placeholder:"WS" help:"Workspace, as [PROJECT/]NAME."`
	New   string `arg:"" name:"new" placeholder:"NEW" help:"Name of the new workspace, in the same project."`
	Dirty bool   `name:"dirty" help:"Take uncommitted and untracked files along; all of them are unstaged then."`
}

// Help is the long help.
func (*ForkCmd) Help() string {
	return `Makes a workspace beside another one, on its host: with the same commits and local branches, on a branch NEW of its own.
With --dirty its files are those of the other one, and so are the ignored ones that .bivy/include sent. The other one is
not changed. Its stashes and tags stay with it. Prints the name of the new workspace.

  bivy fork fix-1 fix-1-b --dirty`
}

type forkFields struct {
	Format int `json:"format"`
	recordFields
	From  string `json:"from"`
	Dirty bool   `json:"dirty"`
}

// Run makes the fork.
func (c *ForkCmd) Run(ctx context.Context, app *App) error {
	ref, name, err := refAndName(c.WS, c.New)
	if err != nil {
		return err
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	rec, err := ws.Fork(ctx, ref, name, c.Dirty)
	if err != nil {
		return err
	}
	from := workspace.Ref{Project: rec.Project, Name: ref.Name}
	app.UI.Note("bivy: %s is ready in %s on %s, on branch %s (from %s)",
		rec.FullName(), termsafe.Line(rec.Dir, 300), rec.Host, rec.Branch, from)
	return app.UI.Result(forkFields{1, fieldsOf(rec), from.String(), c.Dirty}, rec.Name+"\n")
}
