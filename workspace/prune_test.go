package workspace

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pruned runs prune.sh and returns "KIND PATH" of each item, relative to root.
func (sh shell) pruned(t *testing.T, root string, yes string, vars ...variable) (items []string, got ran) {
	t.Helper()
	vars = append([]variable{{"W_roots", "~/none\n" + root + "\n" + root + "/../" + filepath.Base(root)}, {"W_yes", yes}, noWait}, vars...)
	got = sh.run(t, pruneScript, vars...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("prune gives %v", got)
	}
	for _, line := range got.answer["item"] {
		one := leftoverOf(line)
		items = append(items, one.Kind+" "+strings.TrimPrefix(one.Path, root+"/"))
	}
	slices.Sort(items)
	return items, got
}

func mkdirs(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.MkdirAll(p, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p+"/file", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPrune(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		root := filepath.Join(t.TempDir(), "my root")
		me, gone := strconv.Itoa(os.Getpid()), "999999999"
		day := time.Now().Add(-50 * time.Hour)
		old := func(path string) {
			t.Helper()
			if err := os.Chtimes(path, day, day); err != nil {
				t.Fatal(err)
			}
		}
		one, two := root+"/one", root+"/two"
		mkdirs(t,
			// Nothing but leftovers, one of which is read-only.
			one+"/.store-sha1.git", one+"/.store-sha256.git", one+"/.new-0aa."+gone, one+"/.in-0bb."+gone+"/deep", one+"/.gone-0cc", one+"/.unlock-0ee",
			// A workspace, and what is or may be at work.
			two+"/.store-sha1.git", two+"/ws", two+"/.new-0aa."+me, two+"/.new-0bb."+me, two+"/.new-0cc", two+"/.lock-odd", two+"/.locking-0ab",
			// What has other names than ours, and what is no project of ours.
			two+"/.new-xx.1", two+"/.gone-", two+"/.gone-0zz", two+"/.hidden", two+"/.new-0aa.1x", root+"/three/src", root+"/.new-0aa."+gone,
			root+"/four", filepath.Dir(root)+"/far/.gone-0aa", filepath.Dir(root)+"/far/.store-sha1.git",
		)
		old(two + "/.new-0bb." + me)
		_ = os.Remove(one + "/.in-0bb." + gone + "/file")
		for _, link := range [][2]string{{"../far", root + "/link"}, {"../../far", two + "/.gone-0dd"}, {"../../far", two + "/.store-sha256.git"}} {
			if err := os.Symlink(link[0], link[1]); err != nil {
				t.Fatal(err)
			}
		}
		// A dead lock, one with a dead successor, and one that is held.
		v := variable{"W_dir", two}
		killed(t, sh, two, v)
		if got := sh.run(t, takeScript+"kill -KILL $$\n", v, noWait); got.code != 137 {
			t.Fatal(got)
		}
		_ = os.Remove(two + "/held")
		s := sh.start(t, strings.ReplaceAll(holdScript, " ws", " other"), v)
		eventually(t, "the lock is held", func() bool { return there(two + "/held") })

		want := []string{
			"lock one/.unlock-0ee", "lock two/.lock-ws", "removed one/.gone-0cc", "staging one/.in-0bb." + gone, "staging one/.new-0aa." + gone,
			"staging two/.new-0bb." + me, "store one/.store-sha1.git", "store one/.store-sha256.git",
		}
		items, got := sh.pruned(t, root, "0")
		if !slices.Equal(items, want) {
			t.Errorf("found %q, want %q", items, want)
		}
		if w := got.answer["workspace"]; !slices.Equal(w, []string{two + "/ws"}) {
			t.Errorf("the workspaces are %q", w)
		}
		if items, _ = sh.pruned(t, root, "1"); !slices.Equal(items, want) {
			t.Errorf("removed %q, want %q", items, want)
		}
		if there(one) || there(two+"/.lock-ws") {
			t.Error("something that was listed as removed is there")
		}
		for _, path := range []string{
			two + "/.store-sha1.git", two + "/ws/file", two + "/.new-0aa." + me, two + "/.new-0cc", two + "/.lock-odd", two + "/.locking-0ab", two + "/.new-xx.1",
			two + "/.gone-", two + "/.gone-0zz", two + "/.hidden", two + "/.new-0aa.1x", two + "/.lock-other/owner", root + "/three/src", root + "/four",
			root + "/.new-0aa." + gone, filepath.Dir(root) + "/far/.gone-0aa", filepath.Dir(root) + "/far/.store-sha1.git/file",
		} {
			if !there(path) {
				t.Errorf("%s is gone", path)
			}
		}
		if err := s.process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		s.wait()
		// A day later, those without an owner that can be told go as well.
		for _, path := range []string{two + "/.new-0cc", two + "/.lock-odd", two + "/.locking-0ab"} {
			old(path)
		}
		want = []string{"lock two/.lock-odd", "lock two/.locking-0ab", "staging two/.new-0cc"}
		if items, _ = sh.pruned(t, root, "1"); !slices.Equal(items, want) {
			t.Errorf("removed %q, want %q", items, want)
		}
	})
}

// A store stays while somebody may be about to use it, whatever that one's pid.
func TestPruneLeavesAStoreInUse(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		root := t.TempDir()
		mkdirs(t, root+"/p/.store-sha1.git")
		v := variable{"W_dir", root + "/p"}
		s := sh.start(t, holdScript, v)
		eventually(t, "the lock is held", func() bool { return there(root + "/p/held") })
		if err := os.Remove(root + "/p/held"); err != nil {
			t.Fatal(err)
		}
		if items, _ := sh.pruned(t, root, "1"); len(items) > 0 {
			t.Errorf("under a lock it removes %q", items)
		}
		if err := s.process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		s.wait()
		// One that comes at the last moment gets it back.
		got := sh.run(t, strings.Replace(pruneScript, "\n  W_gone=$W_dir/", "\n  mkdir \"$W_dir/.lock-late\" \"$W_dir/.lock-late/x\"\n  W_gone=$W_dir/", 1),
			variable{"W_roots", root}, variable{"W_yes", "1"})
		if got.code != 0 || len(got.answer["item"]) > 0 || !there(root+"/p/.store-sha1.git/file") || !there(root+"/p/.lock-late") {
			t.Errorf("with a late lock it gives %v", got)
		}
		if err := os.RemoveAll(root + "/p/.lock-late"); err != nil {
			t.Fatal(err)
		}
		if items, _ := sh.pruned(t, root, "1"); !slices.Equal(items, []string{"store p/.store-sha1.git"}) || there(root+"/p") {
			t.Errorf("without a lock it removes %q", items)
		}
	})
}
