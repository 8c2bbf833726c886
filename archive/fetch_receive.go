package archive

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bivy/exec/proc"
)

// Receiver takes a pack from a host as it comes, straight into `git index-pack
// --strict`, in the quarantine. git checks there that every object is what its
// id says, that none is malformed, that no tree holds names such as "..",
// ".git" or another spelling of it, or a link for .gitmodules, and that no
// object is missing that another needs.
type Receiver struct {
	in     *Intake
	ctx    context.Context //nolint:containedctx // of the one process that it stands for
	pipe   *os.File
	said   bytes.Buffer
	words  proc.Tail
	n, max int64
	over   bool
	ended  chan ending
}

// ending is how git ended, and whether it left something of the pack unread.
type ending struct {
	exit proc.Exit
	err  error
	more bool
}

// Receive begins to receive the host's pack of at most so many bytes. The
// caller writes the pack and calls Close, or ends ctx and calls Close.
func (in *Intake) Receive(ctx context.Context, limit int64) (*Receiver, error) {
	rest, pipe, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("receive a pack: %w", err)
	}
	r := &Receiver{in: in, ctx: ctx, pipe: pipe, max: limit, ended: make(chan ending, 1)}
	process, err := proc.Start(ctx, proc.Spec{
		Args: slices.Concat([]string{"git"}, settings(), receiveArgs(limit)),
		Dir:  in.inside.dir, Env: in.inside.env, Stdin: rest, Stdout: &r.said, Stderr: &r.words, Isolation: proc.Group,
	})
	if err != nil {
		_ = pipe.Close()
		_ = rest.Close()
		return nil, err
	}
	go func() {
		var e ending
		e.exit, e.err = process.Wait()
		// Close is told of what stands behind the pack, and then whoever writes
		// more gets an error.
		if e.err == nil && e.exit.OK() {
			n, _ := rest.Read(make([]byte, 1))
			e.more = n > 0
		}
		_ = rest.Close()
		r.ended <- e
	}()
	return r, nil
}

func receiveArgs(limit int64) []string {
	return []string{
		"-c", "core.bigFileThreshold=512m", "index-pack", "--stdin", "--strict", "--fix-thin",
		"--max-input-size=" + strconv.FormatInt(limit, 10),
	}
}

// Write takes a part of the pack. The error is *TooLargeError beyond the
// limit; or git takes no more, and Close says why.
func (r *Receiver) Write(p []byte) (int, error) {
	r.n += int64(len(p))
	if r.n > r.max {
		r.over = true
		return 0, r.tooLarge()
	}
	return r.pipe.Write(p)
}

func (r *Receiver) tooLarge() error {
	return &TooLargeError{What: "the pack from the host", Limit: r.max}
}

// Close ends the pack and waits for git's verdict: *RefusedError, *TooLargeError,
// the context's error, or *GitError where this machine is at fault.
func (r *Receiver) Close() error {
	_ = r.pipe.Close()
	e := <-r.ended
	word, id, _ := strings.Cut(strings.TrimSuffix(r.said.String(), "\n"), "\t")
	switch {
	case e.err != nil:
		return e.err
	case r.over:
		return r.tooLarge()
	case !e.exit.OK():
		return r.verdict(e.exit)
	case e.more || word != "pack" || !r.in.repo.validID(id):
		return &RefusedError{Why: "there is something behind the end of its pack"}
	}
	r.in.received = true
	return r.in.measure(r.ctx, r.max)
}

// verdict tells a bad pack from a machine that cannot take a good one.
func (r *Receiver) verdict(exit proc.Exit) error {
	said := r.words.String()
	err := &GitError{Args: "index-pack --stdin --strict --fix-thin", Exit: exit.Code, Line: lastWord(said), words: said}
	for _, local := range []string{"No space left on device", "quota exceeded", "File too large", "Permission denied", "Read-only file system", "unable to create", "Too many open files"} {
		if strings.Contains(said, local) {
			return err
		}
	}
	if strings.Contains(said, "exceeds maximum allowed size") {
		return r.tooLarge()
	}
	// What is wrong with an object stands before git's last word on the pack.
	for line := range strings.Lines(said) {
		if object, found := strings.CutPrefix(line, "error: object "); found {
			return &RefusedError{Why: "object " + printable(strings.TrimSpace(object)), Err: err}
		}
	}
	return &RefusedError{Why: cmp.Or(err.Line, err.Error()), Err: err}
}

// measure refuses objects that are large only once they are unpacked.
func (in *Intake) measure(ctx context.Context, limit int64) error {
	large := false
	sizes := lineWriter(func(line string) {
		n, err := strconv.ParseInt(line, 10, 64)
		large = large || err != nil || n > limit
	})
	err := call{
		dir: in.inside.dir, env: in.q.alone(), stdout: &sizes,
		args: []string{"cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch-check=%(objectsize)"},
	}.run(ctx)
	switch {
	case err != nil:
		return err
	case large:
		return &TooLargeError{What: "one object from the host", Limit: limit}
	}
	return nil
}

// packs lists the packs in the quarantine, by their paths without extension.
func (q *quarantine) packs() ([]string, error) {
	entries, err := os.ReadDir(q.packDir())
	if err != nil {
		return nil, fmt.Errorf("list the packs that came: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, found := strings.CutSuffix(e.Name(), ".idx"); found {
			names = append(names, filepath.Join(q.packDir(), name))
		}
	}
	return names, nil
}
