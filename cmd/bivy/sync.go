package main

import (
	"context"
	"fmt"
	"strings"

	"bivy/internal/humane"
	"bivy/workspace"
)

// SyncCmd is `bivy sync`.
type SyncCmd struct {
	WS     string `arg:"" name:"ws" placeholder:"WS" help:"Workspace, as [PROJECT/]NAME."`
	Ref    string `name:"ref" placeholder:"REF" help:"What of the project to send; by default what the workspace was made from."`
	Dirty  bool   `name:"dirty" help:"Send the work tree as it is: changed files, and untracked ones that are not ignored."`
	DryRun bool   `name:"dry-run" short:"n" help:"List what would cross, with sizes, and ask no host."`
	Rebase bool   `name:"rebase" xor:"mode" help:"Put the workspace's commits on top of the new state."`
	Force  bool   `name:"force" xor:"mode" help:"Set the workspace's work aside there, under refs/bivy/kept."`
}

// Help is the long help.
func (*SyncCmd) Help() string {
	return `Brings the project's new commits, or with --dirty the work tree as it is, to a workspace. Only what the host
does not have crosses. It refuses (exit code 83) where the workspace has commits or changes that the new state would
hide; what does not touch the files that change stays as it is.

  bivy sync fix-1
  bivy sync fix-1 --dirty
  bivy sync fix-1 --dry-run`
}

// Run brings the workspace to the new state.
func (c *SyncCmd) Run(ctx context.Context, app *App) error {
	rec, err := app.find(c.WS)
	if err != nil {
		return err
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	wish := workspace.SyncWish{Ref: c.Ref, Dirty: c.Dirty, Mode: workspace.SyncPlain, SkipUntrusted: app.interactive()}
	switch {
	case c.Rebase:
		wish.Mode = workspace.SyncRebase
	case c.Force:
		wish.Mode = workspace.SyncForce
	}
	if c.DryRun {
		return c.preview(ctx, app, ws, rec, wish)
	}
	bar := newProgress(app.UI)
	wish.Progress = bar.Show
	done, err := ws.Sync(ctx, rec.FullName(), wish)
	bar.End()
	if err != nil {
		return err
	}
	app.noteLeft(done.Nested, done.Untrusted, done.LFS)
	return app.UI.Result(syncJSON(done), syncText(done))
}

type syncFields struct {
	Format int `json:"format"`
	recordFields
	Head        string   `json:"head"`
	UpToDate    bool     `json:"up_to_date"`
	SentBytes   int64    `json:"sent_bytes"`
	SentObjects int64    `json:"sent_objects"`
	LeftOut     int      `json:"left_out"`
	Nested      []string `json:"nested"`
	Kept        string   `json:"kept,omitempty"`
	Rebased     int      `json:"rebased"`
}

func syncJSON(s workspace.Synced) syncFields {
	return syncFields{
		Format: 1, recordFields: fieldsOf(s.Record), Head: s.Head, UpToDate: s.Nothing, SentBytes: s.Sent, SentObjects: s.Objects,
		LeftOut: s.LeftOut, Nested: some(s.Nested), Kept: s.Kept, Rebased: s.Rebased,
	}
}

func syncText(s workspace.Synced) string {
	var b strings.Builder
	name := s.Record.FullName()
	if s.Nothing {
		return fmt.Sprintf("%s is up to date\n", name)
	}
	sent := "the host had it already"
	if s.Objects > 0 {
		sent = "sent " + humane.Bytes(s.Sent)
	}
	source := s.Record.Source
	_, _ = fmt.Fprintf(&b, "%s is at %s now (%s)\n", name, source[:min(len(source), 12)], sent)
	if s.Rebased > 0 {
		_, _ = fmt.Fprintf(&b, "%s on top of it\n", humane.Plural(s.Rebased, "commit of its own is", "commits of its own are"))
	}
	if s.Kept != "" {
		_, _ = fmt.Fprintf(&b, "what it had is set aside there: %s\n", s.Kept)
	}
	return b.String()
}

// noteLeft names what stayed here: the repositories inside the project, the
// included files where nobody has approved them, and what git-lfs has.
func (a *App) noteLeft(nested []string, untrusted bool, lfs int) {
	if lfs > 0 {
		a.UI.Note("bivy: of %s only the pointer of git-lfs was sent", humane.Plural(lfs, "file", "files"))
	}
	for _, dir := range nested[:min(len(nested), 5)] {
		a.UI.Note("bivy: %q is a repository of its own and was not sent", dir)
	}
	if untrusted {
		a.UI.Note("bivy: %s is not approved, and no file went along by it; look at it: bivy trust", workspace.IncludeFile)
	}
}

// preview lists what would cross.
func (c *SyncCmd) preview(ctx context.Context, app *App, ws *workspace.Workspaces, rec workspace.Record, wish workspace.SyncWish) error {
	p, err := ws.Preview(ctx, rec, wish)
	if err != nil {
		return err
	}
	app.noteLeft(p.Nested, p.Untrusted, 0)
	type file struct {
		Change string `json:"change"`
		Path   string `json:"path"`
		Bytes  int64  `json:"bytes"`
	}
	fields := struct {
		Format int `json:"format"`
		recordFields
		Files []file `json:"files"`
		Bytes int64  `json:"bytes"`
	}{Format: 1, recordFields: fieldsOf(rec), Files: []file{}}
	var b strings.Builder
	for _, f := range p.Files {
		fields.Files = append(fields.Files, file{f.Change, f.Path, f.Size})
		fields.Bytes += f.Size
		_, _ = fmt.Fprintf(&b, "%-9s %10s  %s\n", f.Change, humane.Bytes(f.Size), safePath(f.Path))
	}
	_, _ = fmt.Fprintf(&b, "%s, %s before compression\n", humane.Plural(len(p.Files), "file", "files"), humane.Bytes(fields.Bytes))
	return app.UI.Result(fields, b.String())
}
