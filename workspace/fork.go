package workspace

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"bivy/exec/mux"
	"bivy/internal/termsafe"
)

// The host's part of a fork: its parts, and what uses them.
var (
	//go:embed fork_parts.sh
	forkParts string
	//go:embed fork.sh
	forkScript string
)

// Forking is the state of a fork that is being made, or whose making was cut
// off. It is not Creating: what such a workspace holds did not come from here,
// and `bivy new` must not take it for that.
const Forking State = "forking"

// AdoptedError says that a command cannot work on a directory that was there
// before bivy.
type AdoptedError struct {
	Record Record
	// Doing is the command, such as "bivy fork".
	Doing string
}

func (e *AdoptedError) Error() string {
	return fmt.Sprintf("workspace %s was adopted, and %s leaves such a directory alone; clone it on %s yourself, and adopt that",
		e.Record.FullName(), e.Doing, e.Record.Host)
}

// Fork makes a workspace NAME on the host of another one, in the same project,
// from its local branches; the new one is on a branch of its own, at the other's
// HEAD. With dirty it also gets the other's worktree, uncommitted and untracked
// files included, unstaged. Stashes and tags stay. It is repeatable where it was
// cut off. Errors: *NameError, *NotFoundError, *ExistsError, *BusyError,
// *UnfinishedError, *AdoptedError, *Trouble, and those of mux and exec.
func (w *Workspaces) Fork(ctx context.Context, ref Ref, name string, dirty bool) (Record, error) {
	if err := checkName(name); err != nil {
		return Record{}, err
	}
	from, err := w.Registry.Find(ref)
	if err != nil {
		return Record{}, err
	}
	unlock, err := w.lockBoth(ctx, from, name, "bivy fork")
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	// Another process may have changed it before.
	if from, err = w.Registry.Find(from.FullName()); err != nil {
		return Record{}, err
	}
	switch {
	case from.Adopted:
		return Record{}, &AdoptedError{Record: from, Doing: "bivy fork"}
	case from.State != Ready:
		return Record{}, &UnfinishedError{Record: from}
	}
	rec, fresh, err := w.forkRecord(from, name, dirty)
	if err != nil {
		return Record{}, err
	}
	if !dirty {
		// The included files are not among its commits.
		rec.Included = ""
	}
	lease, err := w.Masters.Lease(ctx, from.Target())
	if err != nil {
		return Record{}, err
	}
	defer lease.Release()
	// From here on there may be something on the host.
	if err := w.Registry.Put(rec); err != nil {
		return Record{}, err
	}
	a, err := askFork(ctx, lease, from, rec, dirty)
	if err != nil {
		if fresh && (nothingThere(err) || neverStarted(err)) {
			_ = w.Registry.Delete(rec.Project, rec.Name)
		}
		return Record{}, err
	}
	if branch := a.one("branch"); termsafe.Line(branch, 300) == branch {
		rec.Branch = branch
	}
	rec.State, rec.ForkOf = Ready, ""
	return rec, w.Registry.Put(rec)
}

// forkRecord is the record of a fork, or of one that was cut off (not fresh).
func (w *Workspaces) forkRecord(from Record, name string, dirty bool) (rec Record, fresh bool, err error) {
	rec = from
	rec.ID, rec.Name, rec.State, rec.Branch = NewID(), name, Forking, branchFor(name)
	rec.Dir = path.Join(path.Dir(from.Dir), name)
	rec.Sent, rec.Pulled = slices.Clone(from.Sent), slices.Clone(from.Pulled)
	rec.Created = time.Time{}
	rec.ForkOf = from.ID
	if dirty {
		rec.ForkOf += " dirty"
	}
	old, err := w.Registry.Find(rec.FullName())
	var missing *NotFoundError
	switch {
	case errors.As(err, &missing):
		return rec, true, nil
	case err != nil:
		return rec, false, err
	case old.State == Forking && (old.ForkOf != rec.ForkOf || old.Dir != rec.Dir):
		return rec, false, &UnfinishedError{Record: old}
	case old.State != Forking:
		return rec, false, &ExistsError{Record: old}
	}
	rec.ID, rec.Created = old.ID, old.Created
	return rec, false, nil
}

func askFork(ctx context.Context, lease *mux.Lease, from, rec Record, dirty bool) (answer, error) {
	a, err := ask(ctx, lease, forkText(), append(forkVars(from, rec, dirty), lockVars("bivy fork")...), from.Dir, nil)
	var trouble *Trouble
	if errors.As(err, &trouble) && (trouble.Kind == "exists" || trouble.Kind == "rename") {
		trouble.Path = rec.Dir
	}
	return a, err
}

func forkText() string {
	return hostLockScript + identityScript + storeScript + linesScript + includedScript + forkParts + forkScript
}

func forkVars(from, rec Record, dirty bool) []variable {
	names := []string{from.Name, rec.Name}
	slices.Sort(names) // two that take both locks must not wait for each other
	vars := []variable{
		{"W_dir", from.Dir},
		{"W_parent", path.Dir(rec.Dir)},
		{"W_name", rec.Name},
		{"W_id", rec.ID},
		{"W_branch", rec.Branch},
		{"W_names", strings.Join(names, " ")},
		{"W_dirty", "0"},
	}
	if dirty {
		vars[len(vars)-1].value = "1"
	}
	return vars
}
