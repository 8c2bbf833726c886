package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// boundaries finds the commits of the history whose parents stay here: those
// where this clone itself is shallow, and those at the depth.
func (s *Snapshot) boundaries(ctx context.Context, depth int) error {
	cut, err := s.repo.shallow(ctx)
	if err != nil || len(cut) == 0 && depth == 0 {
		return err
	}
	var ends []string
	// What --parents prints stops where the clone does.
	parents := map[string][]string{}
	args := []string{"rev-list", "--parents", s.Source}
	each := lineWriter(func(line string) {
		ids := strings.Fields(line)
		if len(ids) > 0 {
			parents[ids[0]] = ids[1:]
		}
	})
	if err := (call{dir: s.repo.dir, env: s.repo.env, args: args, stdout: &each}).run(ctx); err != nil {
		return err
	}
	seen := map[string]bool{s.Source: true}
	for level, ids := 1, []string{s.Source}; len(ids) > 0; level++ {
		var next []string
		for _, id := range ids {
			switch {
			case slices.Contains(cut, id), level == depth && len(parents[id]) > 0:
				ends = append(ends, id)
				continue
			}
			for _, p := range parents[id] {
				if !seen[p] {
					seen[p] = true
					next = append(next, p)
				}
			}
		}
		ids = next
	}
	slices.Sort(ends)
	s.Shallow = ends
	return nil
}

// gitPath is where a file of the repository is, absolute: a linked work tree
// has some of its own.
func (r *Repo) gitPath(ctx context.Context, name string) (string, error) {
	out, err := r.git(ctx, "", "rev-parse", "--git-path", name)
	return r.absolute(strings.TrimSuffix(out, "\n")), err
}

// shallow lists the commits whose parents this clone does not have.
func (r *Repo) shallow(ctx context.Context) ([]string, error) {
	file, err := r.gitPath(ctx, "shallow")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read where this clone ends: %w", err)
	}
	var ids []string
	for line := range bytes.Lines(text) {
		if id := strings.TrimSpace(string(line)); r.validID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
