package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"bivy/archive"
	"bivy/internal/humane"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
	"bivy/workspace"
)

// PullCmd is `bivy pull`.
type PullCmd struct {
	WS       string `arg:"" name:"ws" placeholder:"WS" help:"Workspace, as [PROJECT/]NAME."`
	Dirty    bool   `name:"dirty" help:"Bring uncommitted and untracked work too, as one commit more."`
	Patch    bool   `name:"patch" help:"Print the work as patches for git am, and change nothing here."`
	MaxBytes int64  `name:"max-bytes" default:"2147483648" placeholder:"N" help:"Take no more than N bytes from the host."`
}

// Help is the long help.
func (*PullCmd) Help() string {
	return `Brings the workspace's commits into the project, as refs/bivy/NAME/BRANCH: no branch
of yours is touched. They stand on the commit that the workspace was made from, so that a merge is an ordinary one.
A branch that was rewritten there keeps its old tip here, as refs/bivy/NAME/+was/….

  bivy pull fix-1
  git log -p HEAD..refs/bivy/fix-1/fix-1
  git merge refs/bivy/fix-1/fix-1`
}

// Run brings the work here.
func (c *PullCmd) Run(ctx context.Context, app *App) error {
	if c.MaxBytes < 1 {
		return usagef("--max-bytes is %d, which is no number of bytes", c.MaxBytes)
	}
	rec, err := app.find(c.WS)
	if err != nil {
		return err
	}
	target, err := app.recordTarget(rec)
	if err != nil {
		return err
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	bar := newProgress(app.UI)
	wish := workspace.PullWish{Dirty: c.Dirty, MaxBytes: c.MaxBytes, Progress: func(n int64) {
		bar.Show(archive.Progress{Phase: "receiving " + humane.Bytes(n), Percent: -1})
	}}
	if !c.Patch {
		b, err := ws.Pull(ctx, rec.FullName(), target, wish)
		bar.End()
		if err != nil {
			return err
		}
		tellPull(app.UI, b)
		return app.UI.Result(pullJSON(b), pullText(b))
	}
	out, end := textOut(app.UI)
	wish.Patch = writerFunc(func(p []byte) (int, error) {
		bar.End()
		return out.Write(p)
	})
	b, err := ws.Pull(ctx, rec.FullName(), target, wish)
	bar.End()
	if err != nil {
		return err
	}
	tellLeftOut(app.UI, b)
	return end("patch", b.Record)
}

// writerFunc is a function that writes.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// maxText bounds a text that has to be held to become one JSON value, in bytes.
const maxText = 64 << 20

// textOut is where a command prints a text from a host: made safe on a
// terminal, as it is in a pipe, one value of a JSON object under --json. The
// second value ends it.
func textOut(ui *UI) (io.Writer, func(name string, rec workspace.Record) error) {
	if !ui.JSON {
		out, end := ui.safe(ui.Out, false)
		return out, func(string, workspace.Record) error { end(); return nil }
	}
	var held bytes.Buffer
	out := writerFunc(func(p []byte) (int, error) {
		if held.Len()+len(p) > maxText {
			return 0, fmt.Errorf("the text has more than %d bytes, too many for one JSON value; leave --json out", maxText)
		}
		return held.Write(p)
	})
	return out, func(name string, rec workspace.Record) error {
		object := map[string]any{"format": 1, "workspace": rec.FullName().String()}
		text, raw := inText(held.Bytes())
		if object[name] = text; text == nil {
			object[name+"_base64"] = raw
		}
		return ui.object(object)
	}
}

type pullFields struct {
	Format int `json:"format"`
	recordFields
	New       bool         `json:"new"`
	Bytes     int64        `json:"bytes"`
	Refs      []landFields `json:"refs"`
	Nested    []string     `json:"nested"`
	LookWith  *string      `json:"look_with"`
	MergeWith *string      `json:"merge_with"`
}

type landFields struct {
	Branch  string  `json:"branch"`
	Ref     *string `json:"ref"`
	ID      string  `json:"id"`
	There   string  `json:"there"`
	Old     *string `json:"old"`
	Kept    *string `json:"kept"`
	Commits int     `json:"commits"`
	New     bool    `json:"new"`
}

func pullJSON(b workspace.Brought) pullFields {
	f := pullFields{Format: 1, recordFields: fieldsOf(b.Record), New: b.Changed(), Bytes: b.Bytes, Refs: []landFields{}, Nested: some(b.Nested)}
	for _, l := range b.Landings {
		f.Refs = append(f.Refs, landFields{
			Branch: l.Name, Ref: filled(l.Ref), ID: l.Here, There: l.Commit, Old: filled(l.Old), Kept: filled(l.Kept), Commits: l.Commits, New: l.Changed(),
		})
	}
	if l, ok := toLookAt(b); ok {
		look, merge := gitHints(b.Record, l)
		f.LookWith, f.MergeWith = &look, &merge
	}
	return f
}

// filled is a text that JSON shows as null where it is empty.
func filled(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// pullText is a line for each ref that is new or has moved.
func pullText(b workspace.Brought) string {
	var text strings.Builder
	for _, l := range b.Landings {
		if l.Changed() {
			_, _ = fmt.Fprintf(&text, "%s %s %s\n", termsafe.Line(l.Ref, 300), l.Here[:min(len(l.Here), 12)], humane.Plural(l.Commits, "new commit", "new commits"))
		}
	}
	return text.String()
}

// tellPull says what to do with it.
func tellPull(ui *UI, b workspace.Brought) {
	tellLeftOut(ui, b)
	for _, l := range b.Landings {
		if l.Kept != "" {
			ui.Note("bivy: %s was rewritten there; what it was before is %s", termsafe.Line(l.Name, 200), termsafe.Line(l.Kept, 300))
		}
	}
	l, ok := toLookAt(b)
	if !ok {
		ui.Note("bivy: nothing new in %s", b.Record.FullName())
		return
	}
	look, merge := gitHints(b.Record, l)
	ui.Note("bivy: look at it: %s", look)
	ui.Note("bivy: merge it:   %s", merge)
}

func tellLeftOut(ui *UI, b workspace.Brought) {
	for _, dir := range b.Nested {
		ui.Note("bivy: left out: %s, a repository of its own", dir)
	}
	if b.Merges > 0 {
		ui.Note("bivy: left out: %s, for which there is no patch", humane.Plural(b.Merges, "merge", "merges"))
	}
	if b.Damaged {
		ui.Note("bivy: git there finds something broken; commits that no branch leads to were left there")
	}
}

// toLookAt is the ref to look at first.
func toLookAt(b workspace.Brought) (first archive.Landing, ok bool) {
	for _, l := range b.Landings {
		if l.Changed() && (!ok || l.Name == b.Main) {
			first, ok = l, true
		}
	}
	return first, ok
}

// gitHints are the commands to look at a ref and to merge it; -C stands in them
// where this is not the project's directory.
func gitHints(rec workspace.Record, l archive.Landing) (look, merge string) {
	git := []string{"git"}
	here, err := os.Getwd()
	if err == nil {
		here, err = filepath.EvalSymlinks(here)
	}
	if err != nil || here != rec.ProjectDir && !strings.HasPrefix(here, strings.TrimSuffix(rec.ProjectDir, "/")+"/") {
		git = append(git, "-C", rec.ProjectDir)
	}
	git = git[:len(git):len(git)]
	return termsafe.Line(sshcmd.QuoteAll(append(git, "log", "-p", "HEAD.."+l.Ref)), 1000),
		termsafe.Line(sshcmd.QuoteAll(append(git, "merge", l.Ref)), 1000)
}
