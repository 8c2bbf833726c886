package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes a git repository below a test's directory.
func (sh shell) repository(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work space")
	got := sh.run(t, `set -e
mkdir "$W_dir"; cd "$W_dir"; bivy_git init -q
git config user.name Ann; git config user.email ann@example.com
printf 'env*\nbig/\nodd*\n' >.gitignore; echo hello >README; mkdir .bivy; printf 'env*\nodd*\n' >.bivy/include
git add .; git commit -qm first
`, variable{"W_dir", dir})
	if got.code != 0 {
		t.Fatal(got)
	}
	return dir
}

// listScript takes the files that are there for ones that were sent.
const listScript = `cd "$W_dir" && W_git=$PWD/.git || exit 1
for f in env env-2 "env 3" 'env
4
' '"env"' odd; do
  [ -e "$f" ] || [ -L "$f" ] || continue
  GIT_INDEX_FILE=.git/sent git update-index --add "$f" && rm "$f"
done
bivy_include "$(GIT_INDEX_FILE=.git/sent git write-tree)"
`

func includedCall() string {
	return linesScript + includedScript + "W_out=$(bivy_included); printf '%s\\n' \"$W_out\"\n"
}

func TestIncluded(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir := sh.repository(t)
		v, limit := variable{"W_dir", dir}, variable{"W_limit", "3"}
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		check := func(what, count string, names ...string) {
			t.Helper()
			got := sh.run(t, includedCall(), v, limit)
			if got.answer.one("included_count") != count || strings.Join(got.answer["included"], "|") != strings.Join(names, "|") || got.code != 0 {
				t.Errorf("%s: %v; want %s and %q", what, got, count, names)
			}
		}
		names := []string{"env", "env-2", "env 3", "env\n4\n", `"env"`}
		for _, n := range names {
			write(n, "secret of "+n)
		}
		if err := os.Symlink("../else where", dir+"/odd"); err != nil {
			t.Fatal(err)
		}
		check("without a list", "0")
		if got := sh.run(t, linesScript+includedScript+listScript, v); got.code != 0 {
			t.Fatal(got)
		}
		write(".bivy/include", "env*\n\"env\"\nodd*\n")
		check("as they were sent", "0")
		write("env 3", "changed")
		check("one has changed", "1", "env 3")
		write("env\n4\n", "changed")
		write(`"env"`, "changed")
		check("odd names", "3", `"env"`, "env\x014\x01", "env 3")
		for _, n := range names[2:] {
			if err := os.Remove(filepath.Join(dir, n)); err != nil {
				t.Fatal(err)
			}
		}
		check("some are gone", "0")
		_ = os.Remove(dir + "/odd")
		if err := os.Symlink("elsewhere", dir+"/odd"); err != nil {
			t.Fatal(err)
		}
		check("another link", "1", "odd")
		_ = os.Remove(dir + "/odd")
		write("env-new", "made there")
		if err := os.Mkdir(dir+"/big", 0o700); err != nil {
			t.Fatal(err)
		}
		write("big/build", "of no interest")
		write("big/env", "of interest")
		check("new ones", "2", "big/env", "env-new")
		for _, n := range []string{"env-a", "env-b"} {
			write(n, "x")
		}
		check("more than are listed", "4", "big/env", "env-a", "env-b")
	})
}

// A list with very many files takes one git.
func TestIncludedMany(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir := sh.repository(t)
		v := variable{"W_dir", dir}
		got := sh.run(t, linesScript+includedScript+`cd "$W_dir" && mkdir env && cd env || exit 1
i=0; while [ $i -lt 1000 ]; do : >f$i; i=$((i + 1)); done; cd ..
find env -type f | GIT_INDEX_FILE=.git/sent git update-index --add --stdin; rm -r env
W_git=$PWD/.git; bivy_include "$(GIT_INDEX_FILE=.git/sent git write-tree)"; echo x >env/f77
W_out=$(bivy_included); printf '%s\n' "$W_out"
`, v, variable{"W_limit", "3"})
		if got.answer.one("included_count") != "1" || got.answer.one("included") != "env/f77" {
			t.Errorf("%.300v", got)
		}
	})
}
