package mcp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/file"
)

func TestOutsideIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, free := w.serve(), (*agent)(nil)
	w.put("in", "in\n")
	out := filepath.Join(filepath.Dir(w.dir), "out")
	if err := errors.Join(os.WriteFile(out, []byte("out\n"), 0o644), os.Symlink("..", filepath.Join(w.dir, "up"))); err != nil {
		t.Fatal(err)
	}
	call[readOut](a, "read_file", args{"file_path": filepath.Join(w.dir, "in")})
	for _, path := range []string{"../out", out, "up/out", "~/out", "sub/../../out"} {
		a.fails("explained", "it lies outside", "read_file", args{"file_path": path})
		a.fails("explained", "it lies outside", "write_file", args{"file_path": path, "content": "x"})
		a.fails("explained", "it lies outside", "edit_file", args{"file_path": path, "old_string": "out", "new_string": "x"})
	}
	for _, dir := range []string{"..", "../ws2", "/", "~", "sub/../.."} {
		a.fails("explained", "outside", "list_directory", args{"path": dir})
		a.fails("explained", "outside", "glob", args{"path": dir, "pattern": "*"})
		a.fails("explained", "outside", "search_file_content", args{"path": dir, "pattern": "x"})
		a.fails("explained", "outside", "run_shell_command", args{"directory": dir, "command": "pwd"})
	}
	if o, _ := call[runOut](a, "run_shell_command", args{"directory": w.dir + "/.", "command": "pwd"}); o.Stdout != w.dir+"\n" {
		t.Errorf("an absolute directory inside gives %q", o.Stdout)
	}
	free = w.serve(func(c *Config) { c.AllowOutside = true })
	if o, _ := call[readOut](free, "read_file", args{"file_path": "../out"}); o.Content != "out\n" {
		t.Errorf("with --allow-outside the file holds %q", o.Content)
	}
	if o, _ := call[runOut](free, "run_shell_command", args{"directory": "..", "command": "pwd"}); o.Stdout != filepath.Dir(w.dir)+"\n" {
		t.Errorf("with --allow-outside a command runs in %q", o.Stdout)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	w.put("src/a.go", "package a\n\nfunc A() {}\n")
	w.put("src/b.txt", "func\n")
	w.put("odd \xff\n", "func\n")
	l, text := call[listOut](a, "list_directory", args{"path": "src"})
	if len(l.Entries) != 2 || l.Entries[0].Path != "src/a.go" || l.Entries[0].Type != file.Regular || !strings.Contains(text, "src/a.go  (23 bytes)") {
		t.Errorf("list_directory gives %+v, %q", l, text)
	}
	l, text = call[listOut](a, "list_directory", args{"depth": -1})
	if len(l.Entries) != 4 || l.Entries[0].String() != "odd \xff\n" || l.Entries[0].Base64 == "" || !strings.Contains(text, `"odd \xff\n"`) || !strings.Contains(text, "src/\n") {
		t.Errorf("list_directory gives %+v, %q", l, text)
	}
	g, text := call[globOut](a, "glob", args{"pattern": "**/*.go"})
	if len(g.Files) != 1 || g.Files[0].Path != "src/a.go" || text != "src/a.go\n" {
		t.Errorf("glob gives %+v, %q", g, text)
	}
	if g, text = call[globOut](a, "glob", args{"pattern": "*.none"}); len(g.Files) != 0 || text != "no file matches\n" {
		t.Errorf("glob gives %+v, %q", g, text)
	}
	s, text := call[searchOut](a, "search_file_content", args{"pattern": "^func", "include": "*.{go,txt}", "context": 1})
	if s.Count != 2 || !strings.Contains(text, "src/a.go-2-\nsrc/a.go:3:func A() {}\n") || strings.Contains(text, "odd") {
		t.Errorf("search_file_content gives %+v, %q", s, text)
	}
	if s, _ = call[searchOut](a, "search_file_content", args{"pattern": "FUNC", "path": "src/b.txt", "ignore_case": true}); s.Count != 1 || s.Lines[0].Path != "src/b.txt" {
		t.Errorf("search_file_content in a file gives %+v", s)
	}
	a.fails("usage", "no glob", "search_file_content", args{"pattern": "x", "include": "[a"})
	a.fails("usage", "cannot be negative", "search_file_content", args{"pattern": "x", "limit": -1})
}

// Lists that are too long are cut, and say so.
func TestLongLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve(func(c *Config) { c.MaxOutput = 2048 })
	for i := range 300 {
		w.put(fmt.Sprintf("file-%04d", i), "match\n")
	}
	l, ltext := call[listOut](a, "list_directory", args{})
	g, gtext := call[globOut](a, "glob", args{"pattern": "*"})
	s, stext := call[searchOut](a, "search_file_content", args{"pattern": "match"})
	if !l.Truncated || !g.Truncated || !s.Truncated || len(l.Entries) == 0 || len(g.Files) == 0 || len(s.Lines) == 0 {
		t.Errorf("%d, %d and %d entries, truncated %v, %v, %v", len(l.Entries), len(g.Files), len(s.Lines), l.Truncated, g.Truncated, s.Truncated)
	}
	for _, text := range []string{ltext, gtext, stext} {
		if len(text) > 2200 || !strings.Contains(text, "there are more than are shown") {
			t.Errorf("a text of %d bytes ends in %q", len(text), text[max(0, len(text)-100):])
		}
	}
}
