package workspace

import (
	"fmt"
	"os"
	"path"
)

// Renaming is the state of a workspace that gets the name RenameTo, or whose
// renaming was cut off: its directory has the old name or the new one already.
const Renaming State = "renaming"

// Rename gives a record in the state Renaming its new name. The caller holds
// the locks of both names, and has seen that there is none of that name.
//
// The file is renamed before its content is changed, so that whatever happens
// there is exactly one, and read takes it for what it will be.
func (r *Registry) Rename(rec Record) (Record, error) {
	old, renamed := rec.FullName(), rec.renamed()
	if rec.State != Renaming {
		return rec, fmt.Errorf("rename the record of %s: its state is %s", old, rec.State)
	}
	if err := checkRef(renamed.FullName()); err != nil {
		return rec, fmt.Errorf("rename the record of %s: %w", old, err)
	}
	if _, err := os.Lstat(r.file(renamed.FullName())); err == nil {
		return rec, &ExistsError{Record: renamed}
	}
	if err := os.Rename(r.file(old), r.file(renamed.FullName())); err != nil {
		return rec, fmt.Errorf("rename the record of %s: %w", old, err)
	}
	return renamed, r.Put(renamed)
}

// renamed is the record when its renaming is done.
func (r Record) renamed() Record {
	r.Name, r.RenameTo, r.State = r.RenameTo, "", Ready
	if r.Dir != "" && !r.Adopted {
		r.Dir = path.Join(path.Dir(r.Dir), r.Name)
	}
	return r
}
