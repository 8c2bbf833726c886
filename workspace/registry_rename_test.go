package workspace_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/workspace"
)

func names(t *testing.T, r *workspace.Registry) string {
	t.Helper()
	all, errs := r.List()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var list []string
	for _, rec := range all {
		list = append(list, rec.Name+" "+string(rec.State)+" "+rec.Dir)
	}
	return strings.Join(list, ", ")
}

// At every step there is one record, under one name.
func TestRegistryRename(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	rec := record("api", "old")
	rec.State = workspace.Ready
	put(t, r, rec)
	if _, err := r.Rename(rec); err == nil {
		t.Error("one that is not being renamed was")
	}
	rec.State = workspace.Renaming
	for _, bad := range []string{"", "Upper", "../x"} {
		rec.RenameTo = bad
		if err := r.Put(rec); err == nil {
			t.Errorf("the new name %q was written", bad)
		}
	}
	rec.RenameTo = "new"
	put(t, r, rec)
	if got := names(t, r); got != "old renaming /home/me/bivy/api/old" {
		t.Errorf("before there is %q", got)
	}
	// The step that decides, and a crash right behind it.
	file := func(name string) string { return filepath.Join(dir, "workspaces", "api", name+".json") }
	before, err := os.ReadFile(file("old"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file("old"), file("new")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, r); got != "new ready /home/me/bivy/api/new" {
		t.Errorf("after a crash there is %q", got)
	}
	if err := os.Rename(file("new"), file("third")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Find(workspace.Ref{Name: "third"}); err == nil {
		t.Error("a name that it was not to get is taken")
	}
	if err := os.Remove(file("third")); err != nil {
		t.Fatal(err)
	}
	write(t, file("old"), string(before))
	renamed, err := r.Rename(rec)
	if err != nil || renamed.Name != "new" || renamed.ID != rec.ID {
		t.Errorf("Rename gives %+v, %v", renamed, err)
	}
	if got := names(t, r); got != "new ready /home/me/bivy/api/new" {
		t.Errorf("after there is %q", got)
	}
	// Never over another one.
	put(t, r, rec)
	var exists *workspace.ExistsError
	if _, err := r.Rename(rec); !errors.As(err, &exists) {
		t.Errorf("over another one Rename gives %v", err)
	}
}

// A directory that was adopted has any name, and keeps it.
func TestAdoptedRecord(t *testing.T) {
	t.Parallel()
	r, _ := open(t)
	rec := record("api", "old")
	rec.Dir, rec.Adopted, rec.State, rec.RenameTo = "/srv/code", true, workspace.Renaming, "new"
	put(t, r, rec)
	if _, err := r.Rename(rec); err != nil {
		t.Fatal(err)
	}
	if got := names(t, r); got != "new ready /srv/code" {
		t.Errorf("there is %q", got)
	}
	rec.Dir = "/srv/../code"
	if err := r.Put(rec); err == nil {
		t.Error("a directory that is no plain path was written")
	}
}
