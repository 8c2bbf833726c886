package main

import (
	"context"
	"errors"
	"fmt"

	"bivy/internal/humane"
	"bivy/internal/termsafe"
	"bivy/workspace"
)

// NewCmd is `bivy new`.
type NewCmd struct {
	Name    string `arg:"" optional:"" placeholder:"NAME" help:"Name of the workspace; one is made up without."`
	Host    string `name:"host" required:"" placeholder:"HOST" help:"Where: anything that ssh takes."`
	Project string `name:"project" default:"." placeholder:"DIR" help:"A directory of the project's git repository."`
	Ref     string `name:"ref" default:"HEAD" placeholder:"REF" help:"What of the project to send: a branch, tag or commit."`
	Root    string `name:"root" default:"~/bivy" placeholder:"DIR" help:"Directory on the host for all workspaces."`
	Dirty   bool   `name:"dirty" help:"Send the work tree as it is: changed files, and untracked ones that are not ignored."`
	History bool   `name:"history" help:"Send the history of --ref as well, as it is."`
	Depth   int    `name:"history-depth" placeholder:"N" help:"With --history: the last N commits only."`
	NoInit  bool   `name:"no-init" help:"Do not run the project's .bivy/init there."`
	Adopt   string `name:"adopt" placeholder:"REMOTE_DIR" help:"Take a directory that is there already, as it is; rm leaves it."`
}

// Help is the long help.
func (*NewCmd) Help() string {
	return `Sends one commit with the tree of --ref and no history, without the paths that
export-ignore keeps out of "git archive". Other branches, remotes and hooks stay here, and so do uncommitted and
untracked files without --dirty, and ignored ones that .bivy/include does not name. The workspace is an ordinary git
repository on a branch of its own name. Where the project has .bivy/init, that runs there once.
Prints the name of the workspace, and nothing else, on stdout.

  bivy new fix-1 --host gpu1`
}

// Run makes the workspace.
func (c *NewCmd) Run(ctx context.Context, app *App) error {
	if c.Name != "" {
		if ref, err := workspace.ParseRef(c.Name); err != nil {
			return &usageError{err: err}
		} else if ref.Project != "" {
			return usagef("give a NAME without a project: the project is the one of --project")
		}
	}
	target, err := app.Target(c.Host)
	if err != nil {
		return err
	}
	if c.Adopt != "" {
		return c.adopt(ctx, app, target)
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	bar := newProgress(app.UI)
	made, err := ws.Create(ctx, workspace.Wish{
		Name: c.Name, Target: target, ProjectDir: c.Project, Ref: c.Ref, Root: c.Root, Dirty: c.Dirty,
		History: c.History, Depth: c.Depth, SkipUntrusted: app.interactive(), Progress: bar.Show,
	})
	bar.End()
	if err != nil {
		return err
	}
	rec := made.Record
	app.noteLeft(made.Nested, made.Untrusted, made.LFS)
	sent := "the host had its files already"
	if made.Objects > 0 {
		sent = "sent " + humane.Bytes(made.Sent)
	}
	app.UI.Note("bivy: %s is ready in %s on %s (%s)", rec.FullName(), termsafe.Line(rec.Dir, 300), rec.Host, sent)
	var initErr error
	if made.Init && !c.NoInit {
		initErr = app.runInit(ctx, ws, &rec)
	}
	// The workspace is there, whatever became of its init.
	err = app.UI.Result(newFields{
		Format: 1, recordFields: fieldsOf(rec), SentBytes: made.Sent, SentObjects: made.Objects, LeftOut: made.LeftOut,
	}, rec.Name+"\n")
	return errors.Join(initErr, err)
}

type newFields struct {
	Format int `json:"format"`
	recordFields
	SentBytes   int64 `json:"sent_bytes"`
	SentObjects int64 `json:"sent_objects"`
	LeftOut     int   `json:"left_out"`
}

// recordFields is a workspace in JSON.
type recordFields struct {
	Workspace  string `json:"workspace"`
	Project    string `json:"project"`
	Name       string `json:"name"`
	Host       string `json:"host"`
	Dir        string `json:"dir"`
	Branch     string `json:"branch"`
	Snapshot   string `json:"snapshot"`
	Source     string `json:"source"`
	Ref        string `json:"ref"`
	ProjectDir string `json:"project_dir"`
	State      string `json:"state"`
	Adopted    bool   `json:"adopted"`
	RenameTo   string `json:"rename_to,omitempty"`

	Init      *workspace.Init `json:"init,omitempty"`
	CreatedAt string          `json:"created_at"`
}

func fieldsOf(r workspace.Record) recordFields {
	return recordFields{
		Workspace: r.FullName().String(), Project: r.Project, Name: r.Name, Host: r.Host, Dir: r.Dir, Branch: r.Branch,
		Snapshot: r.Snapshot, Source: r.Source, Ref: r.Ref, ProjectDir: r.ProjectDir, State: string(r.State), Adopted: r.Adopted,
		RenameTo: r.RenameTo, Init: r.Init, CreatedAt: fmt.Sprint(r.Created.UTC().Format("2006-01-02T15:04:05Z")),
	}
}
