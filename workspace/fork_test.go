package workspace

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree lists what is below a directory: modes and contents by name. Of git's
// own directory it takes nothing.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case name == ".git":
			return filepath.SkipDir
		case d.IsDir():
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(path)
			found[name] = "-> " + to
			return err
		default:
			text, err := os.ReadFile(path) //nolint:gosec // a directory of this test
			found[name] = fmt.Sprint(info.Mode()&0o100, " ", string(text))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// state is all of a repository that a fork must leave as it is.
func (sh shell) state(t *testing.T, dir string) string {
	t.Helper()
	got := sh.run(t, `cd "$W_dir" && cksum .git/index .git/config .git/HEAD .git/logs/HEAD && git for-each-ref &&
git stash list && find . -path ./.git/objects -prune -o -print | sort && git count-objects -v`, variable{"W_dir", dir})
	if got.code != 0 {
		t.Fatal(got)
	}
	return got.stdout
}

const dirtyScript = `cd "$W_dir" && set -e
git config core.autocrlf input; git config filter.up.clean 'tr a-z A-Z'; git config filter.up.smudge 'tr A-Z a-z'
printf '*.txt text eol=crlf\nid ident\n*.up filter=up\n' >.gitattributes
echo env >.bivy/include; echo gone >gone; echo was >type; echo was >moved; echo '$Id$' >id; echo shout >x.up; echo run >run; echo one >one.txt
git add .; git commit -qm base
git branch other; git branch deep/er; git tag mark; echo stashed >>README; git stash -q
printf 'mixed\r\nends\n' >two.txt; printf 'crlf\r\n' >>one.txt; printf 'lower\n' >y.up; echo '$Id: mine $' >id
rm gone; rm type; ln -s 'a target' type; git mv moved 'mo ved'; chmod +x run; echo more >>README
echo staged >staged; git add staged; echo later >staged
echo kept >envelope; git add -f envelope
mkdir -p 'dir/with space'; echo x >'dir/with space/new
line'; printf 'x\0y' >"$(printf 'b\001\377\\"')"; ln -s nowhere dangling
mkdir big; echo build >big/build
echo secret >env; GIT_INDEX_FILE=.git/sent git update-index --add env; rm env
W_git=$PWD/.git; bivy_include "$(GIT_INDEX_FILE=.git/sent git write-tree)"; rm .git/sent; echo changed >>env
git init -q inside; cd inside; git config user.name A; git config user.email a@b; echo in >file; git add .; git commit -qm in; echo dirty >>file
`

func forked(from, name string) (Record, Record) {
	one := Record{ID: NewID(), Project: "p", Name: filepath.Base(from), Dir: from}
	two := one
	two.ID, two.Name, two.Branch, two.Dir = NewID(), name, branchFor(name), filepath.Join(filepath.Dir(from), name)
	return one, two
}

func TestForkWithChanges(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir := sh.repository(t)
		if got := sh.run(t, linesScript+includedScript+dirtyScript, variable{"W_dir", dir}); got.code != 0 {
			t.Fatal(got)
		}
		before, want := sh.state(t, dir), tree(t, dir)
		one, two := forked(dir, "new")
		got := sh.run(t, forkText(), forkVars(one, two, true)...)
		if got.code != 0 || got.answer.one("branch") != "new" || got.answer.one("dir") != two.Dir {
			t.Fatal(got)
		}
		if diff := cmp.Diff(before, sh.state(t, dir)); diff != "" {
			t.Errorf("the other one has changed:\n%s", diff)
		}
		// What git ignores stays, but for what was taken along and what is staged.
		delete(want, "big/build")
		if diff := cmp.Diff(want, tree(t, two.Dir)); diff != "" {
			t.Errorf("the worktrees differ:\n%s", diff)
		}
		check := sh.run(t, `cd "$W_dir" && git for-each-ref --format=%\(refname\) | tr '\n' ' '; cat .git/bivy-id; git diff --cached --quiet && echo unstaged
git stash list; (cd inside && git status --short); cmp .git/bivy/included/index "$W_from/.git/bivy/included/index"; ls -a ..
git fsck --strict 2>&1; git config --list --local; cat .git/info/attributes`, variable{"W_dir", two.Dir}, variable{"W_from", dir})
		for _, part := range []string{"refs/heads/deep/er refs/heads/master refs/heads/new refs/heads/other ", two.ID + "\n", "unstaged\n", " M file\n"} {
			if !strings.Contains(strings.ReplaceAll(check.stdout, "refs/heads/main", "refs/heads/master"), part) {
				t.Errorf("the fork has not %q: %v", part, check)
			}
		}
		for _, part := range []string{".new-", ".lock", "stash", "mark", "differ", "filter", "missing", "-text"} {
			if strings.Contains(check.stdout, part) {
				t.Errorf("the fork has %q: %v", part, check)
			}
		}
	})
}

func TestForkOfCommitsOnly(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir := sh.repository(t)
		if got := sh.run(t, linesScript+includedScript+dirtyScript, variable{"W_dir", dir}); got.code != 0 {
			t.Fatal(got)
		}
		one, two := forked(dir, "other")
		// Its own branch has a name that is not taken yet.
		if got := sh.run(t, `git -C "$W_dir" commit -qm two --allow-empty && git -C "$W_dir" branch -f other HEAD~1`, variable{"W_dir", dir}); got.code != 0 {
			t.Fatal(got)
		}
		before := sh.state(t, dir)
		got := sh.run(t, forkText(), forkVars(one, two, false)...)
		if got.code != 0 || got.answer.one("branch") != "other-fork" {
			t.Fatal(got)
		}
		if diff := cmp.Diff(before, sh.state(t, dir)); diff != "" {
			t.Errorf("the other one has changed:\n%s", diff)
		}
		check := sh.run(t, `cd "$W_dir" && git status --short && git log --format=%s -1; ls -a`, variable{"W_dir", two.Dir})
		if !strings.HasPrefix(check.stdout, "two\n") || strings.Contains(check.stdout, "env\n") {
			t.Errorf("the fork is not clean: %v", check)
		}
		// Repeated it is the same one; another's directory is not taken for it.
		if got = sh.run(t, forkText(), forkVars(one, two, false)...); got.code != 0 || got.answer.one("branch") != "other-fork" {
			t.Errorf("the repetition gives %v", got)
		}
		two.ID = NewID()
		if got = sh.run(t, forkText(), forkVars(one, two, false)...); got.answer.one("trouble") != "exists" {
			t.Errorf("another fork of that name gives %v", got)
		}
	})
}

// Repositories that are not as usual.
func TestForkOfOddRepositories(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		for name, c := range map[string]struct{ prepare, check, want string }{
			"detached":  {`git checkout -q --detach; git commit -q --allow-empty -m off`, `git log -1 --format=%s`, "off\n"},
			"unborn":    {`git checkout -q --orphan x; git rm -rfq .; echo a >a`, `git status --short; git symbolic-ref HEAD`, "?? a\nrefs/heads/new\n"},
			"packed":    {`git repack -adq; git pack-refs --all`, `git log -1 --format=%s; git status --short`, "first\n"},
			"borrowing": {`git clone -q --bare . ../lender; rm -rf .git/objects/??; echo "$PWD/../lender/objects" >.git/objects/info/alternates`, `rm -rf ../lender; git fsck --strict; git log -1 --format=%s`, "first\n"},
			"shallow":   {`git commit -qm two --allow-empty; git rev-parse HEAD >.git/shallow; git reflog expire --expire=now --all; git gc -q --prune=now`, `git log --format=%s; git fsck --strict`, "two\n"},
			"below":     {`git branch new/x`, `git symbolic-ref HEAD`, "refs/heads/new-fork\n"},
			"conflict":  {`git checkout -qb b; echo b >README; git commit -qam b; git checkout -q -; echo a >README; git commit -qam a; git merge -q b >/dev/null || :`, `grep -c '<<<' README; git status --short`, "1\n M README\n"},
			"sparse":    {`mkdir d; echo x >d/x; git add .; git commit -qm d; git update-index --skip-worktree d/x; rm d/x`, `cat d/x; git status --short`, "x\n"},
			"sha256":    {`cd ..; mv "$W_dir" gone; git init -q --object-format=sha256 "$W_dir"; cd "$W_dir"; git config user.name A; git config user.email a@b; git commit -qm s --allow-empty`, `git rev-parse --show-object-format; git log --format=%s`, "sha256\ns\n"},
			"submodule": {`git init -q ../m; (cd ../m; git -c user.name=A -c user.email=a@b commit -qm m --allow-empty); git -c protocol.file.allow=always submodule --quiet add ../m sub`, ``, "nested"},
			"no git":    {`rm -rf .git`, ``, "no_repo"},
			"no dir":    {`cd ..; rm -rf "$W_dir"`, ``, "gone"},
			"broken":    {`f=$(git rev-parse HEAD:README); rm -f .git/objects/${f%%??????????????????????????????????????}/${f#??}`, ``, "incomplete"},
		} {
			dir := sh.repository(t)
			if got := sh.run(t, `cd "$W_dir" && set -e; `+c.prepare, variable{"W_dir", dir}); got.code != 0 {
				t.Fatal(name, got)
			}
			one, two := forked(dir, "new")
			got := sh.run(t, forkText(), forkVars(one, two, true)...)
			if c.check == "" {
				if got.answer.one("trouble") != c.want || there(two.Dir) {
					t.Errorf("%s gives %v; want trouble=%s", name, got, c.want)
				}
			} else if check := sh.run(t, `cd "$W_dir" && {`+"\n"+c.check+"\n}", variable{"W_dir", two.Dir}); check.stdout != c.want {
				t.Errorf("%s: the fork gives %v; want %q; it was made with %v", name, check, c.want, got)
			}
			left, _ := filepath.Glob(filepath.Dir(dir) + "/.*")
			if len(left) > 0 {
				t.Errorf("%s leaves %v", name, left)
			}
		}
	})
}
