package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"bivy/archive"
	"bivy/exec/mux"
	"bivy/internal/termsafe"
)

// Workspaces are the operations on workspaces: they join the registry here,
// the project's tree and the host.
type Workspaces struct {
	Registry *Registry
	Masters  *mux.Masters
}

// Wish is the workspace that a user wants.
type Wish struct {
	// Name may be empty: one is made up.
	Name string
	// Target is the host, ProjectDir any directory of the project, Ref what
	// of it to send, Root the directory for workspaces on the host.
	Target     mux.Target
	ProjectDir string
	Ref        string
	Root       string
	// Dirty, History and Depth choose as in archive.Choice.
	Dirty, History bool
	Depth          int
	// SkipUntrusted leaves the files that .bivy/include names here where the
	// user has not approved it; else that is an *UntrustedError.
	SkipUntrusted bool
	// Progress, if set, is told how far the sending has come.
	Progress func(archive.Progress)
}

// Made says what Create did.
type Made struct {
	Record Record
	// Sent are the bytes of the pack, Objects what it held; zero where the
	// host had everything.
	Sent, Objects int64
	// LeftOut counts the paths that export-ignore kept here.
	LeftOut int
	// LFS counts the files of which only git-lfs's pointer was sent.
	LFS int
	// Nested are the repositories inside the project that stayed here.
	Nested []string
	// Untrusted says that .bivy/include was not approved, and left alone.
	Untrusted bool
	// Init says that the project has an InitFile for new workspaces.
	Init bool
}

// ExistsError says that a workspace is there already, or unfinished on another
// host.
type ExistsError struct{ Record Record }

func (e *ExistsError) Error() string {
	if e.Record.State == Creating {
		return fmt.Sprintf("workspace %s is unfinished on %s; repeat `bivy new` with that host to complete it, or remove it",
			e.Record.FullName(), e.Record.Host)
	}
	return fmt.Sprintf("workspace %s exists already, on %s", e.Record.FullName(), e.Record.Host)
}

// hexID is an object name as git prints it, in either hash.
var hexID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`) })

// Create makes a workspace. It is repeatable: what a cut left half-made under
// the same name and host is cleaned up and made anew. Errors: *RootError before
// anything else, archive's for the project, *ExistsError, *BusyError, *Trouble, and those of mux and exec.
func (w *Workspaces) Create(ctx context.Context, wish Wish) (Made, error) {
	if err := checkRoot(wish.Root); err != nil {
		return Made{}, err
	}
	repo, err := archive.Open(ctx, wish.ProjectDir)
	if err != nil {
		return Made{}, err
	}
	include, left, err := w.Registry.choose(repo.Top(), wish.SkipUntrusted)
	if err != nil {
		return Made{}, err
	}
	snap, err := repo.Take(ctx, archive.Choice{
		Ref: wish.Ref, Dirty: wish.Dirty, History: wish.History, Depth: wish.Depth, Include: include,
	})
	if err != nil {
		return Made{}, err
	}
	defer snap.Close() //nolint:errcheck // a temporary directory; the system cleans /tmp too
	project, err := w.Registry.Project(repo.Top(), repo.Name())
	if err != nil {
		return Made{}, err
	}
	rec, unlock, err := w.claim(ctx, wish, project)
	if err != nil {
		return Made{}, err
	}
	defer unlock()
	fresh := rec.Created.IsZero()
	rec.ProjectDir, rec.Ref, rec.Source, rec.Snapshot = repo.Top(), snap.Ref, snap.Source, snap.Commit
	rec.ObjectFormat, rec.Branch = repo.Format(), branchFor(rec.Name)
	rec.History, rec.Depth, rec.Included = wish.History, wish.Depth, snap.IncludeTree
	rec.addSent(snap)
	made, err := w.send(ctx, wish, rec, snap)
	if err != nil {
		// Nothing was made on the host: then nothing is remembered either. A
		// cut leaves the record, so that the next attempt, or rm, cleans up.
		if fresh && nothingThere(err) {
			_ = w.Registry.Delete(rec.Project, rec.Name)
		}
		return Made{}, err
	}
	made.Init = snap.Has(ctx, InitFile)
	made.LeftOut, made.LFS, made.Nested, made.Untrusted = snap.Ignored, snap.LFS, snap.Nested, left
	return made, nil
}

// claim takes the name: it locks it for as long as the workspace is made, so
// of two callers one wins and the other gets *BusyError or *ExistsError.
func (w *Workspaces) claim(ctx context.Context, wish Wish, project string) (Record, func(), error) {
	name := wish.Name
	if name == "" {
		name = w.madeUpName(project)
	}
	unlock, err := w.Registry.Lock(ctx, project, name, "new")
	if err != nil {
		return Record{}, nil, err
	}
	rec, err := w.Registry.Find(Ref{Project: project, Name: name})
	var missing *NotFoundError
	switch {
	case errors.As(err, &missing):
		rec = Record{ID: NewID(), Project: project, Name: name}
	case err != nil:
		unlock()
		return Record{}, nil, err
	case rec.State != Creating || rec.Host != string(wish.Target.Host):
		unlock()
		return Record{}, nil, &ExistsError{Record: rec}
	}
	rec.Host = string(wish.Target.Host)
	rec.SSHConfig, rec.SSHOptions = wish.Target.User.ConfigFile, wish.Target.User.Options
	rec.State = Creating
	return rec, unlock, nil
}

// send does the host's part, in one session: it looks, and then makes. Where
// the host names the root with dot segments, it is asked about the path without
// them.
func (w *Workspaces) send(ctx context.Context, wish Wish, rec Record, snap *archive.Snapshot) (Made, error) {
	lease, err := w.Masters.LeaseSoon(ctx, wish.Target)
	if err != nil {
		return Made{}, err
	}
	defer lease.Release()
	root := wish.Root
	for range 2 {
		made, err := w.make(ctx, lease, wish, root, &rec, snap)
		var other *otherRootError
		switch {
		case errors.As(err, &other):
			root = other.root
			continue
		case errors.Is(err, errMadeBefore):
			return w.finished(ctx, lease, rec)
		case err != nil:
			return Made{}, err
		}
		made.Record.State, made.Record.Updated = Ready, time.Now()
		return made, w.Registry.Put(made.Record)
	}
	return Made{}, fmt.Errorf("%s answered with another root each time: %s", rec.Host, termsafe.Line(root, 200))
}

// errMadeBefore says that an attempt before this one came to its end there.
var errMadeBefore = errors.New("the workspace is there already")

// make looks, decides, and streams the pack into the script that builds the
// workspace. What it knows of the place is in rec.
func (w *Workspaces) make(ctx context.Context, lease *mux.Lease, wish Wish, root string, rec *Record, snap *archive.Snapshot) (Made, error) {
	vars := []variable{
		{"W_root", root},
		{"W_project", rec.Project},
		{"W_name", rec.Name},
		{"W_id", rec.ID},
		{"W_format", rec.ObjectFormat},
		{"W_snapshot", rec.Snapshot},
		{"W_branch", rec.Branch},
	}
	vars = append(append(vars, snapVars(snap)...), lockVars("bivy new")...)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var packed *packing
	var stop error
	_, err := converse(ctx, lease, createTexts(), vars, root, func(there answer) io.Reader {
		if stop = w.place(rec, there); stop != nil {
			return strings.NewReader("stop\n")
		}
		have := haves(there)
		if snap.Known(have) {
			return strings.NewReader("none\n")
		}
		packed = startPacking(ctx, cancel, snap, have, wish.Progress)
		return io.MultiReader(strings.NewReader("pack\n"), packed.r)
	})
	if stop != nil {
		return Made{}, stop
	}
	made := Made{Record: *rec}
	if packed != nil {
		var stats archive.PackStats
		stats, err = packed.end(ctx, err)
		made.Sent, made.Objects = stats.Bytes, stats.Objects
	}
	return made, err
}

func createTexts() string {
	return lookScript + hostLockScript + identityScript + storeScript + linesScript + includedScript + "bivy_look\n" + createScript
}

// place takes the root that the host names, and remembers the workspace: from
// here on there may be something on the host, and whoever finds the record
// knows where to look.
func (w *Workspaces) place(rec *Record, there answer) error {
	root, err := rootOf(rec.Host, there)
	if err != nil {
		return err
	}
	rec.Root = root
	rec.Dir = strings.TrimSuffix(rec.Root, "/") + "/" + rec.Project + "/" + rec.Name
	switch {
	case there.one("exists") == "":
	case rec.Created.IsZero() || there.one("mark") != rec.ID:
		return &Trouble{Host: rec.Host, Kind: "exists", Path: termsafe.Line(rec.Dir, 300)}
	default:
		return errMadeBefore
	}
	if rec.Created.IsZero() {
		rec.Created = time.Now()
	}
	rec.Updated = time.Now()
	return w.Registry.Put(*rec)
}

// finished completes the record of a workspace whose making was cut off after
// its last rename.
func (w *Workspaces) finished(ctx context.Context, lease *mux.Lease, rec Record) (Made, error) {
	a, err := ask(ctx, lease, inspectFunction()+"bivy_inspect\n", inspectVars(rec, false), rec.Dir, nil)
	if err != nil {
		return Made{}, err
	}
	if !hexID().MatchString(a.one("head")) {
		return Made{}, &Trouble{Host: rec.Host, Kind: "exists", Path: termsafe.Line(rec.Dir, 300)}
	}
	rec.Snapshot, rec.State, rec.Updated = a.one("head"), Ready, time.Now()
	return Made{Record: rec}, w.Registry.Put(rec)
}

// haves reads what snapshots the host says that it has; archive believes none
// of it unproved.
func haves(there answer) []archive.Have {
	var list []archive.Have
	for _, line := range there["have"] {
		id, subject, _ := strings.Cut(line, " ")
		source := subject[strings.LastIndexByte(subject, ' ')+1:]
		if hexID().MatchString(id) && hexID().MatchString(source) {
			list = append(list, archive.Have{Snapshot: id, Source: source})
		}
	}
	return list
}

// nothingThere reports whether an error proves that the host's side of a new
// workspace was not begun, or that its script cleaned up after itself.
func nothingThere(err error) bool {
	var t *Trouble
	return errors.As(err, &t)
}
