package archive

import (
	"context"
	"fmt"
)

// Choice says what of a repository is to be sent.
type Choice struct {
	// Ref is a branch, a tag, an id, or any other way to name a commit that git
	// has.
	Ref string
	// Dirty sends the work tree as it is, as one more commit on top of the
	// snapshot of Ref, which is HEAD then: changed files and untracked ones
	// that are not ignored.
	Dirty bool
	// History sends the commits that lead to Ref as they are, no snapshot of
	// it; Depth, where it is above zero, so many generations of them.
	History bool
	Depth   int
	// Include is the content of an approved .bivy/include, in the syntax of
	// gitignore(5): files that match go along beside the commit.
	Include []byte
}

// ChoiceError says why something cannot be sent as it was chosen.
type ChoiceError struct{ Why string }

func (e *ChoiceError) Error() string { return e.Why }

func (r *Repo) check(c Choice) error {
	switch {
	case c.Dirty && r.bare:
		return &ChoiceError{fmt.Sprintf("%s is a bare repository: it has no work tree that could be sent", r.dir)}
	case c.Dirty && c.Ref != "HEAD" && c.Ref != "@":
		return &ChoiceError{"the work tree stands on HEAD; send it without another ref"}
	case c.Dirty && c.History:
		return &ChoiceError{"history is sent as it is; commit the changes first, or send them without history"}
	case c.Depth < 0 || c.Depth > 0 && !c.History:
		return &ChoiceError{"a depth above zero goes with history only"}
	}
	return nil
}

// Snapshot makes the snapshot of a ref, as Take does of a choice.
func (r *Repo) Snapshot(ctx context.Context, ref string) (*Snapshot, error) {
	return r.Take(ctx, Choice{Ref: ref})
}

// Take makes what is to be sent. Submodules stay the ids that they are.
// The error is *RefError where the ref is at fault, *ChoiceError where the rest
// of the choice is, *SuspectError where files look like keys, *MissingError
// where this clone lacks part of the tree, else *GitError, the system's or the
// context's.
func (r *Repo) Take(ctx context.Context, choice Choice) (*Snapshot, error) {
	if err := r.check(choice); err != nil {
		return nil, err
	}
	source, err := r.resolve(ctx, choice.Ref)
	if err != nil {
		return nil, err
	}
	tmp, err := r.newScratch()
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Source: source.id, Ref: choice.Ref, Dirty: choice.Dirty, History: choice.History, repo: r, tmp: tmp}
	if err := r.take(ctx, s, source, choice); err != nil {
		_ = tmp.close()
		return nil, r.explain(ctx, source.id, err)
	}
	return s, nil
}

func (r *Repo) take(ctx context.Context, s *Snapshot, source commit, choice Choice) error {
	if choice.History {
		s.Commit, s.Tree, s.Clean = source.id, source.tree, source.id
		if err := s.boundaries(ctx, choice.Depth); err != nil {
			return err
		}
	} else {
		m, err := r.build(ctx, s.tmp, source)
		if err != nil {
			return err
		}
		s.Commit, s.Tree, s.Clean, s.Ignored, s.LFS = m.id, m.tree, m.id, m.ignored, m.lfs
	}
	if choice.Dirty {
		if err := s.addWork(ctx, source, choice.Include); err != nil {
			return err
		}
	}
	if len(choice.Include) == 0 {
		return nil
	}
	return s.include(ctx, choice.Include)
}
