package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Find returns the record of a workspace. A Ref without Project finds the
// workspace of that name if it is the only one. Errors are *NotFoundError,
// *AmbiguousError and *UnreadableError.
func (r *Registry) Find(ref Ref) (Record, error) {
	if rec, ok := r.lookUp(ref); ok {
		return rec, nil
	}
	all, err := r.names()
	if err != nil {
		return Record{}, err
	}
	found := slices.DeleteFunc(slices.Clone(all), func(a Ref) bool {
		return a.Name != ref.Name || ref.Project != "" && a.Project != ref.Project
	})
	if len(found) > 1 {
		return Record{}, &AmbiguousError{Name: ref.Name, Candidates: found}
	}
	if len(found) == 1 {
		rec, err := r.read(found[0])
		if !errors.Is(err, fs.ErrNotExist) {
			return rec, err
		}
	}
	return Record{}, &NotFoundError{Ref: ref, Nearest: nearest(ref, all)}
}

// lookUp finds a record without a look at the names of all others. Whatever is
// not as it should be is left to Find, which says what.
func (r *Registry) lookUp(ref Ref) (Record, bool) {
	if ref.Project == "" {
		projects, err := os.ReadDir(filepath.Join(r.dir, "workspaces"))
		if err != nil {
			return Record{}, false
		}
		for _, p := range projects {
			one := Ref{Project: p.Name(), Name: ref.Name}
			if _, err := os.Lstat(r.file(one)); !p.IsDir() || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if ref.Project != "" {
				return Record{}, false // there are several
			}
			ref = one
		}
	}
	if checkRef(ref) != nil {
		return Record{}, false
	}
	rec, err := r.read(ref)
	return rec, err == nil
}

// names returns every workspace that has a file, sorted. Other files, such as
// half-written ones, have names that no workspace can have.
func (r *Registry) names() ([]Ref, error) {
	root := filepath.Join(r.dir, "workspaces")
	projects, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list workspaces: %w", err)
	}
	var refs []Ref
	for _, p := range projects {
		if checkProject(p.Name()) != nil || !p.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(root, p.Name()))
		if err != nil {
			return nil, fmt.Errorf("list workspaces: %w", err)
		}
		for _, f := range files {
			name, ok := strings.CutSuffix(f.Name(), ".json")
			if ok && checkName(name) == nil {
				refs = append(refs, Ref{Project: p.Name(), Name: name})
			}
		}
	}
	slices.SortFunc(refs, Ref.compare)
	return refs, nil
}
