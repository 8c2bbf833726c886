package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Patch writes the commits that lead to a landing, as `git format-patch` does,
// for `git am`: those that neither HEAD nor a state that was sent has. It needs
// no Land, and changes nothing in the repository. Merges have no patch; it
// returns how many were left out. The error is *TooLargeError where the text is
// longer than limit, in bytes, of which some is written by then.
func (in *Intake) Patch(ctx context.Context, l Landing, w io.Writer, limit int64) (merges int, err error) {
	var revs bytes.Buffer
	fmt.Fprintln(&revs, l.Here)
	for id := range in.sources {
		fmt.Fprintln(&revs, "^"+id)
	}
	if head, err := in.repo.git(ctx, "", "rev-parse", "-q", "--verify", "HEAD^{commit}"); err == nil {
		fmt.Fprint(&revs, "^"+head)
	}
	list := func(kind string) (string, error) {
		return in.inside.git(ctx, revs.String(), "rev-list", "--stdin", kind)
	}
	text, err := list("--merges")
	if err != nil {
		return 0, err
	}
	merges = strings.Count(text, "\n")
	if text, err = list("--no-merges"); err != nil || text == "" {
		return merges, err
	}
	env, dir, err := in.bareRepo(ctx)
	if err != nil {
		return merges, err
	}
	out := &limited{w: w, left: limit, limit: limit}
	err = call{dir: dir, env: env, args: append(patchArgs(), strings.Fields(revs.String())...), stdout: out}.run(ctx)
	if out.err != nil {
		err = out.err
	}
	return merges, err
}

func patchArgs() []string {
	return []string{
		"format-patch", "--stdout", "--no-signature", "--full-index", "--binary", "--no-ext-diff", "--no-textconv",
		// One commit alone would mean all from there to HEAD.
		"--root",
	}
}

// bareRepo makes an empty repository in the quarantine that sees its objects
// and the project's, so that nobody's configuration and attributes change what
// git prints.
func (in *Intake) bareRepo(ctx context.Context) (env []string, dir string, err error) {
	dir = filepath.Join(in.q.dir, "plain.git")
	plain := slices.DeleteFunc(slices.Clone(in.q.env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == "GIT_CONFIG_GLOBAL" || name == "GIT_CONFIG_SYSTEM" || name == "GIT_INDEX_FILE" || name == "XDG_CONFIG_HOME"
	})
	plain = append(plain, "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "HOME="+dir)
	args := []string{"init", "-q", "--bare", "--template="}
	if in.repo.format != "sha1" {
		args = append(args, "--object-format="+in.repo.format)
	}
	if err := (call{dir: in.q.dir, env: plain, args: append(args, dir)}).run(ctx); err != nil {
		return nil, "", err
	}
	return append(plain, "GIT_DIR="+dir), dir, nil
}

// limited passes on so many bytes and then fails.
type limited struct {
	w           io.Writer
	left, limit int64
	err         error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	if l.left -= int64(len(p)); l.left < 0 {
		l.err = &TooLargeError{What: "the patch", Limit: l.limit}
		return 0, l.err
	}
	var n int
	n, l.err = l.w.Write(p)
	return n, l.err
}
