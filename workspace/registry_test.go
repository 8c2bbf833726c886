package workspace_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bivy/workspace"
)

func open(t *testing.T) (*workspace.Registry, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "registry")
	r, err := workspace.OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

func record(project, name string) workspace.Record {
	return workspace.Record{
		ID: workspace.NewID(), Project: project, Name: name, ProjectDir: "/src/" + project,
		Host: "gpu1", SSHOptions: []string{"Port=22"}, Root: "/home/me/bivy", Dir: "/home/me/bivy/" + project + "/" + name,
		Snapshot: strings.Repeat("a", 40), Source: strings.Repeat("b", 40), Ref: "HEAD", Branch: "main",
		ObjectFormat: "sha1", State: workspace.Creating,
	}
}

func put(t *testing.T, r *workspace.Registry, recs ...workspace.Record) {
	t.Helper()
	for _, rec := range recs {
		if err := r.Put(rec); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPutAndFind(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	want := record("api", "fix-1")
	before := time.Now().Add(-time.Second)
	put(t, r, want)
	got, err := r.Find(workspace.Ref{Name: "fix-1"})
	if err != nil {
		t.Fatal(err)
	}
	ignored := cmpopts.IgnoreFields(workspace.Record{}, "Format", "Created", "Updated")
	if diff := cmp.Diff(want, got, ignored); diff != "" {
		t.Errorf("what was put is not found (-want +got):\n%s", diff)
	}
	if got.Format != 1 || got.Created.Before(before) || !got.Updated.Equal(got.Created) {
		t.Errorf("format %d, created %s, updated %s", got.Format, got.Created, got.Updated)
	}

	got.State = workspace.Ready
	put(t, r, got)
	again, err := r.Find(workspace.Ref{Project: "api", Name: "fix-1"})
	if err != nil {
		t.Fatal(err)
	}
	if again.State != workspace.Ready || !again.Created.Equal(got.Created) {
		t.Errorf("after a second Put: %+v", again)
	}
	info, err := os.Stat(filepath.Join(dir, "workspaces", "api", "fix-1.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
}

// The file is a contract: two versions of bivy meet in it.
func TestRecordOnDisk(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	rec := record("api", "fix-1")
	rec.ID, rec.SSHConfig = "0123456789abcdef", "/etc/x<y>&z"
	rec.Created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	put(t, r, rec)
	text, err := os.ReadFile(filepath.Join(dir, "workspaces", "api", "fix-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "updated")
	want := map[string]any{
		"format": 1.0, "id": "0123456789abcdef", "project": "api", "name": "fix-1", "project_dir": "/src/api",
		"host": "gpu1", "ssh_config": "/etc/x<y>&z", "ssh_options": []any{"Port=22"}, "root": "/home/me/bivy",
		"dir": "/home/me/bivy/api/fix-1", "snapshot": strings.Repeat("a", 40), "source": strings.Repeat("b", 40),
		"ref": "HEAD", "branch": "main", "object_format": "sha1", "state": "creating", "created": "2026-01-02T03:04:05Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(string(text), `/etc/x<y>&z`) || !strings.HasPrefix(string(text), "{\n  \"format\": 1,\n") {
		t.Errorf("not made for cat:\n%s", text)
	}
}

func TestListIsSortedAndShowsWhatIsBroken(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	put(t, r, record("web", "a"), record("api", "z"), record("api", "b"), record("api", "newer"),
		record("api", "torn"), record("api", "moved"))
	files := filepath.Join(dir, "workspaces")
	write(t, filepath.Join(files, "api", "newer.json"), `{"format":2,"state":{"of":"another type"}}`)
	write(t, filepath.Join(files, "api", "torn.json"), `{"format":1,"na`)
	write(t, filepath.Join(files, "api", "none.json"), `{}`)
	if err := os.Rename(filepath.Join(files, "api", "moved.json"), filepath.Join(files, "web", "moved.json")); err != nil {
		t.Fatal(err)
	}
	// These are no workspaces: a temporary file, a foreign one, a directory.
	write(t, filepath.Join(files, "api", ".b.json.123"), `x`)
	write(t, filepath.Join(files, "api", "README"), `x`)
	if err := os.MkdirAll(filepath.Join(files, ".git"), 0o700); err != nil {
		t.Fatal(err)
	}

	records, errs := r.List()
	var names []string
	for _, rec := range records {
		names = append(names, rec.FullName().String())
	}
	if diff := cmp.Diff([]string{"api/b", "api/z", "web/a"}, names); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	wants := []struct{ file, words string }{
		{"api/newer.json", "format 2, this bivy knows up to 1"},
		{"api/none.json", "no valid format number"},
		{"api/torn.json", "unexpected end of JSON"},
		{"web/moved.json", "it is the record of api/moved"},
	}
	if len(errs) != len(wants) {
		t.Fatalf("errors %v, want %d", errs, len(wants))
	}
	for i, want := range wants {
		var broken *workspace.UnreadableError
		if !errors.As(errs[i], &broken) || broken.File != filepath.Join(files, want.file) ||
			!strings.Contains(errs[i].Error(), want.words) || !strings.Contains(errs[i].Error(), want.file) {
			t.Errorf("error %d is %v, want %s of %s", i, errs[i], want.words, want.file)
		}
	}

	var newer *workspace.FormatError
	if _, err := r.Find(workspace.Ref{Name: "newer"}); !errors.As(err, &newer) || newer.Format != 2 {
		t.Errorf("Find of a newer record: %v", err)
	}
	if err := r.Put(record("api", "newer")); !errors.As(err, &newer) {
		t.Errorf("Put over a newer record: %v", err)
	}
	if err := r.Put(record("api", "torn")); err != nil {
		t.Errorf("Put over a torn record: %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestListOfNothing(t *testing.T) {
	t.Parallel()
	r, _ := open(t)
	if records, errs := r.List(); len(records) != 0 || len(errs) != 0 {
		t.Errorf("%v, %v", records, errs)
	}
}

func TestFindFails(t *testing.T) {
	t.Parallel()
	r, _ := open(t)
	_, err := r.Find(workspace.Ref{Name: "fix-1"})
	if err == nil || err.Error() != "there is no workspace fix-1; `bivy ls` lists those that exist" {
		t.Errorf("in an empty registry: %v", err)
	}
	put(t, r, record("api", "fix-1"), record("web", "fix-1"), record("web", "quiet-heron-3f"))

	var ambiguous *workspace.AmbiguousError
	_, err = r.Find(workspace.Ref{Name: "fix-1"})
	if !errors.As(err, &ambiguous) || err.Error() != "2 workspaces have the name fix-1; say which: api/fix-1 or web/fix-1" {
		t.Errorf("two of one name: %v", err)
	}
	if rec, err := r.Find(workspace.Ref{Project: "web", Name: "fix-1"}); err != nil || rec.Project != "web" {
		t.Errorf("with the project: %+v, %v", rec, err)
	}
	for _, c := range []struct {
		ref  workspace.Ref
		want string
	}{
		{workspace.Ref{Name: "fix-2"}, "there is no workspace fix-2; did you mean api/fix-1 or web/fix-1?"},
		{workspace.Ref{Name: "quiet"}, "there is no workspace quiet; did you mean web/quiet-heron-3f?"},
		{workspace.Ref{Project: "api", Name: "quiet-heron-3f"}, "there is no workspace api/quiet-heron-3f; did you mean web/quiet-heron-3f?"},
		{workspace.Ref{Name: "nothing-alike"}, "there is no workspace nothing-alike; `bivy ls` lists those that exist"},
	} {
		var missing *workspace.NotFoundError
		_, err := r.Find(c.ref)
		if !errors.As(err, &missing) || missing.Ref != c.ref || err.Error() != c.want {
			t.Errorf("Find(%v): %v\nwant %s", c.ref, err, c.want)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	r, _ := open(t)
	put(t, r, record("api", "a"), record("api", "b"))
	for range 2 {
		if err := r.Delete("api", "a"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	records, errs := r.List()
	if len(records) != 1 || records[0].Name != "b" || errs != nil {
		t.Errorf("left are %v, %v", records, errs)
	}
}

func TestNamesNeverLeaveTheRegistry(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	victim := filepath.Join(filepath.Dir(dir), "x.json")
	write(t, victim, "{}")
	for _, c := range []workspace.Ref{
		{Project: "..", Name: "x"},
		{Project: "../..", Name: "x"},
		{Project: "api", Name: "../../../x"},
		{Project: "", Name: "x"},
		{Project: "api", Name: ""},
		{Project: "a/b", Name: "x"},
		{Project: "api", Name: "X"},
		{Project: "/", Name: "x"},
	} {
		var bad *workspace.NameError
		if err := r.Put(record(c.Project, c.Name)); !errors.As(err, &bad) {
			t.Errorf("Put of %q: %v", c, err)
		}
		if err := r.Delete(c.Project, c.Name); !errors.As(err, &bad) {
			t.Errorf("Delete of %q: %v", c, err)
		}
		if _, err := r.Lock(t.Context(), c.Project, c.Name, "test"); !errors.As(err, &bad) {
			t.Errorf("Lock of %q: %v", c, err)
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "{}" {
		t.Errorf("a file outside: %q, %v", text, err)
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	r, _ := open(t)
	rec := record("api", "a")
	rec.ID = ""
	if err := r.Put(rec); err == nil {
		t.Error("a record without id was written")
	}
	rec = record("api", "a")
	rec.Dir = "/home/\xff"
	if err := r.Put(rec); err == nil || !strings.Contains(err.Error(), `"/home/\xff" is not UTF-8`) {
		t.Errorf("a path that JSON would change: %v", err)
	}
	if a, b := workspace.NewID(), workspace.NewID(); len(a) != 16 || a == b {
		t.Errorf("ids %q, %q", a, b)
	}
}

func TestOpenRefusesADirectoryOfEverybody(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := workspace.OpenRegistry(dir); err == nil {
		t.Error("a directory of mode 0777 is taken for private")
	}
}
