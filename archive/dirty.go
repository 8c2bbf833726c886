package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// addWork makes a commit of the work tree, on top of the clean snapshot.
// Where the work tree is what that holds, there is nothing to add.
func (s *Snapshot) addWork(ctx context.Context, source commit, include []byte) error {
	tree, err := s.workTree(ctx, include)
	if err != nil {
		return err
	}
	entries, err := s.repo.listWith(ctx, s.tmp.env, tree)
	if err != nil {
		return err
	}
	m, err := s.repo.buildTree(ctx, s.tmp, tree, entries)
	if err != nil {
		return err
	}
	s.Ignored, s.LFS = m.ignored, m.lfs
	if m.tree == s.Tree {
		s.Dirty = false
		return nil
	}
	s.Tree = m.tree
	s.Commit, err = s.tmp.objects.put("commit", workCommit(m.tree, s.Clean, source))
	return err
}

// workCommit is the content of the commit that holds the changes of the work
// tree. Its date is the source's: a date of now would make another commit of
// the same work each time.
func workCommit(tree, parent string, source commit) []byte {
	const who = "bivy <bivy@bivy.invalid>"
	return fmt.Appendf(nil, "tree %s\nparent %s\nauthor %s %d +0000\ncommitter %s %d +0000\n\nuncommitted changes on %s\n",
		tree, parent, who, source.date, who, source.date, source.id)
}

// workTree writes the work tree as it is to the temporary object directory and
// returns its tree. What git has to read is little: the user's own index tells
// which files are as they were. It is copied with its time, since git takes a
// file for unread that is not older than the index.
func (s *Snapshot) workTree(ctx context.Context, include []byte) (string, error) {
	r, x := s.repo, s.tmp
	index, err := r.gitPath(ctx, "index")
	if err != nil {
		return "", err
	}
	// One with the attributes of the clean snapshot may be there.
	if err := x.dropIndex(); err != nil {
		return "", err
	}
	if err := copyWithTime(index, x.dir+"/index"); err != nil {
		return "", fmt.Errorf("read the repository's index: %w", err)
	}
	untracked, nested, err := s.untracked(ctx)
	if err != nil {
		return "", err
	}
	if err := s.suspects(untracked, include); err != nil {
		return "", err
	}
	// Repositories inside this one have a history of their own; git would add
	// them as submodules that nobody can fetch.
	args := []string{"-c", "advice.addEmbeddedRepo=false", "-c", "core.safecrlf=false", "add", "--all", "--", ":/"}
	for _, dir := range nested {
		args = append(args, ":(top,exclude,literal)"+dir)
	}
	s.Nested = nested
	if err := (call{dir: r.dir, env: x.env, args: args}).run(ctx); err != nil {
		return "", err
	}
	var tree bytes.Buffer
	if err := (call{dir: r.dir, env: x.env, args: []string{"write-tree"}, stdout: &tree}).run(ctx); err != nil {
		return "", err
	}
	id := strings.TrimSpace(tree.String())
	if !r.validID(id) {
		return "", fmt.Errorf("take the work tree: git write-tree said %q", printable(tree.String()))
	}
	return id, x.dropIndex()
}

// untracked lists the files that git does not know and does not ignore, and
// the directories that are repositories of their own.
func (s *Snapshot) untracked(ctx context.Context) (files, nested []string, err error) {
	out, err := s.repo.git(ctx, "", "ls-files", "--others", "--exclude-standard", "--full-name", "-z")
	if err != nil {
		return nil, nil, err
	}
	for _, path := range nulFields(out) {
		if dir, found := strings.CutSuffix(path, "/"); found {
			nested = append(nested, dir)
		} else {
			files = append(files, path)
		}
	}
	return files, nested, nil
}

func nulFields(out string) []string {
	if out == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
}

// copyWithTime copies a file; one that is not there is none to copy.
func copyWithTime(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
