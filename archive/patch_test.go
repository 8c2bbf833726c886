package archive_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/archive"
)

// TestPatch: the text is the same whatever is configured, git am takes it, and
// the project is not changed by it.
func TestPatch(t *testing.T) {
	c := newCamp(t, "sha1", secret())
	c.work("b", "line\n")
	c.work("binary", noise(1000))
	c.work("a", "2\n")
	tips := c.tips()
	write := func(config string) string {
		t.Helper()
		home(t, config)
		before := hashes(t, c.project)
		in := c.intake()
		plan, err := c.give(in, tips, c.pack(tips, in.Have()), megabyte)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		merges, err := in.Patch(t.Context(), plan[0], &out, megabyte)
		if err != nil || merges != 0 {
			t.Fatal(merges, err)
		}
		var large *archive.TooLargeError
		if _, err := in.Patch(t.Context(), plan[0], &bytes.Buffer{}, 100); !errors.As(err, &large) {
			t.Errorf("beyond the limit: %v", err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(before, hashes(t, c.project)); diff != "" {
			t.Errorf("the project changed:\n%s", diff)
		}
		return out.String()
	}
	plain := write("")
	c.here("config", "format.subjectPrefix", "ODD")
	c.here("config", "diff.noprefix", "true")
	write2 := write("[format]\n\tattach = x\n\tsignature = mine\n\tcoverLetter = true\n\tthread = true\n\theaders = \"X: y\\n\"\n[diff]\n\texternal = false\n\tmnemonicPrefix = true\n\tcontext = 0\n[color]\n\tui = always\n[core]\n\tattributesFile = /nothing\n")
	if diff := cmp.Diff(plain, write2); diff != "" {
		t.Errorf("the configuration changes the text:\n%s", diff)
	}
	if strings.Count(plain, "\nSubject: [PATCH ") != 3 || strings.Contains(plain, "secret") {
		t.Errorf("the text is\n%s", plain)
	}
	home(t, "")
	gitIn(t, c.project, plain, "am", "-q")
	if got := c.here("log", "--format=%s", "--name-status", c.origins[0].Source+".."); got != "work on a\n\nM\ta\nwork on binary\n\nA\tbinary\nwork on b\n\nA\tb" {
		t.Errorf("applied:\n%s", got)
	}
}

// TestPatchOfNothing is empty.
func TestPatchOfNothing(t *testing.T) {
	c := newCamp(t, "sha256", files{"a": "1\n"})
	in := c.intake()
	plan, err := c.give(in, c.tips(), "", megabyte)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := in.Patch(t.Context(), plan[0], &out, megabyte); err != nil || out.Len() != 0 {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestQuarantineIsSwept: one that a crash left goes with the next pull, one
// that is in use stays.
func TestQuarantineIsSwept(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	used := c.intake()
	dead := filepath.Join(c.project, ".git/objects/tmp_objdir-bivy-123")
	write(t, filepath.Join(dead, "lock"), "")
	fresh := filepath.Join(c.project, ".git/objects/tmp_objdir-bivy-456/objects")
	write(t, fresh, "not locked yet")
	_ = c.intake()
	if there(dead) {
		t.Error("what a crash left is there")
	}
	if !there(fresh) {
		t.Error("one that is being made is gone")
	}
	if _, err := c.give(used, c.tips(), "", megabyte); err != nil {
		t.Errorf("the one in use: %v", err)
	}
}
