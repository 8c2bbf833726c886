package workspace_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/workspace"
)

func project(t *testing.T, r *workspace.Registry, dir, base string) string {
	t.Helper()
	name, err := r.Project(dir, base)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func digits(path string, n int) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:])[:n]
}

func TestProjectNames(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	for _, c := range []struct{ dir, base, want string }{
		{"/src/api", "api", "api"},
		{"/src/api", "other", "api"}, // remembered
		{"/src/api/", "api", "api"},
		{"/work/api", "api", "api-" + digits("/work/api", 4)},
		{"/work/api", "api", "api-" + digits("/work/api", 4)},
		{"/work/API", "API", "API-" + digits("/work/API", 4)},
		{"/src/My App", "My App", "My-App"},
		{"/src/.dot", ".dot", "dot"},
		{"/src/-x", "-x", "x"},
		{"/src/a..b.", "a..b.", "a.b"},
		{"/src/été", "été", "t-"},
		{"/src/日本", "日本", "project"},
		{"/src/x\n$(y)", "x\n$(y)", "x---y-"},
		{"/", "/", "project-" + digits("/", 4)},
		{"/src/long", strings.Repeat("l", 200), strings.Repeat("l", 63)},
	} {
		if got := project(t, r, c.dir, c.base); got != c.want {
			t.Errorf("Project(%q, %q) = %q, want %q", c.dir, c.base, got, c.want)
		}
		if name, ok, err := r.ProjectOf(c.dir); name != c.want || !ok || err != nil {
			t.Errorf("ProjectOf(%q) = %q, %v, %v", c.dir, name, ok, err)
		}
		if _, err := workspace.ParseRef(c.want + "/fix"); err != nil {
			t.Errorf("the project %q cannot be named: %v", c.want, err)
		}
	}
	if name, ok, err := r.ProjectOf("/src/unknown"); name != "" || ok || err != nil {
		t.Errorf("ProjectOf an unknown path = %q, %v, %v", name, ok, err)
	}
	if _, err := r.Project("src/api", "api"); err == nil {
		t.Error("a relative path got a name")
	}
	if _, err := r.Project("/src/\xff", "x"); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("a path that JSON would change: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "projects", "api.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{\n  \"format\": 1,\n  \"name\": \"api\",\n  \"dir\": \"/src/api\"\n}\n", string(text)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
}

func TestProjectTakesMoreDigitsWhereFourAreTaken(t *testing.T) {
	t.Parallel()
	r, _ := open(t)
	project(t, r, "/a/api", "api")
	project(t, r, "/somewhere", "api-"+digits("/b/api", 4))
	if got, want := project(t, r, "/b/api", "api"), "api-"+digits("/b/api", 8); got != want {
		t.Errorf("the name is %q, want %q", got, want)
	}
}

func TestBrokenProjectFile(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	write(t, filepath.Join(dir, "projects", "api.json"), `{"format":9}`)
	// It may be this project's own: no second name is made up.
	if name, err := r.Project("/src/api", "api"); err == nil || !strings.Contains(err.Error(), "projects/api.json") {
		t.Errorf("Project = %q, %v; want an error that names the file", name, err)
	}
	if got := project(t, r, "/src/web", "web"); got != "web" {
		t.Errorf("another project is %q", got)
	}
}
