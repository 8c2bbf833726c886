package workspace_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/workspace"
)

// A record that was damaged, or written by someone else, gives ssh no host and
// rm no directory.
func TestRecordThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, value, words string }{
		{"host", "-oProxyCommand=x", "dash"},
		{"host", "", "empty"},
		{"dir", "/", "does not end in /api/fix-1"},
		{"dir", "/home/me", "does not end in /api/fix-1"},
		{"dir", "/home/api/fix-1x", "does not end in /api/fix-1"},
		{"dir", "bivy/api/fix-1", "no plain absolute path"},
		{"dir", "/x/../api/fix-1", "no plain absolute path"},
		{"dir", "/x/api/fix-1/", "no plain absolute path"},
		{"dir", "/x\n/api/fix-1", "no plain absolute path"},
	} {
		r, dir := open(t)
		put(t, r, record("api", "fix-1"))
		file := filepath.Join(dir, "workspaces", "api", "fix-1.json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		fields[c.key] = c.value
		if text, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		write(t, file, string(text))
		_, err = r.Find(workspace.Ref{Name: "fix-1"})
		var unreadable *workspace.UnreadableError
		if !errors.As(err, &unreadable) || unreadable.File != file || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s %q: Find gives %v, want %q", c.key, c.value, err, c.words)
		}
		rec := record("api", "fix-1")
		if rec.Host = "gpu1"; c.key == "host" {
			rec.Host = c.value
		} else {
			rec.Dir = c.value
		}
		if err := r.Put(rec); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s %q: Put gives %v, want %q", c.key, c.value, err, c.words)
		}
	}
}

func TestRootWithControlCharacters(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"a\nb", "a\x00", "\x1b[2J", "a\x7f", "a\u0085", "a\x85"} {
		// Nothing else is set: it must be refused before anything is looked at.
		_, err := (&workspace.Workspaces{}).Create(t.Context(), workspace.Wish{Root: root})
		var bad *workspace.RootError
		if !errors.As(err, &bad) || bad.Root != root || strings.ContainsAny(err.Error(), "\n\x00\x1b\x7f\u0085") {
			t.Errorf("root %q gives %v, want a *RootError", root, err)
		}
	}
}

func TestExistsErrorSaysUnfinished(t *testing.T) {
	t.Parallel()
	rec := record("api", "fix-1")
	if text := (&workspace.ExistsError{Record: rec}).Error(); !strings.Contains(text, "unfinished on gpu1") {
		t.Errorf("while it is made: %s", text)
	}
	rec.State = workspace.Ready
	if text := (&workspace.ExistsError{Record: rec}).Error(); !strings.Contains(text, "exists already") {
		t.Errorf("when it is ready: %s", text)
	}
}
