package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSyncOdd brings trees across that most tools get wrong.
func TestSyncOdd(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "ws", "--host", "gpu1")
		there := w.remote + "/bivy/proj/ws"
		names := []string{
			"two\nlines", "-dash", " space ", "quote'\"\\$`", "glob*?[a]", "#hash", "!bang", "\xff\xfe", "tab\t", ".hidden", "d e/é/f", "UPPER", "upper",
		}
		for round, flags := range [][]string{{}, {"--dirty"}} {
			for _, name := range names {
				w.write(filepath.Join(w.proj, name), name+strings.Repeat("x", round))
			}
			w.write(w.proj+"/run.sh", "#!/bin/sh\n")
			w.must(os.Chmod(w.proj+"/run.sh", 0o755))
			_ = os.Remove(w.proj + "/link")
			w.must(os.Symlink("-dash", w.proj+"/link"))
			_ = os.Remove(w.proj + "/nowhere")
			w.must(os.Symlink("/nowhere/"+flagsName(flags), w.proj+"/nowhere"))
			if round == 0 {
				w.git("add", "-A")
				w.git("commit", "-qm", "odd")
			} else {
				w.must(os.Remove(w.proj + "/UPPER"))
			}
			w.wants(0, append([]string{"sync", "ws"}, flags...)...)
			for _, name := range names {
				got, err := os.ReadFile(filepath.Join(there, name))
				if name == "UPPER" && round == 1 {
					if !os.IsNotExist(err) {
						t.Errorf("%q is still there: %v", name, err)
					}
					continue
				}
				if err != nil || string(got) != name+strings.Repeat("x", round) {
					t.Errorf("%q holds %q, %v", name, got, err)
				}
			}
			if info, err := os.Stat(there + "/run.sh"); err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("run.sh: %v, %v", info, err)
			}
			for link, want := range map[string]string{"link": "-dash", "nowhere": "/nowhere/" + flagsName(flags)} {
				if to, err := os.Readlink(filepath.Join(there, link)); err != nil || to != want {
					t.Errorf("%s leads to %q, %v", link, to, err)
				}
			}
		}
		if out := w.wants(0, "exec", "ws", "--", "git", "status", "--porcelain").stdout; out != "" {
			t.Errorf("changes there: %q", out)
		}
	})
}

func flagsName(flags []string) string { return "x" + strings.Join(flags, "") }

// TestSyncKinds goes through the kinds of repositories that a project may be.
func TestSyncKinds(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		for i := range 4 {
			w.write(w.proj+"/n", strings.Repeat("n", i+1))
			w.git("add", "-A")
			w.git("commit", "-qm", "n"+strings.Repeat("n", i))
		}
		w.git("branch", "secret-branch")
		w.git("tag", "secret-tag")
		kinds := map[string]struct {
			make  [][]string // git commands that make the project
			dir   string
			flags []string
			log   string // the number of commits there
		}{
			"subdirectory": {dir: "src", log: "1"},
			"worktree":     {make: [][]string{{"worktree", "add", "-q", "--detach", "../tree", "HEAD"}}, dir: "../tree", log: "1"},
			"shallow":      {make: [][]string{{"clone", "-q", "--depth", "2", "file://" + w.proj, "../shallow"}}, dir: "../shallow", flags: []string{"--history"}, log: "2"},
			"history":      {flags: []string{"--history"}, log: "6"},
			"depth":        {flags: []string{"--history", "--history-depth", "3"}, log: "3"},
			"sha256":       {make: [][]string{{"init", "-q", "--object-format=sha256", "../long"}, {"-C", "../long", "commit", "-q", "--allow-empty", "-m", "first"}}, dir: "../long", log: "1"},
		}
		for name, k := range kinds {
			for _, args := range k.make {
				w.git(args...)
			}
			dir := filepath.Join(w.proj, k.dir)
			w.wants(0, append([]string{"new", name, "--host", "gpu1", "--project", dir}, k.flags...)...)
			count := func(want string) {
				t.Helper()
				if got := strings.TrimSpace(w.wants(0, "exec", name, "--", "git", "rev-list", "--count", "HEAD").stdout); got != want {
					t.Errorf("%s has %s commits, want %s", name, got, want)
				}
			}
			count(k.log)
			w.write(dir+"/added-"+name, name)
			w.git("-C", dir, "add", "-A")
			w.git("-C", dir, "commit", "-qm", "added")
			w.wants(0, "sync", name)
			if got := w.wants(0, "exec", name, "-c", "git status --porcelain; git ls-files | grep added-"+name).stdout; !strings.HasSuffix(got, "added-"+name+"\n") || strings.Contains(got, "?? ") {
				t.Errorf("%s holds %q", name, got)
			}
			if len(k.flags) > 0 {
				count(string(rune(k.log[0] + 1)))
			}
			if refs := w.wants(0, "exec", name, "--", "git", "for-each-ref").stdout; strings.Contains(refs, "secret") || strings.Contains(refs, "remotes") {
				t.Errorf("%s got refs: %s", name, refs)
			}
			w.wants(0, "exec", name, "--", "git", "fsck", "--strict")
			w.wants(0, "rm", name)
			w.git("-C", dir, "reset", "-q", "--hard", "HEAD~1")
		}
	})
}
