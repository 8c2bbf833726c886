package main

import (
	"context"

	"bivy/exec/mux"
	"bivy/internal/termsafe"
	"bivy/workspace"
)

// adopt is `bivy new --adopt`.
func (c *NewCmd) adopt(ctx context.Context, app *App, target mux.Target) error {
	if c.Ref != "HEAD" {
		return usagef("--adopt sends nothing, and so takes no --ref")
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	rec, err := ws.Adopt(ctx, workspace.Adoption{
		Name: c.Name, Target: target, Dir: c.Adopt, ProjectDir: c.Project, Own: c.Project == ".",
	})
	if err != nil {
		return err
	}
	app.UI.Note("bivy: %s is %s on %s; bivy rm leaves it there", rec.FullName(), termsafe.Line(rec.Dir, 300), rec.Host)
	return app.UI.Result(newFields{Format: 1, recordFields: fieldsOf(rec)}, rec.Name+"\n")
}
