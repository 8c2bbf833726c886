package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// local runs the user's git in a directory and returns what it prints.
func (w *world) local(dir string, args ...string) string {
	w.tb.Helper()
	return w.localIn(dir, "", args...)
}

func (w *world) localIn(dir, stdin string, args ...string) string {
	w.tb.Helper()
	var out, said bytes.Buffer
	exit, err := proc.Run(w.tb.Context(), proc.Spec{
		Args: append([]string{"git"}, args...), Dir: dir, Env: w.env, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &said,
	})
	w.must(err)
	if !exit.OK() {
		w.tb.Fatalf("git %q: %s: %s", args, exit, said.String())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// work runs a script in the workspace "ws".
func (w *world) work(script string) string {
	w.tb.Helper()
	return w.wants(0, "exec", "ws", "-c", script).stdout
}

// pulled is what bivy pull --json says.
type pulled struct {
	New   bool  `json:"new"`
	Bytes int64 `json:"bytes"`
	Refs  []struct {
		Branch, Ref, ID, There, Old, Kept string
		Commits                           int
		New                               bool
	}
	LookWith  string `json:"look_with"`
	MergeWith string `json:"merge_with"`
}

func (w *world) pull(args ...string) pulled {
	w.tb.Helper()
	var p pulled
	got := w.wants(0, append([]string{"pull", "ws", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(got.stdout), &p); err != nil {
		w.tb.Fatalf("%v: %v", err, got)
	}
	return p
}

// TestPull goes the whole way: work there, pull, merge, more work, pull, rm.
func TestPull(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "ws", "--host", "gpu1")
		if got := w.wants(0, "pull", "ws"); got.stdout != "" || !strings.Contains(got.stderr, "nothing new in proj/ws") {
			t.Errorf("without work: %v", got)
		}
		w.work(`echo there >>README; git commit -qam 'work there'; dd if=/dev/urandom of=large bs=1000 count=300 2>/dev/null; git add large; git commit -qm large`)
		got := w.wants(0, "pull", "ws")
		id := w.local(w.proj, "rev-parse", "refs/bivy/ws/ws")
		if got.stdout != "refs/bivy/ws/ws "+id[:12]+" 2 new commits\n" ||
			!strings.Contains(got.stderr, "git log -p HEAD..refs/bivy/ws/ws\n") || !strings.Contains(got.stderr, "git merge refs/bivy/ws/ws\n") {
			t.Errorf("the pull gives %v", got)
		}
		w.write(w.proj+"/src/main.txt", "meanwhile\n")
		w.local(w.proj, "commit", "-qam", "meanwhile")
		w.local(w.proj, "merge", "-q", "--no-edit", "refs/bivy/ws/ws")
		if got := w.local(w.proj, "log", "--format=%s", "--no-merges"); strings.Join(strings.Fields(got), " ") != "meanwhile large work there second first" && !strings.Contains(got, "large\nwork there") {
			t.Errorf("the log is %q", got)
		}
		if got := w.wants(0, "pull", "ws"); got.stdout != "" || !strings.Contains(got.stderr, "nothing new") {
			t.Errorf("a second pull: %v", got)
		}
		w.work(`echo more >>README; git commit -qam more`)
		p := w.pull()
		if !p.New || p.Bytes == 0 || p.Bytes > 2000 || len(p.Refs) != 1 || p.Refs[0].Commits != 1 || p.Refs[0].Old != id || p.MergeWith != "git merge refs/bivy/ws/ws" {
			t.Errorf("the third pull gives %+v", p)
		}
		// All of it is here: removing the workspace needs no force.
		w.wants(0, "rm", "ws")
		if got := w.local(w.proj, "rev-parse", "refs/bivy/ws/ws"); got != p.Refs[0].ID {
			t.Errorf("after rm the ref is %s", got)
		}
		w.local(w.proj, "fsck", "--strict")
	})
}

// TestRmAfterPull: what was pulled and lost here again is in the way.
func TestRmAfterPull(t *testing.T) {
	w := newWorld(t, kindSandbox, hostOptions{})
	defer w.end()
	w.wants(0, "new", "ws", "--host", "gpu1")
	w.work(`echo x >x; git add x; git commit -qm x`)
	w.wants(83, "rm", "ws")
	w.pull()
	w.local(w.proj, "update-ref", "-d", "refs/bivy/ws/ws")
	w.wants(83, "rm", "ws")
	w.pull()
	w.work(`git commit -q --amend -m y`)
	w.wants(83, "rm", "ws")
	w.pull()
	w.wants(0, "rm", "ws")
}

// TestPullDirty brings what was not committed, and leaves the workspace as it
// is: its index, its objects, its stash.
func TestPullDirty(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "ws", "--host", "gpu1")
		w.work(`echo '*.o' >.gitignore; git add .gitignore; git commit -qm ignore; echo staged >staged; git add staged; echo changed >>README
			echo untracked >'odd "name'; echo ignored >x.o; rm src/main.txt; git init -q nested; echo n >nested/n; git init -q 'ne"sted'; cd 'ne"sted'; git commit -q --allow-empty -m x`)
		dir := w.remote + "/bivy/proj/ws/"
		before := w.read(dir + ".git/index")
		status := w.local(dir, "status", "--porcelain")
		got := w.wants(0, "pull", "ws", "--dirty")
		if !strings.Contains(got.stderr, "git merge refs/bivy/ws/ws+dirty\n") || !strings.Contains(got.stderr, "left out: nested") {
			t.Errorf("the pull gives %v", got)
		}
		if w.read(dir+".git/index") != before || w.local(dir, "status", "--porcelain") != status || w.local(dir, "stash", "list") != "" {
			t.Error("the workspace was changed")
		}
		if left, _ := filepath.Glob(dir + ".git/bivy/*"); len(left) > 0 {
			t.Errorf("on the host are still %v", left)
		}
		want := "M\tREADME\nA\t\"odd \\\"name\"\nD\tsrc/main.txt\nA\tstaged"
		if got := w.local(w.proj, "diff", "--no-renames", "--name-status", "refs/bivy/ws/ws", "refs/bivy/ws/ws+dirty"); got != want {
			t.Errorf("brought\n%s\nwant\n%s", got, want)
		}
		if p := w.pull("--dirty"); p.New {
			t.Errorf("the same again: %+v", p)
		}
		// Once it is committed there, the branch goes on.
		w.work(`git add -A . ':!ne*'; git commit -qm committed`)
		if p := w.pull("--dirty"); len(p.Refs) != 1 || p.Refs[0].Kept != "" || p.Refs[0].Commits != 1 {
			t.Errorf("committed: %+v", p)
		}
		w.wants(83, "rm", "ws") // the nested repositories
		w.work(`rm -rf ne*`)
		w.wants(0, "rm", "ws")
	})
}

// TestPullPatch prints the work, for git am, and changes nothing here.
func TestPullPatch(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "ws", "--host", "gpu1")
		if got := w.wants(0, "pull", "ws", "--patch"); got.stdout != "" {
			t.Errorf("without work: %v", got)
		}
		w.work(`echo there >>README; git commit -qam 'work there'; echo new >new`)
		before := w.local(w.proj, "for-each-ref") + w.local(w.proj, "count-objects", "-v")
		text := w.wants(0, "pull", "ws", "--patch", "--dirty").stdout
		if after := w.local(w.proj, "for-each-ref") + w.local(w.proj, "count-objects", "-v"); after != before {
			t.Errorf("the project changed from\n%s\nto\n%s", before, after)
		}
		w.localIn(w.proj, text, "am", "-q")
		if got := w.local(w.proj, "log", "-2", "--format=%s", "--name-status"); got != "uncommitted work\n\nA\tnew\nwork there\n\nM\tREADME" {
			t.Errorf("applied\n%s", got)
		}
		var object struct{ Patch string }
		got := w.wants(0, "pull", "ws", "--patch", "--json")
		if err := json.Unmarshal([]byte(got.stdout), &object); err != nil || !strings.Contains(object.Patch, "Subject: [PATCH] work there") {
			t.Errorf("--json: %v %v", err, got)
		}
	})
}

// TestDiff shows all that changed since the last sync.
func TestDiff(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "ws", "--host", "gpu1")
		if got := w.wants(0, "diff", "ws"); got.stdout != "" {
			t.Errorf("without work: %v", got)
		}
		w.work(`echo there >>README; git commit -qam x; echo 'new ]0;title' >new; rm src/main.txt`)
		// The account's configuration does not show.
		w.write(w.remote+"/.gitconfig", "[user]\n\tname = R\n\temail = r@x\n[diff]\n\texternal = false\n\tnoprefix = true\n\tcontext = 0\n\tsuppressBlankEmpty = true\n[color]\n\tui = always\n[core]\n\tautocrlf = input\n\tpager = false\n[pack]\n\tpackSizeLimit = 1\n\tcompression = 0\n")
		text := w.wants(0, "diff", "ws").stdout
		w.local(w.proj, "update-index", "-q", "--refresh")
		w.localIn(w.proj, text, "apply", "--index")
		if got := w.local(w.proj, "diff", "--cached", "--name-status"); got != "M\tREADME\nA\tnew\nD\tsrc/main.txt" {
			t.Errorf("applied\n%s\nof\n%s", got, text)
		}
		if got := w.wants(0, "diff", "ws", "--stat").stdout; !strings.Contains(got, "3 files changed, 2 insertions(+), 1 deletion(-)") || strings.Contains(got, "@@") {
			t.Errorf("--stat gives %q", got)
		}
		var object struct{ Diff string }
		if err := json.Unmarshal([]byte(w.wants(0, "diff", "ws", "--json").stdout), &object); err != nil || object.Diff != text {
			t.Errorf("--json gives %q (%v)", object.Diff, err)
		}
		if p := w.pull(); !p.New {
			t.Errorf("pull with that configuration: %+v", p)
		}
		w.work(`git checkout -q --orphan new; git rm -rfq .; git commit -q --allow-empty -m new; git branch -D ws; rm -rf .git/logs; git gc -q --prune=now`)
		if got := w.wants(81, "diff", "ws"); !strings.Contains(got.stderr, "no longer the commit that was sent last") {
			t.Errorf("without the snapshot: %v", got)
		}
	})
}

// TestPullEverywhere: commits of other branches, of other worktrees, of a
// detached HEAD, of one that was left behind.
func TestPullEverywhere(t *testing.T) {
	w := newWorld(t, kindSandbox, hostOptions{})
	defer w.end()
	w.wants(0, "new", "ws", "--host", "gpu1")
	w.work(`git checkout -q -b feature/x; git commit -q --allow-empty -m one; git checkout -q --detach; git commit -q --allow-empty -m left; git checkout -q ws
		git worktree add -q --detach ../../far; cd ../../far; git commit -q --allow-empty -m far; cd -
		git commit -q --allow-empty -m kept; git update-ref refs/keep/me HEAD; git reset -q --hard HEAD~1
		git checkout -q --detach; git commit -q --allow-empty -m detached; git tag mine`)
	w.wants(83, "rm", "ws")
	p := w.pull()
	subjects := map[string]string{}
	for _, r := range p.Refs {
		if r.Ref != "" {
			subjects[strings.TrimRight(r.Ref, "0123456789abcdef")] += w.local(w.proj, "log", "-1", "--format=%s", r.Ref) + " "
		}
	}
	if subjects["refs/bivy/ws/feature/x"] != "one " || subjects["refs/bivy/ws/HEAD"] != "detached " || len(strings.Fields(subjects["refs/bivy/ws/+other/"])) != 3 {
		t.Errorf("pulled %v", subjects)
	}
	if got := w.local(w.proj, "tag"); got != "" {
		t.Errorf("tags came: %q", got)
	}
	if !strings.Contains(p.MergeWith, "refs/bivy/ws/HEAD") {
		t.Errorf("to merge: %s", p.MergeWith)
	}
	w.wants(0, "rm", "ws")
}

// TestPullIntoOddProjects: a linked worktree, a directory below the top, a bare
// repository; and a call from elsewhere.
func TestPullIntoOddProjects(t *testing.T) {
	for _, c := range []struct{ name, make, dir string }{
		{"worktree", "git worktree add -q ../linked", "../linked"},
		{"subdirectory", "true", "src"},
		{"bare", "git clone -q --bare . ../bare.git", "../bare.git"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, kindSandbox, hostOptions{})
			defer w.end()
			w.wants(0, "exec", "--host", "gpu1", "-c", "cd "+w.proj+" && "+c.make)
			w.wants(0, "new", "ws", "--host", "gpu1", "--project", c.dir)
			w.work(`echo there >>README; git commit -qam there`)
			s := w.spec("pull", "ws")
			s.Dir = w.root
			got := w.run(s)
			dir := filepath.Join(w.proj, c.dir)
			top := dir
			if c.name == "subdirectory" {
				top = w.proj
			}
			if got.code != 0 || !strings.Contains(got.stderr, "git -C "+top+" merge refs/bivy/ws/ws\n") {
				t.Errorf("bivy pull gives %v", got)
			}
			if got := w.local(dir, "log", "-1", "--format=%s", "refs/bivy/ws/ws"); got != "there" {
				t.Errorf("pulled %q", got)
			}
		})
	}
}

// TestPullTroubles: what is not there says so.
func TestPullTroubles(t *testing.T) {
	w := newWorld(t, kindSandbox, hostOptions{})
	defer w.end()
	w.wants(82, "pull", "ws")
	w.wants(0, "new", "ws", "--host", "gpu1")
	w.wants(80, "pull", "ws", "--max-bytes", "0")
	w.work(`dd if=/dev/urandom of=large bs=1000 count=300 2>/dev/null; git add large; git commit -qm large`)
	if got := w.wants(83, "pull", "ws", "--max-bytes", "1000"); !strings.Contains(got.stderr, "--max-bytes") || exists(w.proj+"/.git/refs/bivy") {
		t.Errorf("beyond the limit: %v", got)
	}
	w.must(os.Rename(w.remote+"/bivy/proj/ws/.git", w.remote+"/away"))
	w.wants(81, "pull", "ws")
	w.wants(81, "diff", "ws")
	w.must(os.RemoveAll(w.remote + "/bivy/proj/ws"))
	w.wants(82, "pull", "ws")
	if left, _ := filepath.Glob(w.proj + "/.git/objects/tmp_*"); len(left) > 0 {
		t.Errorf("left here: %v", left)
	}
}
