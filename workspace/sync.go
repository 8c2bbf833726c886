package workspace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"bivy/archive"
	"bivy/exec/mux"
	"bivy/internal/termsafe"
)

// Mode says what Sync does with commits and changes that only the workspace
// has.
type Mode string

const (
	// SyncPlain refuses where the new state would hide them.
	SyncPlain Mode = "plain"
	// SyncRebase puts the commits on top of the new state.
	SyncRebase Mode = "rebase"
	// SyncForce sets all of it aside, under refs/bivy/kept there.
	SyncForce Mode = "force"
)

// SyncWish is the state that a workspace is to have.
type SyncWish struct {
	// Ref is what to send; empty means what the workspace was made from.
	Ref string
	// Dirty sends the work tree as it is.
	Dirty bool
	Mode  Mode
	// SkipUntrusted is as in Wish.
	SkipUntrusted bool
	// Progress, if set, is told how far the sending has come.
	Progress func(archive.Progress)
}

// Synced says what Sync did.
type Synced struct {
	Record Record
	// Head is the commit that the workspace is on now: Record.Snapshot, or what
	// was rebased onto it.
	Head string
	// Sent are the bytes of the pack, Objects what it held.
	Sent, Objects int64
	// Nothing says that the workspace had this state already, as far as is
	// known here; the host was not asked.
	Nothing bool
	// Kept is the ref there under which force has set work aside, Rebased the
	// number of commits that were put on top of the new state.
	Kept    string
	Rebased int
	// LeftOut counts the paths that export-ignore kept here, Nested are the
	// repositories inside the project that stayed here.
	LeftOut int
	Nested  []string
	// LFS counts the files of which only git-lfs's pointer was sent.
	LFS int
	// Untrusted says that .bivy/include was not approved, and left alone.
	Untrusted bool
}

// RefusedError says that a workspace holds what the new state would hide.
type RefusedError struct {
	Status Status
	// Kind is "work", "conflict" (of a rebase) or "included" (a file that went
	// along and was changed there); Clashes says which, in git's words, safe
	// for a terminal.
	Kind    string
	Clashes []string
}

func (e *RefusedError) Error() string {
	name := e.Status.Record.FullName()
	switch e.Kind {
	case "conflict":
		return fmt.Sprintf("the commits of workspace %s do not fit on top of the new state; nothing was changed there", name)
	case "included":
		return fmt.Sprintf("files that .bivy/include names were changed in workspace %s; nothing was changed there", name)
	}
	return fmt.Sprintf("workspace %s has work that the new state would hide", name)
}

// Sync brings a workspace to a state of its project, in one round trip. It is
// repeatable after any cut. Errors: archive's for the project, *RefusedError,
// *AdoptedError, *BusyError, *Trouble, and those of mux and exec.
func (w *Workspaces) Sync(ctx context.Context, ref Ref, wish SyncWish) (Synced, error) {
	rec, err := w.Registry.Find(ref)
	if err != nil {
		return Synced{}, err
	}
	unlock, err := w.Registry.Lock(ctx, rec.Project, rec.Name, "sync")
	if err != nil {
		return Synced{}, err
	}
	defer unlock()
	// Another process may have changed it while we looked.
	if rec, err = w.Registry.Find(rec.FullName()); err != nil {
		return Synced{}, err
	}
	switch {
	case rec.Adopted:
		return Synced{}, &AdoptedError{Record: rec, Doing: "bivy sync"}
	case rec.State != Ready:
		return Synced{}, &ExistsError{Record: rec}
	}
	snap, left, err := w.take(ctx, rec, wish)
	if err != nil {
		return Synced{}, err
	}
	defer snap.Close() //nolint:errcheck // a temporary directory; the system cleans /tmp too
	done := Synced{Record: rec, Untrusted: left, LFS: snap.LFS, Head: snap.Commit, LeftOut: snap.Ignored, Nested: snap.Nested}
	if snap.Commit == rec.Snapshot && snap.IncludeTree == rec.Included && wish.Mode != SyncForce {
		done.Nothing = true
		return done, nil
	}
	return w.sync(ctx, done, wish, snap)
}

// take makes what is to be sent to a workspace; left says that .bivy/include was
// not approved. The caller closes it.
func (w *Workspaces) take(ctx context.Context, rec Record, wish SyncWish) (snap *archive.Snapshot, left bool, err error) {
	repo, err := archive.Open(ctx, rec.ProjectDir)
	if err != nil {
		return nil, false, err
	}
	ref := wish.Ref
	if ref == "" {
		ref = rec.Ref
	}
	if wish.Dirty && wish.Ref == "" {
		ref = "HEAD"
	}
	include, left, err := w.Registry.choose(rec.ProjectDir, wish.SkipUntrusted)
	if err != nil {
		return nil, false, err
	}
	snap, err = repo.Take(ctx, archive.Choice{Ref: ref, Dirty: wish.Dirty, History: rec.History, Depth: rec.Depth, Include: include})
	return snap, left, err
}

// sync does the host's part. What is sent is remembered before: a workspace
// that has it is not on a commit of its own.
func (w *Workspaces) sync(ctx context.Context, done Synced, wish SyncWish, snap *archive.Snapshot) (Synced, error) {
	rec := &done.Record
	have := w.known(*rec, snap)
	rec.addSent(snap)
	if err := w.Registry.Put(*rec); err != nil {
		return Synced{}, err
	}
	lease, err := w.Masters.LeaseSoon(ctx, rec.Target())
	if err != nil {
		return Synced{}, err
	}
	defer lease.Release()
	a, stats, err := askSync(ctx, lease, *rec, wish, snap, have)
	var trouble *Trouble
	if errors.As(err, &trouble) && !trouble.Full() && (trouble.Kind == "pack" || trouble.Kind == "incomplete") {
		// The store is not what we thought; ask what it has.
		var there answer
		if there, err = look(ctx, lease, *rec); err == nil {
			a, stats, err = askSync(ctx, lease, *rec, wish, snap, haves(there))
		}
	}
	if err != nil {
		return Synced{}, refused(*rec, a, err)
	}
	if done.Head = a.one("head"); !hexID().MatchString(done.Head) {
		return Synced{}, fmt.Errorf("%s answered with a commit that is none: %s", rec.Host, termsafe.Line(done.Head, 80))
	}
	done.Sent, done.Objects, done.Kept = stats.Bytes, stats.Objects, termsafe.Line(a.one("kept"), 200)
	done.Rebased, _ = strconv.Atoi(a.one("rebased"))
	rec.Ref, rec.Source, rec.Snapshot, rec.Included = snap.Ref, snap.Source, snap.Commit, snap.IncludeTree
	return done, w.Registry.Put(*rec)
}

func askSync(ctx context.Context, lease *mux.Lease, rec Record, wish SyncWish, snap *archive.Snapshot, have []archive.Have) (answer, archive.PackStats, error) {
	vars := append(inspectVars(rec, false),
		variable{"W_sent", " " + strings.Join(rec.sent(), " ") + " "},
		variable{"W_id", rec.ID},
		variable{"W_format", rec.ObjectFormat},
		variable{"W_new", snap.Commit},
		variable{"W_mode", string(wish.Mode)},
	)
	vars = append(append(vars, snapVars(snap)...), lockVars("bivy sync")...)
	if snap.IncludeTree == rec.Included {
		vars = append(vars, variable{"W_include", "keep"})
	}
	return sendPack(ctx, lease, syncScript(), vars, rec, snap, have, wish.Progress)
}

// snapVars are the variables of what goes along with a commit.
func snapVars(snap *archive.Snapshot) []variable {
	return []variable{
		{"W_shallow", strings.Join(snap.Shallow, " ")},
		{"W_include", snap.IncludeTree},
		{"W_exclude", strings.Join(snap.Excludes(), "\n")},
	}
}

func syncScript() string {
	return inspectFunction() + hostLockScript + storeScript + linesScript + includedScript + syncText
}

// refused makes a *RefusedError of a trouble that says so.
func refused(rec Record, a answer, err error) error {
	var trouble *Trouble
	if !errors.As(err, &trouble) {
		return err
	}
	switch trouble.Kind {
	case "work", "conflict", "included":
		return &RefusedError{Status: statusOf(rec, a), Kind: trouble.Kind, Clashes: safeList(a["clash"])}
	}
	return err
}

// known lists what the project's store on that host should have: the last state
// that came to this workspace, without its changes, and the one that is to be
// sent where a workspace beside it has that. More would save little, and costs
// a snapshot each. What Sent lists beyond these may never have arrived.
func (w *Workspaces) known(rec Record, snap *archive.Snapshot) []archive.Have {
	var have []archive.Have
	for _, sent := range rec.Sent {
		if !sent.Dirty && sent.Source == rec.Source {
			have = append(have, archive.Have{Snapshot: sent.Snapshot, Source: sent.Source})
		}
	}
	others, _ := w.Registry.List()
	for _, r := range others {
		if r.State == Ready && r.Snapshot == snap.Commit && r.Host == rec.Host && r.Root == rec.Root && r.Project == rec.Project && !r.Adopted {
			have = append(have, archive.Have{Snapshot: r.Snapshot, Source: r.Source})
		}
	}
	return have
}

// addSent notes a state as sent, at the end. Where changes went along, the
// state without them did, too.
func (r *Record) addSent(snap *archive.Snapshot) {
	states := []Sent{{Snapshot: snap.Clean, Source: snap.Source}}
	if snap.Dirty {
		states = append(states, Sent{Snapshot: snap.Commit, Source: snap.Source, Dirty: true})
	}
	var kept []Sent
	for _, old := range r.Sent {
		if old.Snapshot != snap.Clean && old.Snapshot != snap.Commit {
			kept = append(kept, old)
		}
	}
	r.Sent = append(kept, states...)
}
