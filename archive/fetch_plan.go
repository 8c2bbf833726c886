package archive

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Landing says what becomes of one tip here.
type Landing struct {
	Tip
	// Here is the id that the commit has here: another than Commit where it
	// stands on a snapshot there, and on that snapshot's source here.
	Here string
	// Ref is the full name of the ref that leads to Here. It is empty where there
	// is nothing to keep, since the tip is a state that was sent.
	Ref string
	// Old is what Ref led to before, empty for a new one.
	Old string
	// Kept is the full name of the ref that Old is kept under, where Here does
	// not lead to it: the host has rewritten that branch.
	Kept string
	// Commits counts those that no ref here led to before.
	Commits int
}

// Changed reports whether a ref is to be made or moved.
func (l Landing) Changed() bool { return l.Ref != "" && l.Here != l.Old }

// Plan checks all that came, finds out where it belongs, and changes nothing in
// the repository. The landings are in the order of the tips. The error is
// *RefusedError where something is missing from what the host sent.
func (in *Intake) Plan(ctx context.Context) ([]Landing, error) {
	ids := make([]string, 0, len(in.tips))
	for _, t := range in.tips {
		ids = append(ids, t.Commit)
	}
	found, err := in.inside.readCommits(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, c := range found {
		if c.id != ids[i] {
			return nil, &RefusedError{Why: fmt.Sprintf("%q leads to %s, which is no commit that came", in.tips[i].Name, ids[i])}
		}
	}
	if err := in.weigh(ctx, ids); err != nil {
		return nil, err
	}
	here, err := in.reparent(ctx, ids)
	if err != nil {
		return nil, err
	}
	if err := in.verify(ctx, ids, here); err != nil {
		return nil, err
	}
	return in.land(ctx, here)
}

// verify wants all that the commits lead to, by their ids there, which later
// pulls build upon, and by those here.
func (in *Intake) verify(ctx context.Context, ids []string, here map[string]string) error {
	all := ids
	for _, id := range ids {
		if here[id] != id {
			all = append(all[:len(all):len(all)], here[id])
		}
	}
	err := in.connected(ctx, all, nil)
	var git *GitError
	if errors.As(err, &git) && ctx.Err() == nil {
		return &RefusedError{Why: "something is missing from it (" + git.Line + ")", Err: err}
	}
	return err
}

// land finds what each tip changes.
func (in *Intake) land(ctx context.Context, here map[string]string) ([]Landing, error) {
	refs, err := in.refs(ctx)
	if err != nil {
		return nil, err
	}
	sent := make(map[string]bool)
	for _, o := range in.origins {
		sent[o.Source] = true
	}
	plan := make([]Landing, 0, len(in.tips))
	for _, t := range in.tips {
		l := Landing{Tip: t, Here: here[t.Commit], Ref: in.prefix + t.Name}
		l.Old = refs[l.Ref]
		if l.Old == "" && sent[l.Here] {
			l.Ref = ""
		}
		if l.Changed() {
			if err := in.compare(ctx, &l); err != nil {
				return nil, err
			}
		}
		plan = append(plan, l)
	}
	return plan, nil
}

// refs reads the refs of the workspace that are here.
func (in *Intake) refs(ctx context.Context) (map[string]string, error) {
	out, err := in.repo.git(ctx, "", "for-each-ref", "--format=%(objectname) %(refname)", in.prefix)
	if err != nil {
		return nil, err
	}
	refs := make(map[string]string)
	for line := range strings.Lines(out) {
		id, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		refs[name] = id
	}
	return refs, nil
}

// compare counts what is new, and finds out whether the old tip would be lost.
func (in *Intake) compare(ctx context.Context, l *Landing) error {
	out, err := in.inside.git(ctx, "", "rev-list", "--count", l.Here, "--not", "--all")
	if err != nil {
		return err
	}
	if l.Commits, err = strconv.Atoi(strings.TrimSpace(out)); err != nil {
		return fmt.Errorf("count commits: git rev-list said %q", printable(out))
	}
	if l.Old == "" {
		return nil
	}
	_, err = in.inside.git(ctx, "", "merge-base", "--is-ancestor", l.Old, l.Here)
	var git *GitError
	if errors.As(err, &git) && git.Exit == 1 {
		l.Kept = in.prefix + keptName(l.Name, l.Old)
		return nil
	}
	return err
}
