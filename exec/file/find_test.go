package file

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

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
			for _, glob := range []string{"[", "", "/", "/main.go", "main.go/", "a//b", "../x", "a/../x", "a/./x", ".", "..", strings.Repeat("{a,aa}", 30)} {
				_, err = f.Find(t.Context(), ".", glob, FindOptions{})
				wantKind(t, err, BadPattern)
			}
			_, err = f.Find(t.Context(), "none", "*", FindOptions{})
			wantKind(t, err, NotFound)
		})
	}
}

// What is asked for finds at least what matches.
func FuzzCoarse(f *testing.F) {
	f.Add("**/*.go", "a/b.go")
	f.Add("{a,b{c,d}}/[x-z]?.{go,txt}", "bd/yz.txt")
	f.Add(`a\{b,c\}/\[x]`, "a{b,c}/[x]")
	f.Fuzz(func(t *testing.T, glob, name string) {
		if !utf8.ValidString(glob) {
			return // doublestar takes any two bytes for the same that are no character
		}
		if strings.Contains(glob, "[") && strings.Contains(name, "/") {
			return // [!a] matches a slash for doublestar, and for no host
		}
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
		found, why := parseFound(body, cut, glob, 3)
		if why != "" {
			return
		}
		if len(found.Paths) > 3 || !slices.IsSorted(found.Paths) {
			t.Errorf("%+v", found)
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
