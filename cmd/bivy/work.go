package main

import (
	"fmt"
	"strings"

	"bivy/sshcmd"
	"bivy/workspace"
)

// rescueHint names the commands that keep the work, and that lose it.
func rescueHint(s workspace.Status) string {
	force := "lose it with: bivy rm --force " + s.Record.FullName().String()
	if s.CommitCount > 0 && s.Branch != "" {
		from := sshcmd.QuoteAll([]string{s.Record.Host + ":" + s.Record.Dir, s.Branch + ":refs/bivy/" + s.Record.Name + "/" + s.Branch})
		return "bring commits home with: git fetch " + from + " — or " + force
	}
	return "commit it and bring it home first, or " + force
}

// workLines lists what a workspace holds that would be lost.
func workLines(s workspace.Status) []string {
	var lines []string
	list := func(what string, n int, entries []string) {
		for _, e := range entries {
			lines = append(lines, what+": "+e)
		}
		if more := n - len(entries); more > 0 && len(entries) > 0 {
			lines = append(lines, fmt.Sprintf("%s: … and %d more", what, more))
		}
	}
	list("changed", s.ChangedCount, s.Changed)
	list("untracked", s.UntrackedCount, trimmed(s.Untracked, "?? "))
	commits := make([]string, 0, len(s.Commits))
	for _, c := range s.Commits {
		commits = append(commits, c.ID[:min(len(c.ID), 10)]+" "+c.Subject)
	}
	list("commit", s.CommitCount, commits)
	if s.Stashes > 0 {
		lines = append(lines, fmt.Sprintf("stashes: %d", s.Stashes))
	}
	for _, p := range s.Running {
		lines = append(lines, fmt.Sprintf("running: %d %s", p.PID, p.Command))
	}
	return lines
}

func trimmed(lines []string, prefix string) []string {
	out := make([]string, 0, len(lines))
	for _, line := range lines {
		out = append(out, strings.TrimPrefix(line, prefix))
	}
	return out
}
