package integration

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// project hashes every file of the project, .git and all.
func (w *world) project() map[string]string {
	w.tb.Helper()
	all := map[string]string{}
	w.must(filepath.WalkDir(w.proj, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			all[path] = "directory"
			return err
		}
		data, err := os.ReadFile(path) //nolint:gosec // a directory of the test
		all[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	}))
	return all
}

// lyingGit puts a script before git on the host: it gets git's arguments, with
// the subcommand's name in $what.
func (w *world) lyingGit(script string) {
	w.tb.Helper()
	w.write(w.remote+"/.profile", "PATH=$HOME/bin:$PATH\n")
	w.script(w.remote+"/bin/git", `PATH=${PATH#*:}
what=
case " $* " in *" for-each-ref "*) what=refs ;; *" pack-objects "*) what=pack ;; *" diff-index "*) what=diff ;; esac
`+script+`
exec git "$@"`)
}

// TestHostilePull: a host that lies leaves the project byte for byte as it is.
func TestHostilePull(t *testing.T) {
	// A commit on HEAD whose tree has an entry of that mode and name.
	evil := func(mode, kind, name string) string {
		return `id=$(echo x | git hash-object -w --stdin); [ ` + kind + ` = blob ] || id=$(printf '100644 blob %s\tf\n' $id | git mktree)
			tree=$({ git ls-tree HEAD; printf '` + mode + ` ` + kind + ` %s\t%s\n' $id '` + name + `'; } | git mktree)
			git update-ref refs/heads/ws $(git commit-tree -m evil -p HEAD $tree)`
	}
	for _, c := range []struct{ name, there, git, says string }{
		{"tree with .git", evil("40000", "tree", ".git"), "", "hasDotgit"},
		{"tree with .GIT", evil("40000", "tree", ".GIT"), "", "hasDotgit"},
		{"tree with git~1", evil("40000", "tree", "git~1"), "", "hasDotgit"},
		{"tree with ..", evil("40000", "tree", ".."), "", "hasDotdot"},
		{"linked .gitmodules", evil("120000", "blob", ".gitmodules"), "", "gitmodules"},
		{"ref outside", "", `[ "$what" != refs ] || { echo "$(git rev-parse HEAD) refs/heads/../../heads/main"; exit; }`, "name of a ref"},
		{"ref of another kind", "", `[ "$what" != refs ] || { echo "$(git rev-parse HEAD) refs/bivy/x"; exit; }`, "none may be called"},
		{"ref among the kept", "", `[ "$what" != refs ] || { echo "$(git rev-parse HEAD) refs/heads/+was/x"; exit; }`, "none may be called"},
		{"no pack", "", `[ "$what" != pack ] || { echo nonsense; exit; }`, "refused"},
		{"nothing", "", `[ "$what" != pack ] || exit 0`, "no commit that came"},
		{"half a pack", "", `[ "$what" != pack ] || { git "$@" | head -c 200; exit 0; }`, "early EOF"},
		{"half a pack, and says so", "", `[ "$what" != pack ] || { git "$@" | head -c 200; echo "disk on fire" >&2; exit 1; }`, "disk on fire"},
		{"more than a pack", "", `[ "$what" != pack ] || { git "$@"; yes | head -c 1000000; exit 0; }`, "behind the end"},
		{"another's objects", "", `[ "$what" != pack ] || { cat >/dev/null; git rev-parse HEAD^^{tree} | git pack-objects --stdout -q; exit 0; }`, "no commit that came"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kindSandbox, hostOptions{})
			defer w.end()
			w.wants(0, "new", "ws", "--host", "gpu1")
			w.work("head -c 3000 /dev/urandom >large; git add large; git commit -qm x\n" + c.there)
			if c.git != "" {
				w.wants(0, "host", "close", "gpu1")
				w.lyingGit(c.git)
			}
			before := w.project()
			if got := w.wants(81, "pull", "ws"); !strings.Contains(got.stderr, c.says) || got.stdout != "" {
				t.Errorf("bivy pull gives %v, want %q", got, c.says)
			}
			if diff := cmp.Diff(before, w.project()); diff != "" {
				t.Errorf("the project changed:\n%s", diff)
			}
			if got := w.bivy("rm", "ws"); got.code != 83 {
				t.Errorf("bivy rm gives %v", got)
			}
		})
	}
}

// TestPullCut: what is cut at any time changes nothing here, and the same
// command completes it.
func TestPullCut(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
				w.lyingGit(`if [ "$what" = pack ] && mkdir "$HOME/blocked" 2>/dev/null; then
	git "$@" >"$HOME/pack"; head -c 150000 "$HOME/pack"; : >"$HOME/half"
	while [ ! -e "$HOME/go" ]; do sleep 0.05; done; exit 1
fi`)
				w.wants(0, "new", "ws", "--host", "gpu1")
				w.work(`head -c 300000 /dev/urandom >large; git add large; git commit -qm x`)
				before := w.project()
				b := w.start(w.spec("pull", "ws"))
				left := func() []string {
					left, _ := filepath.Glob(w.proj + "/.git/objects/tmp_objdir-*")
					return left
				}
				w.eventually("half of it is here", func() bool { return exists(w.remote+"/half") && len(left()) == 1 })
				if got := w.bivy("pull", "ws"); got.code != 97 {
					t.Errorf("meanwhile another pull gives %v", got)
				}
				w.must(b.process.Signal(sig))
				if got := b.wait(); sig == syscall.SIGTERM && got.code != 96 {
					t.Errorf("it gives %v", got)
				}
				for _, dir := range left() {
					if sig == syscall.SIGTERM {
						t.Errorf("left: %s", dir)
					}
					// What is in it belongs to the quarantine only.
					for path := range before {
						if strings.HasPrefix(path, dir) {
							t.Errorf("%s was there before", path)
						}
					}
				}
				after := w.project()
				for path := range after {
					if strings.Contains(path, "/tmp_objdir-") {
						delete(after, path)
					}
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the project changed:\n%s", diff)
				}
				w.write(w.remote+"/go", "")
				w.goneThere()
				w.eventually("the pull is over, and so is its git", func() bool { return w.bivy("pull", "ws").code == 0 })
				if got := left(); len(got) > 0 {
					t.Errorf("left: %v", got)
				}
				if got := w.local(w.proj, "log", "-1", "--format=%s", "refs/bivy/ws/ws"); got != "x" {
					t.Errorf("pulled %q", got)
				}
			})
		})
	}
}

// TestDiffOnTerminal: colours pass, what else a file may hold does not.
func TestDiffOnTerminal(t *testing.T) {
	w := newWorld(t, kindSandbox, hostOptions{})
	defer w.end()
	w.wants(0, "new", "ws", "--host", "gpu1")
	w.work(`printf 'a\033]0;owned\007b\033[6nc\n' >odd`)
	if got := w.wants(0, "diff", "ws").stdout; !strings.Contains(got, "\x1b]0;owned\a") || strings.Contains(got, "\x1b[32m") {
		t.Errorf("in a pipe: %q", got)
	}
	sc := w.onTerminal(w.spec("diff", "ws"))
	if code := sc.wait(); code != 0 {
		t.Errorf("code %d", code)
	}
	if got := sc.text(); strings.Contains(got, "\x1b]0;owned") || strings.Contains(got, "\x1b[6n") || !strings.Contains(got, "\x1b[32m") {
		t.Errorf("on a terminal: %q", got)
	}
}
