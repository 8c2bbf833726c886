package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Snapshot is a commit without parents, made for one travel. The caller
// closes it.
type Snapshot struct {
	// Commit is the id of the snapshot commit, Tree that of its tree.
	Commit, Tree string
	// Source is the id of the commit that it was made from, Ref what the
	// caller called it.
	Source, Ref string
	// Ignored is the number of files, links and submodules that
	// export-ignore left out. A tree may have lost all of them; then Tree is
	// the empty tree, as `git archive` would write an empty archive.
	Ignored int

	repo *Repo
	tmp  *scratch
}

// Snapshot makes the snapshot of a ref: a branch, a tag, an id, or any other
// way to name a commit that git has. Submodules stay the ids that they are.
// The error is *RefError where the ref is at fault, *MissingError where this
// clone lacks part of the tree, else *GitError, the system's or the context's.
func (r *Repo) Snapshot(ctx context.Context, ref string) (*Snapshot, error) {
	source, err := r.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	tmp, err := r.newScratch()
	if err != nil {
		return nil, err
	}
	m, err := r.build(ctx, tmp, source)
	if err != nil {
		_ = tmp.close()
		return nil, r.explain(ctx, source.id, err)
	}
	return &Snapshot{
		Commit: m.id, Tree: m.tree, Ignored: m.ignored,
		Source: source.id, Ref: ref, repo: r, tmp: tmp,
	}, nil
}

// Close removes the temporary object directory. It may be called again.
func (s *Snapshot) Close() error { return s.tmp.close() }

type made struct {
	id, tree string
	ignored  int
}

// build writes the snapshot of a commit, and the trees that it needs, to the
// temporary object directory.
func (r *Repo) build(ctx context.Context, tmp *scratch, source commit) (made, error) {
	entries, err := r.list(ctx, source.tree)
	if err != nil {
		return made{}, err
	}
	drop, err := r.exportIgnored(ctx, tmp, entries)
	if err != nil {
		return made{}, err
	}
	m := made{tree: source.tree}
	if slices.Contains(drop, true) {
		p := pruner{entries: entries, drop: drop, store: tmp.objects}
		if m.tree, err = p.prune(source.tree); err != nil {
			return made{}, err
		}
		m.ignored = p.ignored
	} else if len(entries) == 0 {
		// git knows the empty tree without having it; a pack needs it.
		if m.tree, err = tmp.objects.put("tree", nil); err != nil {
			return made{}, err
		}
	}
	m.id, err = tmp.objects.put("commit", snapshotCommit(m.tree, source))
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

func (x *scratch) dropIndex() error {
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
