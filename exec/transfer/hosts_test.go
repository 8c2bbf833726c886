package transfer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/integration/sshdtest"
)

// posixPrograms are those that a host needs at least. There is nothing for
// SHA-256, no stat and no readlink.
func posixPrograms() []string {
	return []string{
		"sh", "cat", "chgrp", "chmod", "chown", "cksum", "date", "dd", "find", "grep", "head", "kill", "ln", "ls", "mkdir", "mv",
		"printf", "ps", "rm", "sleep", "tar", "tee", "tr", "uname", "wc",
	}
}

// Every shell and every set of tools does the same.
func TestHosts(t *testing.T) {
	for name, o := range map[string]sshdtest.Options{
		"dash":    {Sh: "dash"},
		"bash":    {Sh: "bash"},
		"mksh":    {Sh: "mksh"},
		"zsh":     {Sh: "zsh"},
		"busybox": {Sh: "busybox", Programs: sshdtest.BusyboxPrograms(t)},
		"fish":    {LoginShell: "fish"},
		"bare":    {Programs: posixPrograms()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell := o.Sh
			if shell == "" {
				shell = o.LoginShell
			}
			if _, err := os.Stat("/usr/bin/" + shell); shell != "" && err != nil {
				// .ci/run installs all of them; a laptop tests those it has.
				t.Skipf("%s is not installed", shell)
			}
			w := start(t, o)
			for _, way := range []Way{BySCP, ByStream} {
				if way == ByStream {
					w.SCP = nil
				}
				w.files(way, name)
			}
			w.trees()
		})
	}
}

// files carries one file there and back in one way.
func (w *world) files(way Way, host string) {
	w.Helper()
	ctx, dir := w.Context(), w.near+"/"+string(way)
	checked, names := bySHA256, oddNames[:3]
	switch host {
	case "bare":
		checked = byCksum
	case "dash":
		names = oddNames
	}
	for _, content := range []string{"", "x", noise(large + 17)} {
		name := count(int64(len(content)))
		w.write(dir+"/"+name, content)
		r, err := w.Put(ctx, []string{dir + "/" + name}, "", Options{})
		if err != nil || r.Way != way || r.Bytes != int64(len(content)) || r.SHA256 != sumOf(content) || r.Files != 1 || r.Checked != checked {
			w.Errorf("put %s by %s: %+v, %v", name, way, r, err)
		}
		w.want(w.far+"/"+name, content)
		back, want := dir+"/back-"+name, way
		if content == "" {
			want = ByStream // the size of such a file says nothing
		}
		r, err = w.Get(ctx, name, back, Options{})
		if err != nil || r.Way != want || r.Bytes != int64(len(content)) || r.SHA256 != sumOf(content) || r.Files != 1 || r.Checked != checked {
			w.Errorf("get %s by %s: %+v, %v", name, way, r, err)
		}
		w.want(back, content)
	}
	w.must(os.RemoveAll(w.far))
	w.must(os.MkdirAll(w.far, 0o755))
	for _, name := range names {
		w.write(dir+"/"+name, name)
		if _, err := w.Put(ctx, []string{dir + "/" + name}, ".", Options{}); err != nil {
			w.Errorf("put %q: %v", name, err)
		}
		w.want(w.far+"/"+name, name)
		w.must(os.Remove(dir + "/" + name))
		if _, err := w.Get(ctx, "./"+name, dir, Options{}); err != nil {
			w.Errorf("get %q: %v", name, err)
		}
		w.want(dir+"/"+name, name)
	}
	w.must(os.RemoveAll(w.far))
	w.must(os.MkdirAll(w.far, 0o755))
}

// trees carries a directory there and back, also over one that is there.
func (w *world) trees() {
	w.Helper()
	ctx, tree := w.Context(), w.near+"/tree"
	big := noise(9 << 20)
	w.write(tree+"/big", big)
	w.write(tree+"/-d/e/f", "f")
	w.must(os.MkdirAll(tree+"/empty", 0o700))
	w.must(os.Symlink("-d/e", tree+"/link"))
	want := []string{"-d/", "-d/e/", "-d/e/f", "big", "empty/", "link -> -d/e", "odd/"}
	for _, name := range oddNames {
		w.write(tree+"/odd/"+name, name)
		want = append(want, "odd/"+name)
	}
	files := int64(len(oddNames) + 3)
	for _, where := range []string{"new", "new/tree"} {
		r, err := w.Put(ctx, []string{tree}, "new", Options{})
		if err != nil || r.Way != ByTar || r.Files != files || r.Checked == byLength || r.Path != w.far+"/"+where {
			w.Fatalf("put: %+v, %v", r, err)
		}
	}
	w.wantTree(w.far+"/new/tree", want...)
	w.want(w.far+"/new/tree/big", big)
	// What is there stays, and the rest is put beside or over it.
	w.must(os.RemoveAll(w.far + "/new/tree"))
	w.write(w.far+"/new/-d/e/mine", "mine")
	w.write(w.far+"/new/-d/e/f", "older")
	w.must(os.RemoveAll(w.far + "/new/empty"))
	if r, err := w.Put(ctx, []string{tree + "/."}, "new", Options{}); err != nil || r.Files != files {
		w.Fatalf("put into: %+v, %v", r, err)
	}
	w.wantTree(w.far+"/new", append(want, "-d/e/mine")...)
	w.want(w.far+"/new/-d/e/f", "f")
	w.wantMode(w.far+"/new/empty", os.ModeDir|0o700)
	for _, into := range []string{"back", "back/new"} {
		r, err := w.Get(ctx, "new", w.near+"/back", Options{})
		if err != nil || r.Way != ByTar || r.Files != files+1 || r.Checked == byLength || r.Path != w.near+"/"+into {
			w.Fatalf("get: %+v, %v", r, err)
		}
	}
	w.wantTree(w.near+"/back/new", append(want, "-d/e/mine")...)
	w.want(w.near+"/back/big", big)
	w.wantMode(w.near+"/back/empty", os.ModeDir|0o700)
	w.must(os.RemoveAll(w.near + "/back/new"))
	w.must(os.Remove(w.near + "/back/big"))
	w.write(w.near+"/back/odd/mine", "mine")
	if _, err := w.Get(ctx, "new/.", w.near+"/back", Options{}); err != nil {
		w.Fatalf("get into: %v", err)
	}
	w.wantTree(w.near+"/back", append(want, "-d/e/mine", "odd/mine")...)
	// Several at once.
	if r, err := w.Put(ctx, []string{tree + "/big", tree + "/-d", tree + "/odd/end\n"}, "new/odd", Options{}); err != nil || r.Files != 3 {
		w.Errorf("put of several: %+v, %v", r, err)
	}
	w.wantTree(w.far+"/new/odd/-d", "e/", "e/f")
	w.want(w.far+"/new/odd/end\n", "end\n")
	for _, dir := range []string{w.far, w.far + "/new", w.near, w.near + "/back"} {
		if left := staged(dir); len(left) > 0 {
			w.Errorf("left: %q", left)
		}
	}
	w.must(filepath.WalkDir(w.far, func(path string, _ os.DirEntry, err error) error {
		if strings.Contains(path, ".bivy") {
			w.Errorf("%s is left", path)
		}
		return err
	}))
}
