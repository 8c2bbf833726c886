package workspace

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/internal/humane"
)

//go:embed rename.sh
var renameScript string

// RunningError says that something runs in a workspace which would lose its
// directory's name.
type RunningError struct{ Status Status }

func (e *RunningError) Error() string {
	return fmt.Sprintf("workspace %s has %s; a new name would confuse what stands in its directory",
		e.Status.Record.FullName(), humane.Plural(e.Status.RunningCount, "running process", "running processes"))
}

// UnfinishedError says that the making or the renaming of a workspace was cut
// off, and must be completed first.
type UnfinishedError struct{ Record Record }

func (e *UnfinishedError) Error() string {
	if e.Record.State == Renaming {
		return fmt.Sprintf("the renaming of workspace %s to %s was cut off", e.Record.FullName(), e.Record.RenameTo)
	}
	return fmt.Sprintf("the making of workspace %s was cut off", e.Record.FullName())
}

// Rename gives a workspace another name in its project: its directory on the
// host and its record, not its branch. It is repeatable where it was cut off.
// Of one that was adopted only the record changes. Errors: *NameError,
// *NotFoundError, *ExistsError, *BusyError, *UnfinishedError, *RunningError,
// *Trouble, and those of mux and exec.
func (w *Workspaces) Rename(ctx context.Context, ref Ref, name string) (Record, error) {
	if err := checkName(name); err != nil {
		return Record{}, err
	}
	rec, err := w.Registry.Find(ref)
	if err != nil {
		return Record{}, err
	}
	unlock, err := w.lockBoth(ctx, rec, name, "bivy rename")
	if err != nil {
		return rec, err
	}
	defer unlock()
	// Another process may have changed it before.
	if rec, err = w.Registry.Find(rec.FullName()); err != nil {
		return rec, err
	}
	if rec.State == Creating || rec.State == Renaming && rec.RenameTo != name {
		return rec, &UnfinishedError{Record: rec}
	}
	var lease *mux.Lease // of an adopted one nothing changes there
	if !rec.Adopted {
		if lease, err = w.Masters.Lease(ctx, rec.Target()); err != nil {
			return rec, err
		}
		defer lease.Release()
	}
	if err := w.free(rec.Project, name); err != nil {
		if rec.State == Renaming {
			rec, _ = w.settleOn(ctx, lease, rec) // somebody took the name meanwhile
		}
		return rec, err
	}
	fresh := rec.State == Ready
	rec.State, rec.RenameTo = Renaming, name
	if err := w.Registry.Put(rec); err != nil {
		return rec, err
	}
	if !rec.Adopted {
		if where, err := renameThere(ctx, lease, rec); err != nil {
			if where == "old" || fresh && (nothingThere(err) || neverStarted(err)) {
				_ = w.Registry.Put(rec.keepName())
			}
			return rec, err
		}
	}
	return w.Registry.Rename(rec)
}

func neverStarted(err error) bool {
	var not *exec.NotStartedError
	return errors.As(err, &not)
}

// keepName is the record of a workspace that was not renamed after all.
func (r Record) keepName() Record {
	r.State, r.RenameTo = Ready, ""
	return r
}

// lockBoth takes the local locks of a workspace and of a further name in its
// project.
func (w *Workspaces) lockBoth(ctx context.Context, rec Record, name, doing string) (unlock func(), err error) {
	if rec.Name == name {
		return nil, &ExistsError{Record: rec}
	}
	one, err := w.Registry.Lock(ctx, rec.Project, rec.Name, doing)
	if err != nil {
		return nil, err
	}
	two, err := w.Registry.Lock(ctx, rec.Project, name, doing)
	if err != nil {
		one()
		return nil, err
	}
	return func() { two(); one() }, nil
}

// free returns *ExistsError where there is a workspace of that name.
func (w *Workspaces) free(project, name string) error {
	rec, err := w.Registry.Find(Ref{Project: project, Name: name})
	var missing *NotFoundError
	switch {
	case err == nil:
		return &ExistsError{Record: rec}
	case errors.As(err, &missing):
		return nil
	}
	return err
}

// renameThere renames the directory. Where it is then, in the script's word,
// is known even of some failures.
func renameThere(ctx context.Context, lease *mux.Lease, rec Record) (where string, err error) {
	a, err := askRename(ctx, lease, rec, false)
	if words := a["where"]; len(words) > 0 {
		where = words[len(words)-1]
	}
	var trouble *Trouble
	if errors.As(err, &trouble) && trouble.Kind == "exists" {
		trouble.Path = rec.renamed().Dir
	}
	if err == nil && where != "new" {
		err = &RunningError{Status: statusOf(rec, a)}
	}
	return where, err
}

func askRename(ctx context.Context, lease *mux.Lease, rec Record, look bool) (answer, error) {
	return ask(ctx, lease, renameText(), append(renameVars(rec, look), lockVars("bivy rename")...), rec.Dir, nil)
}

func renameText() string { return hostLockScript + identityScript + inspectFunction() + renameScript }

func renameVars(rec Record, look bool) []variable {
	names := []string{rec.Name, rec.RenameTo}
	slices.Sort(names) // two that take both locks must not wait for each other
	vars := append(inspectVars(rec, false),
		variable{"W_new", rec.renamed().Dir}, variable{"W_id", rec.ID}, variable{"W_names", strings.Join(names, " ")}, variable{"W_look", "0"})
	if look {
		vars[len(vars)-1].value = "1"
	}
	return vars
}

// settle finds out where a workspace is whose renaming was cut off, and gives
// its record that name. The caller has locked the old name, and unlocks the new
// one with what is returned.
func (w *Workspaces) settle(ctx context.Context, rec Record) (settled Record, unlock func(), err error) {
	unlock, err = w.Registry.Lock(ctx, rec.Project, rec.RenameTo, "bivy rename")
	if err != nil {
		return rec, nil, err
	}
	var lease *mux.Lease
	if !rec.Adopted {
		if lease, err = w.Masters.Lease(ctx, rec.Target()); err != nil {
			unlock()
			return rec, nil, err
		}
		defer lease.Release()
	}
	if settled, err = w.settleOn(ctx, lease, rec); err != nil {
		unlock()
		return rec, nil, err
	}
	return settled, unlock, nil
}

// settleOn is settle with both names locked. An adopted one needs no lease, and
// keeps its name.
func (w *Workspaces) settleOn(ctx context.Context, lease *mux.Lease, rec Record) (Record, error) {
	if !rec.Adopted {
		a, err := askRename(ctx, lease, rec, true)
		if err != nil {
			return rec, err
		}
		if a.one("where") == "new" {
			return w.Registry.Rename(rec)
		}
	}
	settled := rec.keepName()
	return settled, w.Registry.Put(settled)
}
