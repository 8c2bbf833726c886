package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"bivy/internal/humane"
	"bivy/workspace"
)

// PruneCmd is `bivy prune`.
type PruneCmd struct {
	Host string   `arg:"" name:"host" placeholder:"HOST" help:"Where: anything that ssh takes."`
	Yes  bool     `name:"yes" short:"y" help:"Remove it; without, it is only listed."`
	Root []string `name:"root" sep:"none" placeholder:"DIR" help:"Look in this directory for workspaces as well; repeatable."`
}

// Help is the long help.
func (*PruneCmd) Help() string {
	return `Lists what bivy left on a host and nothing needs: stores of projects that have no workspace there any more, what
commands that were cut off left half-made, and locks of dead processes; under ~/bivy and the directories of your
workspaces there. Workspaces are never removed by it, and nothing that somebody is at work with.

  bivy prune gpu1
  bivy prune gpu1 --yes`
}

type pruneFields struct {
	Format  int                  `json:"format"`
	Host    string               `json:"host"`
	Removed bool                 `json:"removed"`
	Items   []workspace.Leftover `json:"items"`
	Bytes   int64                `json:"bytes"`
	Unknown []string             `json:"unknown_workspaces"`
}

// Run lists or removes it.
func (c *PruneCmd) Run(ctx context.Context, app *App) error {
	target, err := app.Target(c.Host)
	if err != nil {
		return err
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	found, err := ws.Prune(ctx, target, c.Root, c.Yes)
	if err != nil && len(found.Items) == 0 {
		return err
	}
	out := pruneFields{Format: 1, Host: c.Host, Removed: c.Yes, Items: some(found.Items), Unknown: some(found.Unknown)}
	for _, item := range found.Items {
		out.Bytes += item.Bytes
	}
	for _, path := range found.Unknown {
		app.UI.Note("bivy: %s is a workspace, but none of this machine's; it stays", path)
	}
	if n := len(found.Items); n > 0 {
		what := humane.Plural(n, "thing", "things") + ", " + humane.Bytes(out.Bytes)
		if c.Yes {
			app.UI.Note("bivy: removed %s", what)
		} else {
			app.UI.Note("bivy: found %s; remove it with: bivy prune %s --yes", what, c.Host)
		}
	}
	if outErr := app.UI.Result(out, pruneTable(found.Items)); err == nil {
		err = outErr
	}
	return err
}

func pruneTable(items []workspace.Leftover) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, item := range items {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", item.Kind, humane.Bytes(item.Bytes), item.Path)
	}
	_ = w.Flush()
	return b.String()
}
