package file

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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

// withoutRG hides the rg of a machine that has one.
func (h *host) withoutRG(t testing.TB) {
	t.Helper()
	if !h.lacks("rg") {
		h.path = strings.Replace(h.path, usualPath, link(t, append(posix(), "git", "readlink", "stat")...), 1)
	}
}

func TestGrep(t *testing.T) {
	for _, repository := range []bool{true, false} {
		eachHost(t, func(t *testing.T, h *host) {
			h.project(t, repository)
			h.withoutRG(t)
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
	if m, err = f.Grep(t.Context(), "a/link.go", "bar", GrepOptions{}); !h.lacks("readlink") &&
		(err != nil || !slices.Equal(m.Lines, []Line{{Path: "a/link.go", Number: 2, Text: "bar"}})) {
		t.Errorf("%s, a link: %+v, %v", tool, m, err)
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

// A line that is longer than all that is taken is a match whose end is left out.
func TestGrepOfAnEndlessLine(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "a/long", strings.Repeat("x", maxGrep+1000)+"\n")
		for _, path := range []string{"a", "a/long"} {
			m, err := h.fs().Grep(t.Context(), path, "xx", GrepOptions{Context: 1})
			if err != nil || m.Count != 1 || len(m.Lines) != 1 {
				t.Fatalf("%s: %d lines, %v, %v", path, m.Count, m.Truncated, err)
			}
			l := m.Lines[0]
			if l.Number != 1 || l.Text != strings.Repeat("x", DefaultMaxLine) || !l.Cut || l.Context || m.Truncated != (m.Tool != "rg") {
				t.Errorf("%s: %s, truncated %v: %+v", path, m.Tool, m.Truncated, l)
			}
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
