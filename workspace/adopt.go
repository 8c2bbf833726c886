package workspace

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"strings"

	"bivy/archive"
	"bivy/exec/mux"
	"bivy/internal/termsafe"
)

//go:embed adopt.sh
var adoptScript string

// Adoption is the wish for a workspace in a directory that is on the host
// already.
type Adoption struct {
	// Name may be empty: one is made up.
	Name   string
	Target mux.Target
	// Dir is the directory on the host: absolute, or relative to the home there.
	Dir string
	// ProjectDir is a directory of the project that it belongs to. Where it is
	// in no repository and Own is set, Dir is a project of its own.
	ProjectDir string
	Own        bool
}

// Adopt makes a record of a directory on a host; nothing is sent or written
// there, ever, by sync, fork or rm. Errors: *RootError for a path that cannot
// be one of ours, archive's for the project, *ExistsError for the name or the
// directory, *BusyError, *Trouble, and those of mux and exec.
func (w *Workspaces) Adopt(ctx context.Context, a Adoption) (Record, error) {
	if err := checkRoot(a.Dir); err != nil {
		return Record{}, err
	}
	repo, err := archive.Open(ctx, a.ProjectDir)
	var none *archive.RepoError
	if own := a.Own && errors.As(err, &none) && none.Reason != archive.NotFound; err != nil && !own {
		return Record{}, err
	}
	rec, err := w.lookAt(ctx, a)
	if err != nil {
		return Record{}, err
	}
	if repo != nil {
		rec.ProjectDir = repo.Top()
		rec.Project, err = w.Registry.Project(repo.Top(), repo.Name())
	} else {
		rec.Project, err = w.Registry.projectThere(rec.Host, rec.Dir)
	}
	if err != nil {
		return Record{}, err
	}
	if rec.Name == "" {
		rec.Name = w.madeUpName(rec.Project)
	}
	unlock, err := w.Registry.Lock(ctx, rec.Project, rec.Name, "bivy new --adopt")
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	if err := w.free(rec.Project, rec.Name); err != nil {
		return Record{}, err
	}
	return rec, w.Registry.putAdopted(rec)
}

// lookAt asks the host for the directory's one name.
func (w *Workspaces) lookAt(ctx context.Context, a Adoption) (Record, error) {
	lease, err := w.Masters.Lease(ctx, a.Target)
	if err != nil {
		return Record{}, err
	}
	defer lease.Release()
	got, err := ask(ctx, lease, adoptScript, []variable{{"W_adopt", a.Dir}}, a.Dir, nil)
	if err != nil {
		return Record{}, err
	}
	rec := Record{
		ID: NewID(), Name: a.Name, Host: string(a.Target.Host), Dir: got.one("dir"), Branch: got.one("branch"),
		SSHConfig: a.Target.User.ConfigFile, SSHOptions: a.Target.User.Options, Adopted: true, State: Ready,
	}
	if checkRoot(rec.Dir) != nil || !path.IsAbs(rec.Dir) {
		return Record{}, fmt.Errorf("%s has that directory under a name that bivy cannot remember: %s; rename it",
			rec.Host, termsafe.Line(rec.Dir, 300))
	}
	if checkRoot(rec.Branch) != nil {
		rec.Branch = ""
	}
	return rec, nil
}

func (w *Workspaces) madeUpName(project string) string {
	return MakeName(func(n string) bool {
		_, err := w.Registry.Find(Ref{Project: project, Name: n})
		return err == nil
	})
}

// projectThere is Project for a directory on a host that belongs to no project
// here. Its key is a path at which there is nothing here, on any system.
func (r *Registry) projectThere(host, dir string) (string, error) {
	return r.Project(path.Join("/dev/null", host, dir), path.Base(strings.TrimSuffix(dir, "/")))
}

// putAdopted is Put, unless a workspace has that directory already.
func (r *Registry) putAdopted(rec Record) error {
	// One of several that adopt it at the same moment, under several names.
	unlock, err := r.lockProjects()
	if err != nil {
		return err
	}
	defer unlock()
	all, _ := r.List() // one that cannot be read hides no other
	for _, other := range all {
		if other.Host == rec.Host && other.Dir == rec.Dir {
			return &ExistsError{Record: other}
		}
	}
	return r.Put(rec)
}
