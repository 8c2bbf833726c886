package archive_test

import (
	"path/filepath"
	"testing"

	"bivy/archive"
)

// TestCheckRefFormat: git agrees on every name that is taken.
func TestCheckRefFormat(t *testing.T) {
	home(t, "")
	parts := []string{"a", ".", "..", "/", "@", "{", "-", ".lock", "+", "ä", "~", " ", "\\", "*", "HEAD"}
	for _, a := range parts {
		for _, b := range parts {
			for _, d := range parts {
				name := "refs/bivy/ws/" + a + b + d
				if _, err := tryGit(t, t.TempDir(), "", "check-ref-format", name); (err == nil) != archive.ValidRef(name) {
					t.Errorf("%q: we say %v, git says %v", name, archive.ValidRef(name), err)
				}
			}
		}
	}
}

// TestHooksStayOff: nothing of the user's own runs, least of all for each ref.
func TestHooksStayOff(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	hook := filepath.Join(c.project, ".git/hooks/reference-transaction")
	write(t, hook, "#!/bin/sh\necho ran >>"+c.project+"/ran\n")
	if err := chmod(hook); err != nil {
		t.Fatal(err)
	}
	c.here("update-ref", "refs/heads/proof", "HEAD")
	if !there(c.project + "/ran") {
		t.Fatal("the hook does not run by itself")
	}
	before := hashes(t, c.project)[c.project+"/ran"]
	c.work("b", "1\n")
	c.pull()
	if hashes(t, c.project)[c.project+"/ran"] != before {
		t.Error("the hook ran")
	}
}
