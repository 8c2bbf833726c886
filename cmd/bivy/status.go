package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bivy/internal/humane"
	"bivy/internal/termsafe"
	"bivy/workspace"
)

// StatusCmd is `bivy status`.
type StatusCmd struct {
	WS string `arg:"" name:"ws" placeholder:"WS" help:"Workspace, as [PROJECT/]NAME."`
}

type statusFields struct {
	Format int `json:"format"`
	recordFields
	BranchNow      string              `json:"branch_now"`
	Head           string              `json:"head"`
	Clean          bool                `json:"clean"`
	Changed        []string            `json:"changed"`
	ChangedCount   int                 `json:"changed_count"`
	Untracked      []string            `json:"untracked"`
	UntrackedCount int                 `json:"untracked_count"`
	Included       []string            `json:"included"`
	IncludedCount  int                 `json:"included_count"`
	Stashes        int                 `json:"stashes"`
	Ahead          int                 `json:"ahead"`
	Commits        []workspace.Commit  `json:"commits"`
	Behind         *int                `json:"behind"`
	Running        []workspace.Process `json:"running"`
	RunningCount   int                 `json:"running_count"`
	Unknown        []string            `json:"unknown"`
	DiskBytes      int64               `json:"disk_bytes"`
}

// Run asks the host and prints what it says.
func (c *StatusCmd) Run(ctx context.Context, app *App) error {
	rec, err := app.findHere(c.WS)
	if err != nil {
		return err
	}
	ws, err := app.Workspaces()
	if err != nil {
		return err
	}
	s, err := ws.Status(ctx, rec)
	if err != nil {
		return err
	}
	return app.UI.Result(statusJSON(s), statusText(s))
}

func statusJSON(s workspace.Status) statusFields {
	f := statusFields{
		Format: 1, recordFields: fieldsOf(s.Record), BranchNow: s.Branch, Head: s.Head, Clean: s.Clean(),
		Changed: some(s.Changed), ChangedCount: s.ChangedCount,
		Untracked: some(trimmed(s.Untracked, "?? ")), UntrackedCount: s.UntrackedCount,
		Included: some(s.Included), IncludedCount: s.IncludedCount, Stashes: s.Stashes, Ahead: s.CommitCount, Commits: some(s.Commits), Running: some(s.Running), RunningCount: s.RunningCount, Unknown: some(s.Unknown), DiskBytes: s.DiskKiB * 1024,
	}
	if s.Behind >= 0 {
		f.Behind = &s.Behind
	}
	return f
}

// some is a list that JSON shows as [] where it is empty.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func statusText(s workspace.Status) string {
	var b strings.Builder
	r := s.Record
	line := func(key, format string, args ...any) {
		_, _ = fmt.Fprintf(&b, "%-11s%s\n", key, fmt.Sprintf(format, args...))
	}
	line("workspace", "%s on %s, made %s ago", r.FullName(), r.Host, humane.Age(time.Since(r.Created)))
	line("directory", "%s", termsafe.Line(r.Dir, 300))
	branch := s.Branch
	if branch == "" {
		branch = "(no branch)"
	}
	switch {
	case s.NotARepository:
		line("git", "no repository there any more")
	case s.Behind > 0:
		line("branch", "%s, %d ahead of what was sent, %s has %d new here", branch, s.CommitCount, r.Ref, s.Behind)
	default:
		line("branch", "%s, %d ahead of what was sent", branch, s.CommitCount)
	}
	if r.Init != nil {
		line("init", "%s; what it said: %s", r.Init, r.Init.Log)
	}
	if s.DiskKiB >= 0 {
		line("disk", "%s", humane.Bytes(s.DiskKiB*1024))
	}
	if s.Clean() {
		line("state", "clean; nothing would be lost")
		return b.String()
	}
	for _, text := range workLines(s) {
		key, rest, _ := strings.Cut(text, ": ")
		line(key, "%s", rest)
	}
	return b.String()
}
