package archive

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Change is a file that differs from what was sent before.
type Change struct {
	// Change is "added", "changed", "deleted" or "included".
	Change string
	// Path is from the top, any bytes but NUL.
	Path string
	// Size is that of the content to be sent, in bytes before compression; 0
	// where the file is deleted.
	Size int64
}

// Preview lists what crosses beyond what was sent from the commit before, or
// all of it where before is empty or not here any more. All included files
// are listed.
func (s *Snapshot) Preview(ctx context.Context, before string) ([]Change, error) {
	old := ""
	if s.repo.validID(before) {
		commits, err := s.repo.readCommits(ctx, []string{before})
		if err != nil {
			return nil, err
		}
		if commits[0].id != "" {
			m, err := s.repo.build(ctx, s.tmp, commits[0])
			if err != nil {
				return nil, s.repo.explain(ctx, before, err)
			}
			old = m.tree
		}
	}
	if old == "" {
		var err error
		if old, err = s.tmp.objects.put("tree", nil); err != nil {
			return nil, err
		}
	}
	var out strings.Builder
	diff := call{dir: s.repo.dir, env: s.tmp.env, args: []string{"diff-tree", "-r", "-z", "--raw", "--no-renames", old, s.Tree}, stdout: &out}
	if err := diff.run(ctx); err != nil {
		return nil, err
	}
	changes, err := s.readDiff(ctx, nulFields(out.String()))
	for _, f := range s.Included {
		changes = append(changes, Change{Change: "included", Path: f.Path, Size: f.Size})
	}
	return changes, err
}

// readDiff reads git's raw format: ":OLDMODE NEWMODE OLDID NEWID LETTER" and a
// path, each with a NUL behind it.
func (s *Snapshot) readDiff(ctx context.Context, fields []string) ([]Change, error) {
	var changes []Change
	var asked []int
	var ids strings.Builder
	for i := 0; i+1 < len(fields); i += 2 {
		words := strings.Fields(fields[i])
		if len(words) != 5 {
			return nil, fmt.Errorf("compare with what was sent: git diff-tree said %q", fields[i])
		}
		c := Change{Change: "changed", Path: fields[i+1]}
		switch words[4] {
		case "A":
			c.Change = "added"
		case "D":
			c.Change = "deleted"
		}
		// A submodule is an id, which has no content here.
		if c.Change != "deleted" && words[1] != "160000" {
			asked = append(asked, len(changes))
			ids.WriteString(words[3] + "\n")
		}
		changes = append(changes, c)
	}
	if len(asked) == 0 {
		return changes, nil
	}
	var out strings.Builder
	sizes := call{
		dir: s.repo.dir, env: s.tmp.env, args: []string{"cat-file", "--batch-check=%(objectsize)"},
		stdin: strings.NewReader(ids.String()), stdout: &out,
	}
	if err := sizes.run(ctx); err != nil {
		return nil, err
	}
	for n, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		size, err := strconv.ParseInt(line, 10, 64)
		if err != nil || n >= len(asked) {
			return nil, fmt.Errorf("ask for sizes: git cat-file said %q", printable(line))
		}
		changes[asked[n]].Size = size
	}
	return changes, nil
}
