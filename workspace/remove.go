package workspace

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"bivy/archive"
	"bivy/exec/mux"
	"bivy/internal/humane"
)

// These say whose a directory is, and which of the ignored files that were
// taken along exist there only; the first is for names of any byte.
var (
	//go:embed lines.sh
	linesScript string
	//go:embed identity.sh
	identityScript string
)

// WorkError says that removing a workspace would lose work, and which.
type WorkError struct{ Status Status }

func (e *WorkError) Error() string {
	s := e.Status
	var has []string
	add := func(n int, one, many string) {
		if n > 0 {
			has = append(has, humane.Plural(n, one, many))
		}
	}
	add(s.ChangedCount, "uncommitted change", "uncommitted changes")
	add(s.UntrackedCount, "untracked file", "untracked files")
	add(s.CommitCount, "commit that exists nowhere else", "commits that exist nowhere else")
	add(s.IncludedCount, "ignored file of .bivy/include that differs from what was sent",
		"ignored files of .bivy/include that differ from what was sent")
	add(s.Stashes, "stash", "stashes")
	add(s.RunningCount, "running process", "running processes")
	if s.NotARepository {
		has = append(has, "files but no git repository")
	}
	if len(s.Unknown) > 0 {
		has = append(has, "something that git there cannot read ("+s.Unknown[0]+")")
	}
	return fmt.Sprintf("workspace %s has %s", s.Record.FullName(), strings.Join(has, ", "))
}

// Remove removes a workspace from its host and from the registry. Unless
// forced it refuses, with *WorkError, when something would be lost; the host
// checks and removes in one go. A directory that is gone already is no error.
// One that was adopted stays; only its record goes.
func (w *Workspaces) Remove(ctx context.Context, ref Ref, force bool) (Record, error) {
	rec, err := w.Registry.Find(ref)
	if err != nil {
		return Record{}, err
	}
	unlock, err := w.Registry.Lock(ctx, rec.Project, rec.Name, "rm")
	if err != nil {
		return rec, err
	}
	defer unlock()
	// Another process may have removed it while we waited.
	if rec, err = w.Registry.Find(Ref{Project: rec.Project, Name: rec.Name}); err != nil {
		return rec, err
	}
	if rec.State == Renaming {
		var also func()
		if rec, also, err = w.settle(ctx, rec); err != nil {
			return rec, err
		}
		defer also()
	}
	if rec.Dir != "" && !rec.Adopted {
		if err := w.removeThere(ctx, rec, force); err != nil {
			return rec, err
		}
	}
	return rec, w.Registry.Delete(rec.Project, rec.Name)
}

func (w *Workspaces) removeThere(ctx context.Context, rec Record, force bool) error {
	lease, err := w.Masters.Lease(ctx, rec.Target())
	if err != nil {
		return err
	}
	defer lease.Release()
	a, err := askRemove(ctx, lease, rec, force, nil)
	if err != nil || a.one("removed") != "" {
		return err
	}
	work := workOf(rec, a)
	// Commits that were fetched from the workspace are safe in the project:
	// where these are all that stands in the way, ask once more and say so.
	only := work.Status
	only.CommitCount = 0
	if tips := work.Status.tips; work.Status.CommitCount > 0 && only.Clean() && w.allHere(ctx, rec, tips) {
		if a, err = askRemove(ctx, lease, rec, force, tips); err != nil || a.one("removed") != "" {
			return err
		}
		work = workOf(rec, a)
	}
	return work
}

func workOf(rec Record, a answer) *WorkError {
	return &WorkError{Status: statusOf(rec, a)}
}

func askRemove(ctx context.Context, lease *mux.Lease, rec Record, force bool, known []string) (answer, error) {
	return ask(ctx, lease, removeText(), append(removeVars(rec, force, known), lockVars("bivy rm")...), rec.Dir, nil)
}

func removeText() string {
	return hostLockScript + identityScript + inspectFunction() + linesScript + includedScript + removeScript
}

func removeVars(rec Record, force bool, known []string) []variable {
	vars := append(inspectVars(rec, false), variable{"W_id", rec.ID}, variable{"W_force", "0"}, variable{"W_known", ""})
	if force {
		vars[len(vars)-2].value = "1"
	}
	if len(known) > 0 {
		vars[len(vars)-1].value = " " + strings.Join(known, " ") + " "
	}
	return vars
}

// allHere reports whether every tip is reachable in the project's repository:
// by its own id, or by the one that it got when it was pulled.
func (w *Workspaces) allHere(ctx context.Context, rec Record, tips []string) bool {
	repo, err := archive.Open(ctx, rec.ProjectDir)
	if err != nil || len(tips) == 0 {
		return false
	}
	ids := slices.Clone(tips)
	for _, tip := range tips {
		i := slices.IndexFunc(rec.Pulled, func(p Pulled) bool { return p.There == tip })
		if i >= 0 {
			tip = rec.Pulled[i].Here
		}
		ids = append(ids, tip)
	}
	here, err := repo.Contains(ctx, ids)
	if err != nil {
		return false
	}
	for i, tip := range tips {
		// What we sent is a tip too, of a branch without new commits.
		if !here[i] && !here[len(tips)+i] && !slices.Contains(rec.sent(), tip) {
			return false
		}
	}
	return true
}
