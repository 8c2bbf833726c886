package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Snapshot is what of a repository is to be sent, made for one travel: a commit
// without parents, unless it is dirty or history. The caller closes it.
type Snapshot struct {
	// Commit is the id of the commit to be checked out there, Tree that of its
	// tree.
	Commit, Tree string
	// Source is the id of the commit that it was made from, Ref what the
	// caller called it.
	Source, Ref string
	// Clean is the snapshot of Source: Commit itself, or its parent where Dirty.
	Clean string
	// Dirty says that Commit holds changes that Source does not have, History
	// that Commit is Source and its history goes along.
	Dirty, History bool
	// Shallow lists the commits of that history whose parents are not sent.
	Shallow []string
	// Ignored is the number of files, links and submodules that
	// export-ignore left out. A tree may have lost all of them; then Tree is
	// the empty tree, as `git archive` would write an empty archive.
	Ignored int
	// LFS is the number of files of which only a pointer is sent: git-lfs has
	// their content.
	LFS int
	// Nested are directories that a dirty snapshot left out, since they are
	// repositories of their own.
	Nested []string
	// Included are the files that go along beside the commit, IncludeTree the
	// id of their tree; both are empty where there are none.
	Included    []File
	IncludeTree string

	repo *Repo
	tmp  *scratch
}

// Close removes the temporary object directory. It may be called again.
func (s *Snapshot) Close() error { return s.tmp.close() }

// Has reports whether the snapshot has something at a path.
func (s *Snapshot) Has(ctx context.Context, path string) bool {
	return call{dir: s.repo.dir, env: s.tmp.env, args: []string{"cat-file", "-e", s.Tree + ":" + path}}.run(ctx) == nil
}

type made struct {
	id, tree string
	ignored  int
	lfs      int
}

// build writes the snapshot of a commit, and the trees that it needs, to the
// temporary object directory.
func (r *Repo) build(ctx context.Context, tmp *scratch, source commit) (made, error) {
	entries, err := r.list(ctx, source.tree)
	if err != nil {
		return made{}, err
	}
	m, err := r.buildTree(ctx, tmp, source.tree, entries)
	if err != nil {
		return made{}, err
	}
	m.id, err = tmp.objects.put("commit", snapshotCommit(m.tree, source))
	return m, err
}

// buildTree writes the tree without what export-ignore keeps here.
func (r *Repo) buildTree(ctx context.Context, tmp *scratch, tree string, entries []entry) (made, error) {
	drop, err := r.exportIgnored(ctx, tmp, entries)
	if err != nil {
		return made{}, err
	}
	m := made{tree: tree}
	for i, e := range entries {
		if !drop[i] && tmp.asked.of[e.asked()].lfs {
			m.lfs++
		}
	}
	switch {
	case slices.Contains(drop, true):
		p := pruner{entries: entries, drop: drop, store: tmp.objects}
		if m.tree, err = p.prune(tree); err != nil {
			return made{}, err
		}
		m.ignored = p.ignored
	case len(entries) == 0:
		// git knows the empty tree without having it; a pack needs it.
		m.tree, err = tmp.objects.put("tree", nil)
	}
	return m, err
}

// snapshotCommit is the whole content of a snapshot commit. Every byte of it
// follows from the source, so that every machine makes the same one; changing
// it would make every host receive everything again.
func snapshotCommit(tree string, source commit) []byte {
	const who = "bivy <bivy@bivy.invalid>"
	return fmt.Appendf(nil, "tree %s\nauthor %s %d +0000\ncommitter %s %d +0000\n\nbivy snapshot of %s\n",
		tree, who, source.date, who, source.date, source.id)
}

// dropIndex removes the temporary index, and what is known by it.
func (x *scratch) dropIndex() error {
	x.asked = answers{}
	if err := os.Remove(x.dir + "/index"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the temporary index: %w", err)
	}
	return nil
}

// MissingError says that this clone does not have all of a commit's objects.
type MissingError struct {
	Source string // the commit
	Err    error  // git's failure
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("this clone is partial and lacks some of commit %s; get the rest with `git archive -o /dev/null %s`: %v",
		e.Source, e.Source, e.Err)
}

// Unwrap returns git's failure.
func (e *MissingError) Unwrap() error { return e.Err }

// explain tells a failure of git in a partial clone, which must not fetch on
// demand here, from any other.
func (r *Repo) explain(ctx context.Context, source string, err error) error {
	var git *GitError
	if !errors.As(err, &git) || ctx.Err() != nil {
		return err
	}
	set, configErr := r.git(ctx, "", "config", "--get-regexp", `^(extensions\.partialclone|remote\..*\.promisor)$`)
	if configErr != nil || set == "" {
		return err
	}
	return &MissingError{Source: source, Err: err}
}
