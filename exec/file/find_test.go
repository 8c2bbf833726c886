package file

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"

	"bivy/exec/proc"
)

// git runs git in a directory of the host, on this machine.
func (h *host) git(t testing.TB, args ...string) {
	t.Helper()
	words := &proc.Tail{}
	exit, err := proc.Run(t.Context(), proc.Spec{
		Args: append([]string{"git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", h.root}, args...), Stderr: words,
	})
	if err != nil || !exit.OK() {
		t.Fatal(args, exit, err, words.String())
	}
}

// project is a git worktree with files of many kinds, or a plain tree.
func (h *host) project(t testing.TB, repository bool) {
	t.Helper()
	if repository {
		h.git(t, "init", "-q")
	}
	for name, content := range map[string]string{
		".gitignore": "ignored/\n*.log\n", "main.go": "package main\n\nfunc Foo() {}\n", "a/b/c.go": "package c // foo\n", "a/x.txt": "foo\nbar\nfoo\n",
		"ignored/y.go": "foo\n", "b.log": "foo\n", "a/we:12:ird\nname.go": "one foo\n", "gone.go": "foo\n", ".hidden/z.go": "foo\n",
		"bin": "foo\x00\n", "a/ü.go": "föo foo\n", "-n.go": "-n foo\n", "sub/.git/inside.go": "foo\n", "a/\xff\xfe.go": "foo bytes\n",
	} {
		h.put(t, name, content)
	}
	h.link(t, "a/link.go", "x.txt")
	if repository {
		h.git(t, "add", "main.go", "gone.go", "a/b", ".gitignore")
	}
	if err := os.Remove(h.at("gone.go")); err != nil {
		t.Fatal(err)
	}
}

// withoutGit are the names that only a host without a repository shows.
var withoutGit = []string{"b.log", "ignored/y.go"}

func TestFind(t *testing.T) {
	for _, repository := range []bool{true, false} {
		eachHost(t, func(t *testing.T, h *host) {
			h.project(t, repository)
			f := h.fs()
			git := repository && !h.lacks("git")
			for glob, want := range map[string][]string{
				"**/*.go": {
					"-n.go", ".hidden/z.go", "a/b/c.go", "a/link.go", "a/we:12:ird\nname.go", "a/ü.go", "a/\xff\xfe.go", "ignored/y.go", "main.go",
				},
				"*.go": {"-n.go", "main.go"}, "a/*": {"a/link.go", "a/we:12:ird\nname.go", "a/x.txt", "a/ü.go", "a/\xff\xfe.go"},
				"a/?.go": {"a/ü.go"}, "{main,a/**/c}.{go,txt}": {"a/b/c.go", "main.go"}, "./a/[w-z]*": {"a/we:12:ird\nname.go", "a/x.txt"},
				"*.log": {"b.log"}, "nothing": nil, "**": nil, "a/b": nil, `\-n.go`: {"-n.go"}, "a**": nil,
			} {
				got, err := f.Find(t.Context(), ".", glob, FindOptions{})
				if glob == "**" {
					if err != nil || len(got.Paths) < 10 {
						t.Errorf("%q: %q, %v", glob, got.Paths, err)
					}
					continue
				}
				if git {
					want = slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(withoutGit, s) })
				}
				if err != nil || !slices.Equal(got.Paths, want) || got.Truncated || got.Incomplete || got.Git != git {
					t.Errorf("%q: %+v, %v; want %q", glob, got, err, want)
				}
			}
			got, err := f.Find(t.Context(), "ignored", "*.go", FindOptions{})
			if err != nil || !slices.Equal(got.Paths, []string{"y.go"}) {
				t.Errorf("in an ignored directory: %+v, %v", got, err)
			}
			got, err = f.Find(t.Context(), ".", "*.log", FindOptions{Ignored: true})
			if err != nil || !slices.Equal(got.Paths, []string{"b.log"}) {
				t.Errorf("what is ignored: %+v, %v", got, err)
			}
			got, err = f.Find(t.Context(), "a", "**/*.go", FindOptions{Max: 2})
			if err != nil || !slices.Equal(got.Paths, []string{"b/c.go", "link.go"}) || !got.Truncated {
				t.Errorf("the first two: %+v, %v", got, err)
			}
			_, err = f.Find(t.Context(), ".", "[", FindOptions{})
			wantKind(t, err, BadPattern)
			_, err = f.Find(t.Context(), "none", "*", FindOptions{})
			wantKind(t, err, NotFound)
		})
	}
}

// ripgrep is a directory with rg, which few machines have; BIVY_TEST_RG names
// one elsewhere.
func ripgrep(t testing.TB) string {
	t.Helper()
	path := os.Getenv("BIVY_TEST_RG")
	for _, dir := range filepath.SplitList(usualPath) {
		if _, err := os.Stat(filepath.Join(dir, "rg")); err == nil {
			path = filepath.Join(dir, "rg")
		}
	}
	if path == "" {
		return ""
	}
	dir := t.TempDir()
	if err := os.Symlink(path, filepath.Join(dir, "rg")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGrep(t *testing.T) {
	for _, repository := range []bool{true, false} {
		eachHost(t, func(t *testing.T, h *host) {
			h.project(t, repository)
			tool := "grep"
			if repository && !h.lacks("git") {
				tool = "git"
			}
			grep(t, h, tool, repository)
			if rg := ripgrep(t); rg != "" && !h.lacks("git") {
				h.path = rg + ":" + h.path
				grep(t, h, "rg", repository)
			}
		})
	}
}

func grep(t *testing.T, h *host, tool string, repository bool) {
	t.Helper()
	f := h.fs()
	all := []Line{
		{Path: "-n.go", Number: 1, Text: "-n foo"},
		{Path: ".hidden/z.go", Number: 1, Text: "foo"},
		{Path: "a/b/c.go", Number: 1, Text: "package c // foo"},
		{Path: "a/we:12:ird\nname.go", Number: 1, Text: "one foo"},
		{Path: "a/x.txt", Number: 1, Text: "foo"},
		{Path: "a/x.txt", Number: 3, Text: "foo"},
		{Path: "a/ü.go", Number: 1, Text: "föo foo"},
		{Path: "a/\xff\xfe.go", Number: 1, Text: "foo bytes"},
		{Path: "b.log", Number: 1, Text: "foo"},
		{Path: "ignored/y.go", Number: 1, Text: "foo"},
	}
	want := slices.Clone(all)
	if tool == "git" || tool == "rg" && repository {
		want = want[:8]
	}
	for _, pattern := range []string{"foo", "f(o)+", "^.*foo"} {
		m, err := f.Grep(t.Context(), ".", pattern, GrepOptions{})
		if err != nil || !slices.Equal(m.Lines, want) || m.Count != len(want) || m.Truncated || m.Tool != tool {
			t.Errorf("%s %q: %+v, %v; want %+v", tool, pattern, m, err, want)
		}
	}
	m, err := f.Grep(t.Context(), ".", "foo", GrepOptions{Ignored: true})
	if err != nil || !slices.Equal(m.Lines, all) {
		t.Errorf("%s, with what is ignored: %+v, %v", tool, m, err)
	}
	around := []Line{
		{Path: "a/x.txt", Number: 1, Text: "foo", Context: true}, {Path: "a/x.txt", Number: 2, Text: "bar"}, {Path: "a/x.txt", Number: 3, Text: "foo", Context: true},
	}
	m, err = f.Grep(t.Context(), "a", "BAR", GrepOptions{IgnoreCase: true, Context: 2})
	for i := range m.Lines {
		m.Lines[i].Path = "a/" + m.Lines[i].Path
	}
	if err != nil || !slices.Equal(m.Lines, around) || m.Count != 1 {
		t.Errorf("%s, with context: %+v, %v", tool, m, err)
	}
	m, err = f.Grep(t.Context(), "a/x.txt", "foo", GrepOptions{})
	if err != nil || !slices.Equal(m.Lines, []Line{{Path: "a/x.txt", Number: 1, Text: "foo"}, {Path: "a/x.txt", Number: 3, Text: "foo"}}) {
		t.Errorf("%s, one file: %+v, %v", tool, m, err)
	}
	m, err = f.Grep(t.Context(), "main.go", "Foo() {", GrepOptions{Fixed: true, MaxLine: 6})
	if err != nil || !slices.Equal(m.Lines, []Line{{Path: "main.go", Number: 3, Text: "func F", Cut: true}}) {
		t.Errorf("%s, a fixed text: %+v, %v", tool, m, err)
	}
	m, err = f.Grep(t.Context(), ".", "foo", GrepOptions{Max: 3})
	if err != nil || len(m.Lines) != 3 || m.Count != 3 || !m.Truncated {
		t.Errorf("%s, the first three: %+v, %v", tool, m, err)
	}
	m, err = f.Grep(t.Context(), "ignored", "foo", GrepOptions{})
	if err != nil || !slices.Equal(m.Lines, []Line{{Path: "y.go", Number: 1, Text: "foo"}}) {
		t.Errorf("%s, in an ignored directory: %+v, %v", tool, m, err)
	}
	m, err = f.Grep(t.Context(), ".", "-n", GrepOptions{})
	if err != nil || len(m.Lines) != 1 {
		t.Errorf("%s, what looks like a flag: %+v, %v", tool, m, err)
	}
	m, err = f.Grep(t.Context(), ".", "no such text", GrepOptions{})
	if err != nil || len(m.Lines) != 0 || m.Incomplete {
		t.Errorf("%s, nothing: %+v, %v", tool, m, err)
	}
	for _, pattern := range []string{"(", "", "a\nb"} {
		_, err = f.Grep(t.Context(), ".", pattern, GrepOptions{})
		wantKind(t, err, BadPattern)
	}
	_, err = f.Grep(t.Context(), "none", "x", GrepOptions{})
	wantKind(t, err, NotFound)
}

// What is asked for finds at least what matches.
func FuzzCoarse(f *testing.F) {
	f.Add("**/*.go", "a/b.go")
	f.Add("{a,b{c,d}}/[x-z]?.{go,txt}", "bd/yz.txt")
	f.Add(`a\{b,c\}/\[x]`, "a{b,c}/[x]")
	f.Fuzz(func(t *testing.T, glob, name string) {
		if !doublestar.ValidatePattern(glob) || strings.Contains(name, "\n") || !doublestar.MatchUnvalidated(glob, name) {
			return
		}
		patterns := coarse(glob)
		if patterns == nil {
			return
		}
		for _, p := range patterns {
			if doublestar.MatchUnvalidated(p, name) {
				return
			}
		}
		t.Errorf("%q matches %q, none of %q does", glob, name, patterns)
	})
}

func FuzzFound(f *testing.F) {
	f.Add("f\x00./a.go\x00e0\x00", "**", false)
	f.Add("g\x00H a.go\x00R a.go\x00? b/\x00e0\x00", "*", true)
	f.Fuzz(func(t *testing.T, body, glob string, cut bool) {
		if !doublestar.ValidatePattern(glob) {
			return
		}
		found, _ := parseFound(body, cut, glob, 3)
		if len(found.Paths) > 3 || !slices.IsSorted(found.Paths) {
			t.Errorf("%+v", found)
		}
	})
}

func FuzzMatches(f *testing.F) {
	f.Add("./a\x001:x\n--\n./b\x002-y\n", "rg", false)
	f.Add("a\x001\x005\x00x\nb\x002\x00y\n", "git", true)
	f.Fuzz(func(t *testing.T, text, tool string, cut bool) {
		m := parseMatches(tool, text, cut, GrepOptions{Max: 5, MaxLine: 10, Context: 1})
		if m.Count > 5 {
			t.Errorf("%+v", m)
		}
		for _, l := range m.Lines {
			if len(l.Text) > 10 || l.Number < 1 || strings.Contains(l.Text, "\n") {
				t.Errorf("%+v", l)
			}
		}
	})
}

func TestHostileSearches(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "nobody": "x\x00e0\x00", "no end": "f\x00./a", "a flood": "f\x00" + strings.Repeat("x", maxFound),
	} {
		f := &FS{Runner: &stubborn{answer: func(m string) string { return body + m + "ok=1\x00done\x00" }}}
		_, err := f.Find(t.Context(), ".", "*", FindOptions{})
		var odd *ProtocolError
		if !errors.As(err, &odd) {
			t.Errorf("find, %s: the error is %v, want a *ProtocolError", name, err)
		}
		_, err = f.Grep(t.Context(), ".", "x", GrepOptions{})
		if !errors.As(err, &odd) {
			t.Errorf("grep, %s: the error is %v, want a *ProtocolError", name, err)
		}
	}
}
