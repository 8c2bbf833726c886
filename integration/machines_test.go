package integration

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// second runs bivy on another machine: with a registry of its own, and with the
// same hosts and project.
func (w *world) second(args ...string) *running {
	w.tb.Helper()
	s := w.spec(args...)
	s.Env = append(slices.Clone(s.Env), "BIVY_HOME="+w.root+"/s2")
	return w.start(s)
}

// TestTwoMachines: two machines make, fork, rename and remove workspaces of the
// same names on one host, all at once. Whatever wins, no work is lost, nothing is
// half there, and the others say why they did not get what they wanted.
func TestTwoMachines(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "base", "--host", "gpu1")
		w.wants(0, "exec", "base", "-c", "echo precious >note; git add note; git commit -qm precious")
		if got := w.second("new", "base2", "--host", "gpu1").wait(); got.code != 0 {
			t.Fatal(got)
		}
		if got := w.second("exec", "base2", "-c", "echo precious >note").wait(); got.code != 0 {
			t.Fatal(got)
		}
		for round := range 3 {
			all := []*running{
				w.start(w.spec("new", "a", "--host", "gpu1")), w.second("new", "a", "--host", "gpu1"),
				w.start(w.spec("fork", "base", "a")), w.second("fork", "base2", "a", "--dirty"),
				w.start(w.spec("rename", "base", "b")), w.second("rename", "base2", "b"),
				w.start(w.spec("rm", "a")), w.second("rm", "a"),
			}
			for i, b := range all {
				got := b.wait()
				switch got.code {
				case 0, 82, 83, 97:
				default:
					t.Errorf("round %d, command %d gives %v", round, i, got)
				}
				if got.code != 0 && !strings.Contains(got.stderr, "bivy: ") {
					t.Errorf("round %d, command %d says nothing: %v", round, i, got)
				}
			}
			w.nothingHalfMade()
			for _, base := range []string{"base", "base2"} {
				w.stillThere(round, base)
			}
			// Names and directories belong together, and those here to one registry.
			ours, theirs := w.listed("s"), w.listed("s2")
			for _, dir := range ours {
				if slices.Contains(theirs, dir) {
					t.Errorf("round %d: both machines have %s", round, dir)
				}
			}
			dirs, err := filepath.Glob(w.remote + "/bivy/proj/*")
			w.must(err)
			for _, dir := range dirs {
				if !strings.HasPrefix(filepath.Base(dir), ".") && !slices.Contains(ours, dir) && !slices.Contains(theirs, dir) {
					t.Errorf("round %d: no machine knows %s", round, dir)
				}
			}
			w.bivy("rename", "b", "base")
			w.second("rename", "b", "base2").wait()
			w.bivy("rm", "--force", "a")
			w.second("rm", "--force", "a").wait()
		}
		if got := w.second("host", "close", "gpu1").wait(); got.code != 0 {
			t.Error(got)
		}
	})
}

// stillThere wants the file of one of the first two workspaces, under whatever
// name it has by now.
func (w *world) stillThere(round int, base string) {
	w.tb.Helper()
	notes, err := filepath.Glob(w.remote + "/bivy/proj/*/note")
	w.must(err)
	want := map[string]string{"base": "refs/heads/base", "base2": "refs/heads/base2"}[base]
	for _, note := range notes {
		if exists(filepath.Dir(note)+"/.git/"+want) && w.read(note) == "precious\n" {
			return
		}
	}
	w.tb.Errorf("round %d: %s is lost; there is %v", round, base, notes)
}

// listed returns the directories of the finished workspaces of a registry.
func (w *world) listed(home string) []string {
	w.tb.Helper()
	s := w.spec("ls")
	s.Env = append(slices.Clone(s.Env), fmt.Sprintf("BIVY_HOME=%s/%s", w.root, home))
	var dirs []string
	for line := range strings.Lines(w.run(s).stdout) {
		if fields := strings.Fields(line); fields[0] != "WORKSPACE" && !strings.Contains(line, "unfinished") {
			dirs = append(dirs, fields[2])
		}
	}
	return dirs
}
