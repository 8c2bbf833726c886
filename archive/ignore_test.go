package archive_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someCommit = "160000 1234567890123456789012345678901234567890"

// nastyNames are files that every case below has besides its own.
func nastyNames() files {
	return files{
		"a": "1", "docs/x": "1", "docs/sub/y": "1", "docs2": "1", "sub/docs/z": "1", "sub/docs.bin": "1", "x.bin": "1",
		"sub/deep/er/x.bin": "1", "sub/deep/keep.bin": "1", "new\nline": "1", "new\nline dir/a\nb": "1", " lead": "1", "trail ": "1",
		"dir with space/a b": "1", `quo"te`: "1", `back\slash`: "1", "it's": "1", "\xff\xfebytes/\x80": "1", "größe/日本語": "1", "tab\there": "1",
		"*": "1", "[x]": "1", "-dash": "1", "#hash": "1", "!bang": "1", ":(top)x": "1", "UPPER/File": "1", "only/this": "1",
		"only2/a/b/c": "1", "link": "120000 docs/x", "docs/link": "120000 ../a", "mod": someCommit, "sub/mod": someCommit,
		"a.d/f": "1", "a-d": "1", "a0": "1", "\x01ctl": "1", "e\x1b[31m": "1",
	}
}

func TestExportIgnoreIsArchives(t *testing.T) {
	cases := []struct {
		name         string
		tree         files  // added to the nasty names
		info, global string // info/attributes, core.attributesFile
		lax          bool   // a strict host would refuse such a tree
	}{
		{name: "none"},
		{name: "attributes of another kind", tree: files{".gitattributes": "*.bin binary\n* text=auto\n"}},
		{name: "directory", tree: files{".gitattributes": "docs export-ignore\n"}},
		{name: "directory slash", tree: files{".gitattributes": "docs/ export-ignore\n"}},
		{name: "anchored", tree: files{".gitattributes": "/docs export-ignore\n"}},
		{name: "anchored path", tree: files{".gitattributes": "sub/docs/ export-ignore\n"}},
		{name: "star suffix", tree: files{".gitattributes": "*.bin export-ignore\n"}},
		{name: "double star", tree: files{".gitattributes": "**/docs/** export-ignore\n"}},
		{name: "content of a directory", tree: files{".gitattributes": "docs/* export-ignore\n"}},
		{name: "negated file", tree: files{".gitattributes": "*.bin export-ignore\nkeep.bin -export-ignore\n"}},
		{name: "negated inside an ignored directory", tree: files{".gitattributes": "docs export-ignore\ndocs/x -export-ignore\n"}},
		{name: "unspecified again", tree: files{".gitattributes": "*.bin export-ignore\nsub/deep/** !export-ignore\n"}},
		{name: "nested adds", tree: files{"sub/.gitattributes": "*.bin export-ignore\nmod export-ignore\n"}},
		{name: "nested takes back", tree: files{".gitattributes": "*.bin export-ignore\n", "sub/.gitattributes": "*.bin -export-ignore\n"}},
		{name: "nested in an ignored directory", tree: files{".gitattributes": "sub export-ignore\n", "sub/.gitattributes": "* -export-ignore\n"}},
		{name: "ignores itself", tree: files{".gitattributes": ".gitattributes export-ignore\nonly export-ignore\n"}},
		{name: "macro", tree: files{".gitattributes": "[attr]private export-ignore -text\n*.bin private\nonly2 private\n"}},
		{name: "macro taken back", tree: files{".gitattributes": "[attr]private export-ignore\n*.bin private\nkeep.bin -private\n"}},
		{name: "macro in a nested file is none", tree: files{"sub/.gitattributes": "[attr]private export-ignore\n*.bin private\n"}},
		{name: "string value is not set", tree: files{".gitattributes": "*.bin export-ignore=yes\n"}},
		{name: "submodule", tree: files{".gitattributes": "mod export-ignore\n"}},
		{name: "submodule slash", tree: files{".gitattributes": "mod/ export-ignore\n"}},
		{name: "link", tree: files{".gitattributes": "link export-ignore\n"}},
		{name: "file with a directory's pattern", tree: files{".gitattributes": "docs2/ export-ignore\na/ export-ignore\n"}},
		{name: "whole directories vanish", tree: files{".gitattributes": "this export-ignore\nc export-ignore\n"}},
		{name: "quoted pattern", tree: files{".gitattributes": "\"new\\nline\" export-ignore\n\"quo\\\"te\" export-ignore\n"}},
		{name: "quoted directory", tree: files{".gitattributes": "\"dir with space\" export-ignore\n\"\\377\\376bytes\" export-ignore\n"}},
		{name: "unicode", tree: files{".gitattributes": "größe/ export-ignore\n"}},
		{name: "literal star", tree: files{".gitattributes": "\\* export-ignore\n[[]x] export-ignore\n"}},
		{name: "case", tree: files{".gitattributes": "upper export-ignore\nDOCS export-ignore\n"}},
		{name: "attributes file in a directory of nasty name", tree: files{"new\nline dir/.gitattributes": "* export-ignore\n"}},
		{name: "attributes file is a link", tree: files{".gitattributes": "120000 x", "x": "docs export-ignore\n"}},
		{name: "attributes file is a directory", tree: files{".gitattributes/x": "* export-ignore\n"}, lax: true},
		{name: "attributes file is a submodule", tree: files{"sub/.gitattributes": someCommit}, lax: true},
		{name: "broken line", tree: files{".gitattributes": "!neg export-ignore\n\x00\xff\ndocs export-ignore"}},
		{name: "info", info: "docs export-ignore\n"},
		{name: "info over tree", tree: files{".gitattributes": "docs export-ignore\n"}, info: "docs -export-ignore\n"},
		{name: "global", global: "*.bin export-ignore\n"},
		{name: "tree over global", tree: files{".gitattributes": "keep.bin -export-ignore\n"}, global: "*.bin export-ignore\n"},
		{name: "macro from global", tree: files{".gitattributes": "docs private\n"}, global: "[attr]private export-ignore\n"},
		{name: "everything", tree: files{".gitattributes": "* export-ignore\n"}},
		{name: "everything but one", tree: files{".gitattributes": "* export-ignore\ndocs -export-ignore\n*/x -export-ignore\n"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			attributes := filepath.Join(t.TempDir(), "attributes")
			write(t, attributes, c.global)
			home(t, "[core]\n\tattributesFile = "+attributes+"\n\tquotePath = true\n")
			dir := newRepo(t)
			write(t, filepath.Join(dir, ".git", "info", "attributes"), c.info)
			tree := nastyNames()
			for path, content := range c.tree {
				tree[path] = content
			}
			commitTree(t, dir, tree)
			// What lies in the work tree or in the user's index is no part of
			// an archive.
			write(t, filepath.Join(dir, ".gitattributes"), "* export-ignore\n")
			git(t, dir, "add", ".gitattributes")
			write(t, filepath.Join(dir, "sub", ".gitattributes"), "* -export-ignore\n")

			want := archived(t, dir, "HEAD")
			s := snapshot(t, open(t, dir), "HEAD")
			if s.Ignored != len(tree)-len(want) {
				t.Errorf("%d ignored, want %d", s.Ignored, len(tree)-len(want))
			}
			if same := s.Tree == git(t, dir, "rev-parse", "HEAD^{tree}"); same != (s.Ignored == 0) {
				t.Errorf("the commit's own tree: %v, with %d ignored", same, s.Ignored)
			}
			host := store(t, "sha1")
			if c.lax {
				sendChecked(t, s, nil, host)
			} else {
				send(t, s, nil, host)
			}
			if diff := cmp.Diff(want, listed(t, host, s.Commit)); diff != "" {
				t.Errorf("git archive (-) and the snapshot (+) differ:\n%s", diff)
			}
			if s.Ignored == 0 {
				return
			}
			// What is left keeps its modes and ids.
			before := git(t, dir, "ls-tree", "-r", "-z", "HEAD")
			for line := range strings.SplitSeq(git(t, host, "ls-tree", "-r", "-z", s.Tree), "\x00") {
				if line != "" && !strings.Contains("\x00"+before+"\x00", "\x00"+line+"\x00") {
					t.Errorf("the commit has no entry %q", line)
				}
			}
		})
	}
}

func TestEmptyTree(t *testing.T) {
	home(t, "")
	for _, tree := range []files{{}, {".gitattributes": "* export-ignore", "a": "1"}} {
		dir := newRepo(t)
		commitTree(t, dir, tree)
		s := snapshot(t, open(t, dir), "HEAD")
		if want := "4b825dc642cb6eb9a060e54bf8d69288fbee4904"; s.Tree != want || s.Ignored != len(tree) {
			t.Errorf("tree %s with %d ignored, want %s with %d", s.Tree, s.Ignored, want, len(tree))
		}
		if got := send(t, s, nil, store(t, "sha1")); got.Objects != 2 {
			t.Errorf("%d objects sent, want a commit and a tree", got.Objects)
		}
	}
}
