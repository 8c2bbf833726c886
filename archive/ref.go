package archive

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// RefReason says what is wrong with a ref.
type RefReason int

const (
	// RefUnknown is a ref that the repository does not have.
	RefUnknown RefReason = iota + 1
	// RefAmbiguous fits more than one thing.
	RefAmbiguous
	// RefNotCommit names a tree or a file.
	RefNotCommit
	// RefNoCommits means that there is nothing committed yet.
	RefNoCommits
	// RefMissing points to an object that this clone does not have.
	RefMissing
)

// RefError says that Ref cannot be taken as a commit.
type RefError struct {
	Ref    string
	Reason RefReason
	// Line is git's last word; it may be empty.
	Line string
}

func (e *RefError) Error() string {
	switch e.Reason {
	case RefNoCommits:
		if e.Ref != "HEAD" && e.Ref != "@" {
			return fmt.Sprintf("there is no %q: the repository has no commits yet; commit something first", e.Ref)
		}
		return "the repository has no commits yet; commit something first"
	case RefAmbiguous:
		return withLine(fmt.Sprintf("%q is ambiguous; say it in full, as refs/heads/… or refs/tags/…, or as a longer id", e.Ref), e.Line)
	case RefNotCommit:
		return withLine(fmt.Sprintf("%q is not a commit; name a branch, a tag or a commit", e.Ref), e.Line)
	case RefMissing:
		return withLine(fmt.Sprintf("%q is a commit that this clone does not have (shallow, partial or damaged); fetch it first", e.Ref), e.Line)
	case RefUnknown:
	}
	return withLine(fmt.Sprintf("there is no ref %q here; `git branch -a` and `git tag` list what there is", e.Ref), e.Line)
}

// commit is what a snapshot needs to know of a source commit.
type commit struct {
	id, tree string
	date     int64 // the committer's, Unix seconds
}

// resolve finds the commit that ref names, through annotated tags.
func (r *Repo) resolve(ctx context.Context, ref string) (commit, error) {
	id, err := r.revParse(ctx, ref)
	if err != nil {
		return commit{}, err
	}
	found, err := r.readCommits(ctx, []string{id})
	if err != nil {
		return commit{}, err
	}
	if c := found[0]; c.id != "" {
		return c, nil
	}
	kind, err := r.git(ctx, "", "cat-file", "-t", id)
	var git *GitError
	switch {
	case errors.As(err, &git):
		return commit{}, &RefError{Ref: ref, Reason: RefMissing, Line: git.Line}
	case err != nil:
		return commit{}, err
	}
	kind = strings.TrimSpace(kind)
	if kind == "commit" || kind == "tag" {
		return commit{}, &RefError{Ref: ref, Reason: RefMissing}
	}
	return commit{}, &RefError{Ref: ref, Reason: RefNotCommit, Line: "it is a " + kind}
}

// revParse turns any way of naming a revision into an object id. The object
// need not exist.
func (r *Repo) revParse(ctx context.Context, ref string) (string, error) {
	// No ref begins with a dash; so nothing that does reaches git, whose
	// versions before 2.30 cannot be told here where options end.
	if ref == "" || strings.HasPrefix(ref, "-") || strings.ContainsRune(ref, 0) {
		return "", &RefError{Ref: ref, Reason: RefUnknown}
	}
	var out, said strings.Builder
	err := call{dir: r.dir, env: r.env, args: []string{"rev-parse", "--verify", ref}, stdout: &out, stderr: &said}.run(ctx)
	var git *GitError
	switch {
	case errors.As(err, &git):
		return "", r.refError(ctx, ref, git)
	case err != nil:
		return "", err
	}
	id := strings.TrimSpace(out.String())
	if !r.validID(id) {
		// "^main" is a valid question, but not one commit.
		return "", &RefError{Ref: ref, Reason: RefUnknown}
	}
	if name := r.ambiguous(said.String()); name != "" {
		return "", &RefError{Ref: ref, Reason: RefAmbiguous, Line: "more than one ref is called " + printable(name)}
	}
	return id, nil
}

// ambiguous finds git's warning (refs.c) that a short name fits more than one
// ref. HEAD and full ids mean what they say, whatever branch is called so.
func (r *Repo) ambiguous(said string) string {
	for line := range strings.Lines(said) {
		name, found := strings.CutPrefix(line, "warning: refname '")
		if !found {
			continue
		}
		name, _, found = strings.Cut(name, "' is ambiguous")
		if found && name != "HEAD" && name != "@" && !r.validID(strings.ToLower(name)) {
			return name
		}
	}
	return ""
}

func (r *Repo) refError(ctx context.Context, ref string, git *GitError) error {
	if name := r.ambiguous(git.words); name != "" {
		return &RefError{Ref: ref, Reason: RefAmbiguous, Line: "more than one ref is called " + printable(name)}
	}
	// "error: short object ID 12ab is ambiguous", "short SHA1" before 2.31.
	if said, _, found := strings.Cut(git.words, " is ambiguous\n"); found && strings.HasPrefix(said, "error: short ") {
		return &RefError{Ref: ref, Reason: RefAmbiguous, Line: "more than one object's id begins so"}
	}
	first, err := r.git(ctx, "", "for-each-ref", "--count=1", "--format=%(refname)")
	if err != nil {
		return err
	}
	switch {
	case first == "":
		return &RefError{Ref: ref, Reason: RefNoCommits}
	case ref == "HEAD" || ref == "@":
		return &RefError{Ref: ref, Reason: RefUnknown, Line: "the branch that is checked out has no commits yet"}
	}
	// git's own word is "Needed a single revision" for nearly everything.
	line := git.Line
	if strings.HasSuffix(line, "Needed a single revision") {
		line = ""
	}
	return &RefError{Ref: ref, Reason: RefUnknown, Line: line}
}

// readCommits reads those commits, in one git. What is not there, or is not a
// commit and not a tag of one, gives an empty value. The ids must be valid.
func (r *Repo) readCommits(ctx context.Context, ids []string) ([]commit, error) {
	found := make([]commit, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	// Asked for as a commit, a blob of any size is refused, not read.
	out, err := r.git(ctx, strings.Join(ids, "^{commit}\n")+"^{commit}\n", "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	for i := range ids {
		header, rest, _ := strings.Cut(out, "\n")
		out = rest
		words := strings.Fields(header)
		if len(words) != 3 || words[1] != "commit" {
			continue
		}
		size, err := strconv.Atoi(words[2])
		if err != nil || size < 0 || size >= len(out) {
			return nil, fmt.Errorf("read commit %s: git cat-file gave too little", ids[i])
		}
		found[i] = parseCommit(words[0], out[:size])
		out = out[size+1:]
	}
	return found, nil
}

func parseCommit(id, raw string) commit {
	c := commit{id: id}
	for line := range strings.Lines(raw) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			break
		}
		if tree, ok := strings.CutPrefix(line, "tree "); ok && c.tree == "" {
			c.tree = tree
		}
		if who, ok := strings.CutPrefix(line, "committer "); ok {
			c.date = parseDate(who)
		}
	}
	return c
}

// parseDate reads the seconds of "Name <mail> 1700000000 +0100". A date that
// is no such number, or is negative, counts as 0 on every machine: the strict
// object check on the host would refuse a copy of it.
func parseDate(who string) int64 {
	words := strings.Fields(who[strings.LastIndex(who, ">")+1:])
	if len(words) == 0 {
		return 0
	}
	seconds, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || seconds < 0 {
		return 0
	}
	return seconds
}
