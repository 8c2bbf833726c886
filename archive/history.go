package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Contains says of each commit whether some ref of this repository (a branch,
// a tag, a stash, the HEAD of any of its work trees) leads to it, in the order
// of the ids. What is not a full id or is not here gives false, so it is safe
// for ids that a host named. The error is *GitError or the context's.
func (r *Repo) Contains(ctx context.Context, commits []string) ([]bool, error) {
	kept := make([]bool, len(commits))
	wanted := make(map[string][]int)
	var valid []string
	for i, id := range commits {
		if r.validID(id) {
			valid = append(valid, id)
			wanted[id] = append(wanted[id], i)
		}
	}
	here, err := r.readCommits(ctx, valid)
	if err != nil {
		return nil, err
	}
	// Reading history is the costly part; it is for those that exist.
	for i, c := range here {
		if c.id != valid[i] {
			delete(wanted, valid[i])
		}
	}
	if len(wanted) == 0 {
		return kept, nil
	}
	return kept, r.walk(ctx, wanted, kept)
}

// walk goes through all history from the refs down and marks the wanted
// commits, until the last of them is found. Walking from the refs never needs
// the ancestors of a commit that nothing leads to, which may be gone.
func (r *Repo) walk(ctx context.Context, wanted map[string][]int, kept []bool) error {
	ctx2, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := errors.New("all found")
	finder := lineWriter(func(line string) {
		for _, i := range wanted[line] {
			kept[i] = true
		}
		delete(wanted, line)
		if len(wanted) == 0 {
			cancel(found)
		}
	})
	err := call{dir: r.dir, env: r.env, args: []string{"rev-list", "--all"}, stdout: &finder}.run(ctx2)
	if errors.Is(context.Cause(ctx2), found) {
		return nil
	}
	return err
}

// Behind is the number of commits of ref that source, the full id of a
// commit, does not lead to. The error is *RefError for either of them.
func (r *Repo) Behind(ctx context.Context, source, ref string) (int, error) {
	tip, err := r.resolve(ctx, ref)
	if err != nil {
		return 0, err
	}
	if !r.validID(source) {
		return 0, &RefError{Ref: source, Reason: RefUnknown}
	}
	from, err := r.readCommits(ctx, []string{source})
	if err != nil {
		return 0, err
	}
	if from[0].id == "" {
		return 0, &RefError{Ref: source, Reason: RefMissing}
	}
	out, err := r.git(ctx, "", "rev-list", "--count", tip.id, "^"+from[0].id)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		return 0, fmt.Errorf("count commits: git rev-list said %q", printable(out))
	}
	return n, nil
}

// lines calls a function with each line written to it.
type lines struct {
	each func(string)
	rest []byte
}

func lineWriter(each func(string)) lines { return lines{each: each} }

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte{'\n'})
		if !found {
			return len(b), nil
		}
		l.each(string(line))
		l.rest = rest
	}
}
