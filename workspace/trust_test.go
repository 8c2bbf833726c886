package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTrust(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	r, err := OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	wants := func(project, content string, want bool) {
		t.Helper()
		if got, err := r.Trusted(project, []byte(content)); got != want || err != nil {
			t.Errorf("%q of %s is trusted: %v, %v; want %v", content, project, got, err, want)
		}
	}
	wants("api", "a\n", false)
	wants("api", "", false)
	if err := errors.Join(r.Untrust("api"), r.Trust("api", []byte("a\n")), r.Trust("web", nil)); err != nil {
		t.Fatal(err)
	}
	wants("api", "a\n", true)
	wants("api", "a", false)
	wants("web", "a\n", false)
	wants("web", "", true)
	if err := r.Trust("api", []byte("b\n")); err != nil {
		t.Fatal(err)
	}
	wants("api", "a\n", false)
	wants("api", "b\n", true)
	if err := r.Untrust("api"); err != nil {
		t.Fatal(err)
	}
	wants("api", "b\n", false)
	wants("web", "", true)

	// A record that was copied or damaged, or that is a later version's, approves nothing.
	data, err := os.ReadFile(filepath.Join(dir, "trust", "web.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "trust", "api.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	wants("api", "", false)
	for _, text := range []string{"", "{", strings.Replace(string(data), `"format": 1`, `"format": 2`, 1)} {
		if err := os.WriteFile(filepath.Join(dir, "trust", "web.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var bad *UnreadableError
		if got, err := r.Trusted("web", nil); got || !errors.As(err, &bad) {
			t.Errorf("a record %q: %v, %v", text, got, err)
		}
	}
	for _, project := range []string{"", "..", "a/b"} {
		if _, err := r.Trusted(project, nil); err == nil || r.Trust(project, nil) == nil || r.Untrust(project) == nil {
			t.Errorf("a project %q is taken", project)
		}
	}
}

func TestReadInclude(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	path := filepath.Join(top, IncludeFile)
	var bad *IncludeError
	if _, err := ReadInclude(top); !errors.As(err, &bad) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without one: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for what, put := range map[string]func() error{
		"a directory": func() error { return os.Mkdir(path, 0o755) },
		"a pipe":      func() error { return unix.Mkfifo(path, 0o600) },
		"a symlink": func() error {
			return errors.Join(os.WriteFile(path+"2", []byte("x"), 0o600), os.Symlink(path+"2", path))
		},
		"too long": func() error { return os.WriteFile(path, make([]byte, maxInclude+1), 0o600) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if content, err := ReadInclude(top); !errors.As(err, &bad) || len(content) > 0 {
			t.Errorf("%s: %d bytes, %v", what, len(content), err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte("*.pem\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if content, err := ReadInclude(top); string(content) != "*.pem\n" || err != nil {
		t.Errorf("it is read as %q, %v", content, err)
	}
}
