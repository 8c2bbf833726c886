package main

import (
	"context"

	"bivy/workspace"
)

// RenameCmd is `bivy rename`.
type RenameCmd struct {
	WS  string `arg:"" name:"ws" placeholder:"WS" help:"Workspace, as [PROJECT/]NAME."`
	New string `arg:"" name:"new" placeholder:"NEW" help:"Its new name, in the same project."`
}

// Help is the long help.
func (*RenameCmd) Help() string {
	return `Renames the workspace and its directory on the host, unless something runs there. The branch keeps its name, and so do
commits that were pulled. A directory that was adopted stays where it is. If it is cut off, repeat it.

  bivy rename fix-1 fix-login`
}

type renameFields struct {
	Format  int    `json:"format"`
	OldName string `json:"old_name"`
	recordFields
}

// Run renames the workspace and prints its new name.
func (c *RenameCmd) Run(ctx context.Context, app *App) error {
	ref, name, err := refAndName(c.WS, c.New)
	if err != nil {
		return err
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	rec, err := ws.Rename(ctx, ref, name)
	if err != nil {
		return err
	}
	return app.UI.Result(renameFields{1, ref.Name, fieldsOf(rec)}, rec.Name+"\n")
}

// refAndName reads a workspace and the name of another one in its project.
func refAndName(ws, name string) (workspace.Ref, string, error) {
	ref, err := workspace.ParseRef(ws)
	if err != nil {
		return ref, "", &usageError{err: err}
	}
	other, err := workspace.ParseRef(name)
	if err != nil {
		return ref, "", &usageError{err: err}
	}
	if other.Project != "" && other.Project != ref.Project {
		return ref, "", usagef("give the new NAME without a project: it stays in the same one")
	}
	return ref, other.Name, nil
}
