package integration

import (
	"os"
	"testing"
)

// TestFsChange: mkdir, mv and rm, and what they refuse.
func TestFsChange(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		w.wantsOut("created d\n", "fs", "mkdir", "ws:d")
		w.wantsClass(82, "exists", "fs", "mkdir", "ws:d")
		w.wantsOut("d is there already\n", "fs", "mkdir", "-p", "ws:d")
		w.wantsClass(82, "not_found", "fs", "mkdir", "ws:no/such")
		w.wantsOut("created x/y/z\n", "fs", "mkdir", "-p", "ws:x/y/z")
		w.wantsOut("renamed README to d/R\n", "fs", "mv", "ws:README", "d/R")
		w.wantsClass(82, "not_found", "fs", "mv", "ws:README", "d/Q")
		w.wantsClass(82, "exists", "fs", "mv", "ws:src/main.txt", "d/R")
		w.wantsClass(80, "usage", "fs", "mv", "ws:d/R", "ws:R")
		if !exists(dir+"/d/R") || !exists(dir+"/src/main.txt") || exists(dir+"/README") {
			t.Errorf("the files are not where they belong")
		}
		for _, path := range []string{"ws:", "ws:.", "ws:..", "ws:../..", "ws:" + dir, "ws:~", "ws:/"} {
			w.wantsClass(83, "protected", "fs", "rm", "-r", path)
		}
		w.wantsClass(81, "remote_denied", "fs", "rm", "ws:d")
		w.wantsClass(82, "not_found", "fs", "rm", "ws:src/main.txt", "ws:none")
		w.wantsClass(80, "usage", "fs", "rm", "ws:d", "d")
		w.wantsClass(80, "usage", "fs", "rm", "ws:d", "other:d")
		if !exists(dir+"/d/R") || !exists(dir+"/src/main.txt") {
			t.Errorf("what was refused is gone")
		}
		w.must(os.Symlink(dir+"/d", dir+"/link"))
		if object := w.said(w.wants(0, "fs", "rm", "-r", "--json", "ws:link", "ws:x").stdout); object["removed"] != 2.0 {
			t.Errorf("rm --json gives %v", object)
		}
		if exists(dir+"/link") || exists(dir+"/x") || !exists(dir+"/d/R") {
			t.Errorf("rm has removed the wrong things")
		}
		w.wantsOut("removed 1 path\n", "fs", "rm", "--host", "gpu1", "bivy/proj/ws/d/R")
	})
}
