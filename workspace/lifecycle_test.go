package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// workspace makes a repository that looks like a workspace p/ws whose only
// commit was sent, with an id.
func (sh shell) workspace(t *testing.T) Record {
	t.Helper()
	rec := Record{ID: NewID(), Project: "p", Name: "ws", State: Ready, Dir: filepath.Join(filepath.Dir(sh.repository(t)), "p", "ws")}
	got := sh.run(t, identityScript+`set -e; mkdir "${W_dir%/*}"; mv "${W_dir%/p/ws}/work space" "$W_dir"; bivy_sign "$W_dir"; cd "$W_dir"; echo "head=$(git rev-parse HEAD)"`+
		"\n", variable{"W_dir", rec.Dir}, variable{"W_id", rec.ID})
	if rec.Snapshot = got.answer.one("head"); got.code != 0 || rec.Snapshot == "" {
		t.Fatal(got)
	}
	return rec
}

func TestRemoveScript(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		rec := sh.workspace(t)
		parent := filepath.Dir(rec.Dir)
		remove := func(force bool) ran { return sh.run(t, removeText(), append(removeVars(rec, force, nil), noWait)...) }
		refused := func(what, line string) {
			t.Helper()
			if got := remove(false); !strings.Contains("\n"+got.stdout, "\n"+line+"\n") || got.answer.one("removed") != "" || !there(rec.Dir+"/README") {
				t.Errorf("with %s it gives %v; want %q", what, got, line)
			}
			if left, _ := filepath.Glob(parent + "/.*"); len(left) > 0 {
				t.Errorf("with %s it leaves %v", what, left)
			}
		}
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(rec.Dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("note", "x")
		refused("an untracked file", "untracked_count=1")
		_ = os.Remove(rec.Dir + "/note")
		write("env", "sent")
		if got := sh.run(t, linesScript+includedScript+listScript, variable{"W_dir", rec.Dir}); got.code != 0 {
			t.Fatal(got)
		}
		write("env", "changed")
		refused("a file of .bivy/include that changed", "included=env")
		_ = os.Remove(rec.Dir + "/env")
		write("env 2", "new")
		refused("a file of .bivy/include that is new", "included_count=1")
		_ = os.Remove(rec.Dir + "/env 2")
		write(".git/bivy-id", "0123456789abcdef\n")
		if got := remove(true); got.answer.one("removed") != "1" || !there(rec.Dir+"/README") {
			t.Errorf("with another one in its place it gives %v", got)
		}
		write(".git/bivy-id", rec.ID+"\n")

		s := sh.start(t, holdScript, variable{"W_dir", parent})
		eventually(t, "the lock is held", func() bool { return there(parent + "/held") })
		if got := remove(true); got.answer.one("trouble") != "busy" || !there(rec.Dir+"/README") {
			t.Errorf("while it is locked it gives %v", got)
		}
		write("../go", "")
		s.wait()
		if got := remove(false); got.answer.one("removed") != "1" || there(rec.Dir) {
			t.Errorf("without work it gives %v", got)
		}
		if got := remove(false); got.answer.one("removed") != "1" {
			t.Errorf("when it is gone it gives %v", got)
		}
	})
}

// On a full disk no lock can be made, and to remove something helps.
func TestRemoveWithoutALock(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		rec := sh.workspace(t)
		full := strings.Replace(removeText(), "\nbivy_fill() {\n", "\nbivy_fill() {\n  echo 'No space left on device' >&2\n  return 1\n", 1)
		got := sh.run(t, full, append(removeVars(rec, false, nil), noWait)...)
		if got.answer.one("removed") != "1" || there(rec.Dir) || !strings.Contains(got.stderr, "No space") {
			t.Errorf("it gives %v", got)
		}
	})
}

func TestRenameScript(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		rec := sh.workspace(t)
		rec.State, rec.RenameTo = Renaming, "new"
		parent, to := filepath.Dir(rec.Dir), filepath.Join(filepath.Dir(rec.Dir), "new")
		rename := func(text string, look bool) ran { return sh.run(t, text, append(renameVars(rec, look), noWait)...) }
		wants := func(what string, got ran, where, trouble string) {
			t.Helper()
			words := got.answer["where"]
			if len(words) == 0 || words[len(words)-1] != where || got.answer.one("trouble") != trouble {
				t.Errorf("%s: %v; want where=%s and trouble=%s", what, got, where, trouble)
			}
			if left, _ := filepath.Glob(parent + "/.*"); len(left) > 0 {
				t.Errorf("%s leaves %v", what, left)
			}
		}
		wants("a look", rename(renameText(), true), "old", "")
		if err := os.Symlink("nowhere", to); err != nil {
			t.Fatal(err)
		}
		wants("something of the new name", rename(renameText(), false), "old", "exists")
		_ = os.Remove(to)
		late := strings.Replace(renameText(), "\ncd / && mv ", "\nmkdir \"$W_new\"\ncd / && mv ", 1)
		wants("a directory that comes late", rename(late, false), "old", "exists")
		if !there(rec.Dir + "/README") {
			t.Fatal("the workspace has not come back")
		}
		_ = os.Remove(to)
		wants("a renaming", rename(renameText(), false), "new", "")
		wants("its repetition", rename(renameText(), false), "new", "")
		wants("a look after it", rename(renameText(), true), "new", "")
		// Another one has taken the old name meanwhile.
		if err := os.MkdirAll(rec.Dir+"/.git", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(rec.Dir+"/.git/bivy-id", []byte("0123456789abcdef\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		wants("another one of the old name", rename(renameText(), false), "new", "")
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		wants("one that is gone, with another one in its place", rename(renameText(), false), "gone", "replaced")
		if err := os.RemoveAll(rec.Dir); err != nil {
			t.Fatal(err)
		}
		wants("one that is gone", rename(renameText(), false), "gone", "gone")
		wants("a look at one that is gone", rename(renameText(), true), "gone", "")
	})
}
