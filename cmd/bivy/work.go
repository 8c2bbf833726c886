package main

import (
	"fmt"
	"strings"

	"bivy/workspace"
)

// rescueHint names the commands that keep the work, and that lose it.
func rescueHint(s workspace.Status) string {
	force := "lose it with: bivy rm --force " + s.Record.FullName().String()
	idle := s
	idle.Running, idle.RunningCount = nil, 0
	switch {
	case idle.Clean():
		return "end what runs there first, or " + force
	case s.CommitCount > 0:
		return "bring commits home with: bivy pull " + s.Record.FullName().String() + " — or " + force
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
	list("included", s.IncludedCount, s.Included)
	commits := make([]string, 0, len(s.Commits))
	for _, c := range s.Commits {
		commits = append(commits, c.ID[:min(len(c.ID), 10)]+" "+c.Subject)
	}
	list("commit", s.CommitCount, commits)
	if s.Stashes > 0 {
		lines = append(lines, fmt.Sprintf("stashes: %d", s.Stashes))
	}
	running := make([]string, 0, len(s.Running))
	for _, p := range s.Running {
		running = append(running, fmt.Sprintf("%d %s", p.PID, p.Command))
	}
	list("running", s.RunningCount, running)
	for _, why := range s.Unknown {
		lines = append(lines, "unknown: "+why)
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
