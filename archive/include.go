package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is a file that goes along beside the commit.
type File struct {
	// Path is from the top of the work tree, any bytes but NUL.
	Path string
	// Size is in bytes.
	Size int64

	mode, id string
}

// include takes the files that match the patterns and that git ignores, with their bytes as they are: what would come back through git's filters is
// another file.
func (s *Snapshot) include(ctx context.Context, patterns []byte) error {
	if s.repo.bare {
		return nil
	}
	list := s.tmp.dir + "/include"
	if err := os.WriteFile(list, patterns, 0o600); err != nil {
		return fmt.Errorf("take the included files: %w", err)
	}
	out, err := s.repo.git(ctx, "", "ls-files", "--others", "--ignored", "--exclude-from="+list, "--full-name", "-z")
	if err != nil {
		return err
	}
	untracked, _, err := s.untracked(ctx)
	if err != nil {
		return err
	}
	var paths []string
	for _, p := range nulFields(out) {
		// A directory is a repository of its own. What is not ignored goes with
		// the work tree, or not at all.
		if !strings.HasSuffix(p, "/") && !slices.Contains(untracked, p) {
			paths = append(paths, p)
		}
	}
	if err := s.suspects(paths, patterns); err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, p := range paths {
		f, err := s.takeFile(p)
		if err != nil {
			return err
		}
		s.Included = append(s.Included, f)
		fmt.Fprintf(&lines, "%s %s\t%s\x00", f.mode, f.id, f.Path)
	}
	if len(paths) == 0 {
		return nil
	}
	return s.includeTree(ctx, &lines)
}

// includeTree writes the tree of the included files.
func (s *Snapshot) includeTree(ctx context.Context, lines *bytes.Buffer) error {
	if err := s.tmp.dropIndex(); err != nil {
		return err
	}
	update := call{dir: s.repo.dir, env: s.tmp.env, args: []string{"update-index", "-z", "--add", "--index-info"}, stdin: lines}
	if err := update.run(ctx); err != nil {
		return err
	}
	var tree bytes.Buffer
	if err := (call{dir: s.repo.dir, env: s.tmp.env, args: []string{"write-tree"}, stdout: &tree}).run(ctx); err != nil {
		return err
	}
	s.IncludeTree = strings.TrimSpace(tree.String())
	return s.tmp.dropIndex()
}

// takeFile writes a file, or where a symbolic link leads, as a blob.
func (s *Snapshot) takeFile(path string) (File, error) {
	full := filepath.Join(s.repo.dir, path)
	info, err := os.Lstat(full)
	if err != nil {
		return File{}, fmt.Errorf("include %q: %w", path, err)
	}
	f := File{Path: path, mode: "100644"}
	var content []byte
	switch {
	case info.Mode().Type() == os.ModeSymlink:
		f.mode = "120000"
		var to string
		to, err = os.Readlink(full)
		content = []byte(to)
	case info.Mode().IsRegular():
		if info.Mode()&0o100 != 0 {
			f.mode = "100755"
		}
		if info.Size() > maxIncluded {
			return File{}, &ChoiceError{fmt.Sprintf("%q has %d bytes, more than %d; send it with bivy put", path, info.Size(), maxIncluded)}
		}
		content, err = os.ReadFile(full)
	default:
		err = errors.New("it is neither a file nor a link")
	}
	if err != nil {
		return File{}, fmt.Errorf("include %q: %w", path, err)
	}
	f.Size = int64(len(content))
	f.id, err = s.tmp.objects.put("blob", content)
	return f, err
}

// maxIncluded is the largest file that is included, in bytes; each is in
// memory once.
const maxIncluded = 256 << 20

// Excludes returns lines for the info/exclude of a repository that is to ignore
// the included files, as this one does by whatever means. A name with a line
// break cannot be said there.
func (s *Snapshot) Excludes() []string {
	var lines []string
	for _, f := range s.Included {
		if strings.ContainsAny(f.Path, "\n\r") {
			continue
		}
		line := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(f.Path)
		if rest, found := strings.CutSuffix(line, " "); found {
			line = rest + `\ `
		}
		lines = append(lines, "/"+line)
	}
	return lines
}
