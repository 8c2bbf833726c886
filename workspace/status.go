package workspace

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"bivy/archive"
	"bivy/internal/termsafe"
)

// maxListed is how many of each kind of thing a report lists.
const maxListed = 20

// Process is something that runs in a workspace.
type Process struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

// Commit is a commit in a workspace, as far as the host tells.
type Commit struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
}

// Status is what a workspace holds. All text in it came from the host and is
// safe for a terminal; lists are cut at 20 entries, counts are not.
type Status struct {
	Record Record
	// Branch is empty where HEAD is detached.
	Branch, Head string
	// Changed and Untracked are lines of git's short status, those of linked
	// worktrees included. A changed line that starts with S, s or h is a file
	// that git was told not to look at, by git-ls-files(1)'s letter.
	Changed, Untracked           []string
	ChangedCount, UntrackedCount int
	Stashes                      int
	// Included are the ignored files that .bivy/include took along and that have
	// changed there, or that it means and are new.
	Included      []string
	IncludedCount int
	// Commits are those that neither our snapshot nor a remote there has.
	Commits     []Commit
	CommitCount int
	// Behind counts the commits that the project's ref has gained here since;
	// -1 where the project or the ref is not there any more.
	Behind       int
	Running      []Process
	RunningCount int
	// Unknown says what could not be found out, mostly in git's words; it may
	// hide anything, and so stands in the way like work.
	Unknown []string
	// DiskKiB is the size in KiB; -1 where it was not asked for.
	DiskKiB int64
	// NotARepository says that the directory is there and git's is not.
	NotARepository bool

	tips []string
}

// Clean reports whether nothing would be lost with the workspace.
func (s Status) Clean() bool {
	return s.ChangedCount == 0 && s.UntrackedCount == 0 && s.Stashes == 0 && s.CommitCount == 0 && s.IncludedCount == 0 &&
		s.RunningCount == 0 && !s.NotARepository && len(s.Unknown) == 0
}

// Status asks the host what a workspace holds, in one round trip.
func (w *Workspaces) Status(ctx context.Context, rec Record) (Status, error) {
	lease, err := w.Masters.Lease(ctx, rec.Target())
	if err != nil {
		return Status{}, err
	}
	defer lease.Release()
	script := "bivy_need_git\n" + inspectFunction() + linesScript + includedScript + "bivy_inspect || exit\nbivy_included\n"
	a, err := ask(ctx, lease, script, inspectVars(rec, true), rec.Dir, nil)
	if err != nil {
		return Status{}, err
	}
	s := statusOf(rec, a)
	s.Behind = -1
	if repo, err := archive.Open(ctx, rec.ProjectDir); err == nil {
		if n, err := repo.Behind(ctx, rec.Source, rec.Ref); err == nil {
			s.Behind = n
		}
	}
	return s, nil
}

// inspectFunction defines bivy_inspect; a subshell keeps its cd to itself.
func inspectFunction() string { return "bivy_inspect() (\n" + inspectScript + ")\n" }

func inspectVars(rec Record, disk bool) []variable {
	vars := []variable{
		{"W_dir", rec.Dir},
		{"W_sent", strings.Join(rec.sent(), " ")},
		{"W_limit", strconv.Itoa(maxListed)},
		{"W_disk", "0"},
		{"W_only", ""},
	}
	if disk {
		vars[3].value = "1"
	}
	return vars
}

func statusOf(rec Record, a answer) Status {
	s := Status{
		Record: rec, Branch: termsafe.Line(a.one("branch"), 200), Head: termsafe.Line(a.one("head"), 64),
		ChangedCount: count(a, "changed_count"), UntrackedCount: count(a, "untracked_count"),
		Stashes: count(a, "stash_count"), CommitCount: count(a, "commit_count"),
		Changed: safeList(a["changed"]), Untracked: safeList(a["untracked"]),
		NotARepository: a.one("norepo") != "", DiskKiB: -1, tips: safeList(a["tip"]),
	}
	if lines := a["unknown"]; len(lines) > 0 {
		s.Unknown = safeList(lines[:min(len(lines), maxListed)])
	}
	if _, told := a["included_count"]; told {
		s.Included, s.IncludedCount = safeList(a["included"]), count(a, "included_count")
	}
	for _, line := range a["commit"] {
		id, subject, _ := strings.Cut(line, " ")
		s.Commits = append(s.Commits, Commit{ID: termsafe.Line(id, 64), Subject: termsafe.Line(subject, 200)})
	}
	for _, line := range a["running"] {
		pid, command, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(pid)
		if err == nil {
			s.Running = append(s.Running, Process{PID: n, Command: termsafe.Line(strings.TrimSpace(command), 200)})
		}
	}
	s.RunningCount = len(s.Running)
	if n, err := strconv.Atoi(a.one("running_count")); err == nil {
		s.RunningCount = max(s.RunningCount, n)
	}
	if n, err := strconv.ParseInt(a.one("disk_kib"), 10, 64); err == nil {
		s.DiskKiB = n
	}
	return s
}

// count reads a number that the host printed. What is no number counts as
// one: it must not pass for "nothing there".
func count(a answer, key string) int {
	if a.one("norepo") != "" {
		return 0
	}
	n, err := strconv.Atoi(a.one(key))
	if err != nil || n < 0 {
		return 1
	}
	return n
}

func safeList(lines []string) []string {
	list := make([]string, 0, min(len(lines), maxListed))
	for _, line := range lines {
		list = append(list, termsafe.Line(line, 300))
	}
	return slices.Clip(list)
}
