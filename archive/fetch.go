package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Origin is one state of the project as a host got it: what commits made there
// may stand on.
type Origin struct {
	// Snapshot is the commit that the host got, Source the commit here that it
	// was made from. They are the same where history was sent.
	Snapshot, Source string
	// Dirty says that Snapshot holds changes that Source does not have.
	Dirty bool
}

// Tip is a branch of a host's repository, and untrusted.
type Tip struct {
	// Name is what the ref here is called, below the workspace's own prefix;
	// Commit is the full id of a commit.
	Name, Commit string
}

// Intake takes commits that were made on a host into the repository. The host
// is not trusted: what it sends stays in a directory of its own, a quarantine,
// until all of it is checked, and whatever ends an Intake before Land has
// succeeded leaves the repository as it was. The steps are Have, Announce,
// Receive, Plan and then Land, or Patch; the caller closes it.
type Intake struct {
	repo *Repo
	q    *quarantine
	// inside is the repository with the objects of the quarantine.
	inside *Repo

	origins  []Origin
	sources  map[string]commit // the origins' sources that are here
	have     []string
	prefix   string
	tips     []Tip
	received bool
}

// Intake begins to take in what a workspace has. The origins are in the order
// in which they were sent; there are tips of the host's that an earlier Intake
// took in. Refs are named prefix+Tip.Name, such as "refs/bivy/fix-1/"+"main".
func (r *Repo) Intake(ctx context.Context, prefix string, origins []Origin, there []string) (*Intake, error) {
	if !validRef(prefix + "x") {
		return nil, fmt.Errorf("take in commits: git takes no ref below %q", prefix)
	}
	q, err := r.newQuarantine()
	if err != nil {
		return nil, err
	}
	inside := *r
	inside.env = q.env
	in := &Intake{repo: r, q: q, inside: &inside, prefix: prefix, sources: make(map[string]commit)}
	for _, o := range origins {
		if r.validID(o.Snapshot) && r.validID(o.Source) {
			in.origins = append(in.origins, o)
		}
	}
	if err := in.prove(ctx, there); err != nil {
		_ = q.close()
		return nil, err
	}
	return in, nil
}

// Close removes the quarantine. It may be called again.
func (in *Intake) Close() error { return in.q.close() }

// Have returns the ids of commits that the host need not send, nor anything
// that they lead to, the newest origins first.
func (in *Intake) Have() []string { return in.have }

// prove finds out what of the earlier exchange is here. A snapshot is made
// again, as it was for sending; what cannot be made again, such as one with
// uncommitted changes, counts where an earlier pull has left it in whole.
func (in *Intake) prove(ctx context.Context, there []string) error {
	ids := make([]string, 0, len(in.origins))
	for _, o := range in.origins {
		ids = append(ids, o.Source)
	}
	found, err := in.repo.readCommits(ctx, ids)
	if err != nil {
		return err
	}
	for i, c := range found {
		if c.id == ids[i] {
			in.sources[c.id] = c
		}
	}
	var left []string
	for i, o := range slices.Backward(in.origins) {
		if len(in.origins)-i > maxRebuilt {
			left = append(left, o.Snapshot)
			continue
		}
		id, err := in.rebuild(ctx, o)
		switch {
		case err != nil:
			return err
		case id != "" && !slices.Contains(in.have, id):
			in.have = append(in.have, id)
		}
		if id != o.Snapshot {
			left = append(left, o.Snapshot)
		}
	}
	there = slices.DeleteFunc(slices.Clone(there), func(id string) bool { return !in.repo.validID(id) })
	left = append(left[:min(len(left), maxClaims)], there[max(0, len(there)-maxClaims):]...)
	whole, err := in.whole(ctx, left)
	in.have = append(in.have, whole...)
	return err
}

// maxRebuilt is the number of snapshots that are made again, the newest ones,
// each at the price of sending it. What stands on an older one only costs the
// host more to send.
const maxRebuilt = 4

// rebuild makes the clean snapshot of an origin in the quarantine, if that can
// be, and returns its id. Uncommitted changes were sent on top of it.
func (in *Intake) rebuild(ctx context.Context, o Origin) (string, error) {
	source, here := in.sources[o.Source]
	switch {
	case !here:
		return "", nil
	case o.Snapshot == o.Source:
		return o.Source, nil
	}
	m, err := in.repo.build(ctx, in.q.scratch, source)
	var git *GitError
	if errors.As(err, &git) && ctx.Err() == nil {
		// A clone may have the commit and not its tree.
		return "", nil
	}
	return m.id, err
}

// whole returns those commits of which nothing is missing here, or none where
// one that is here lacks something: the host then sends more than it must.
func (in *Intake) whole(ctx context.Context, ids []string) ([]string, error) {
	found, err := in.inside.readCommits(ctx, ids)
	if err != nil {
		return nil, err
	}
	var here []string
	for i, c := range found {
		if c.id == ids[i] {
			here = append(here, c.id)
		}
	}
	err = in.connected(ctx, here, in.have)
	var git *GitError
	if errors.As(err, &git) && ctx.Err() == nil {
		return nil, nil
	}
	return here, err
}

// connected fails with *GitError unless everything that the commits lead to is
// there, as far as no ref here and none of the known commits leads to it.
func (in *Intake) connected(ctx context.Context, ids, known []string) error {
	if len(ids) == 0 {
		return nil
	}
	var stdin bytes.Buffer
	for _, id := range ids {
		fmt.Fprintln(&stdin, id)
	}
	for _, id := range known {
		fmt.Fprintln(&stdin, "^"+id)
	}
	return call{
		dir: in.inside.dir, env: in.inside.env, stdin: &stdin,
		args: []string{"rev-list", "--objects", "--stdin", "--not", "--all", "--quiet"},
	}.run(ctx)
}

// Announce takes what the host says that it has, before it sends anything. The
// error is *RefusedError where that cannot be taken.
func (in *Intake) Announce(tips []Tip) error {
	if len(tips) > maxTips {
		return &RefusedError{Why: fmt.Sprintf("it has more than %d branches", maxTips)}
	}
	names := make(map[string]bool)
	for _, t := range tips {
		switch {
		case !in.repo.validID(t.Commit):
			return &RefusedError{Why: fmt.Sprintf("%q is no id of a commit", printable(t.Commit))}
		case !validRef(in.prefix + t.Name):
			return &RefusedError{Why: fmt.Sprintf("%q cannot be the name of a ref here", printable(t.Name))}
		case names[t.Name]:
			return &RefusedError{Why: fmt.Sprintf("it has more than one ref that would be %q here", printable(t.Name))}
		}
		names[t.Name] = true
	}
	for name := range names {
		for dir := range parents(name) {
			if names[dir] {
				return &RefusedError{Why: fmt.Sprintf("it has both a ref %q and a ref %q", printable(dir), printable(name))}
			}
		}
	}
	in.tips = tips
	return nil
}

// maxTips is the number of refs that one pull takes.
const maxTips = 1000

// RefusedError says that what a host sent is not taken. Nothing was changed
// here.
type RefusedError struct {
	// Why says what is wrong, as the rest of a sentence.
	Why string
	// Err is git's failure, where git has found it.
	Err error
}

func (e *RefusedError) Error() string {
	return "refused what the host sent, and changed nothing here: " + strings.TrimPrefix(e.Why, "fatal: ")
}

// Unwrap returns git's failure.
func (e *RefusedError) Unwrap() error { return e.Err }

// TooLargeError says that a host sent more than was allowed. Nothing was
// changed here.
type TooLargeError struct {
	// What is "the pack", "one object" or "the patch".
	What string
	// Limit is in bytes.
	Limit int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s has more than %d bytes; nothing was changed here", e.What, e.Limit)
}
