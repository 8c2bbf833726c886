package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"bivy/exec/proc"
)

// Reason says why a directory cannot be used as a project.
type Reason int

const (
	// NotRepository is a directory outside every git work tree.
	NotRepository Reason = iota + 1
	// Unreadable is a directory or a repository that cannot be read:
	// permissions, a broken configuration, a format unknown to this git.
	Unreadable
	// NotFound is a path where there is no directory.
	NotFound
	// GitMissing is a machine without git.
	GitMissing
	// Unsafe is a repository that git refuses to trust, because another user
	// owns it ("dubious ownership") or by safe.bareRepository.
	Unsafe
)

// RepoError says that there is no usable repository at Dir.
type RepoError struct {
	Dir    string
	Reason Reason
	// Line is git's last word, or the system's; it may be empty.
	Line string
	// Hint is git's own advice, where it gave some.
	Hint string
	Err  error
}

func (e *RepoError) Error() string {
	switch e.Reason {
	case NotRepository:
		return withLine(fmt.Sprintf("%q is not in a git repository; go to the project, or name it with --project", e.Dir), e.Line)
	case NotFound:
		return fmt.Sprintf("there is no directory %q; name the project's directory", e.Dir)
	case GitMissing:
		return "cannot find git on this machine; install it, or put it on PATH"
	case Unsafe:
		msg := withLine(fmt.Sprintf("git does not trust the repository at %q", e.Dir), e.Line)
		if e.Hint != "" {
			msg += "; if you do: " + e.Hint
		}
		return msg
	case Unreadable:
	}
	return withLine(fmt.Sprintf("cannot read the repository at %q", e.Dir), e.Line)
}

// Unwrap returns what lies beneath: *GitError or the system's error.
func (e *RepoError) Unwrap() error { return e.Err }

func withLine(msg, line string) string {
	if line == "" {
		return msg
	}
	return msg + " (" + line + ")"
}

// Repo is a git repository on this machine, for reading.
type Repo struct {
	dir     string // where git runs: the top, or the bare repository
	objects string // the object directory, absolute
	format  string
	bare    bool
	env     []string
}

// Open finds the repository of dir, which is any directory inside a work
// tree, or a bare repository. The error is *RepoError, or the context's.
func Open(ctx context.Context, dir string) (*Repo, error) {
	abs, err := checkDir(dir)
	if err != nil {
		return nil, err
	}
	r := &Repo{dir: abs, env: environment(os.Environ())}
	if r.openTop(ctx) {
		return r, nil
	}
	if err := r.find(ctx); err != nil {
		return nil, openError(ctx, abs, err)
	}
	// Asked again at the top, so that all answers are about one repository
	// even where core.worktree points elsewhere. The object directory comes
	// last: it alone may contain line breaks.
	out, err := r.git(ctx, "", "rev-parse", "--show-object-format", "--git-path", "objects")
	if err != nil {
		return nil, openError(ctx, abs, err)
	}
	r.format, r.objects, _ = strings.Cut(strings.TrimSuffix(out, "\n"), "\n")
	if r.format != "sha1" && r.format != "sha256" {
		return nil, &RepoError{Dir: abs, Reason: Unreadable, Line: "git speaks of the object format " + printable(r.format)}
	}
	r.objects = r.absolute(r.objects)
	return r, nil
}

// openTop answers all questions with one git where dir is the top of a work
// tree already and nothing about it is odd, as it is each time but the first.
func (r *Repo) openTop(ctx context.Context) bool {
	out, err := r.git(ctx, "", "rev-parse", "--is-inside-work-tree", "--show-object-format", "--show-toplevel", "--git-path", "objects")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	resolved, evalErr := filepath.EvalSymlinks(r.dir)
	if err != nil || evalErr != nil || len(lines) != 4 || lines[0] != "true" || lines[2] != resolved || resolved != r.dir ||
		lines[1] != "sha1" && lines[1] != "sha256" {
		return false
	}
	r.format, r.objects = lines[1], lines[3]
	r.objects = r.absolute(r.objects)
	return true
}

// absolute is a path that git said in dir.
func (r *Repo) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

// find moves dir to the top of the work tree, or to the bare repository.
func (r *Repo) find(ctx context.Context) error {
	out, err := r.git(ctx, "", "rev-parse", "--is-inside-work-tree", "--is-bare-repository")
	if err != nil {
		return err
	}
	ask := "--show-toplevel"
	switch out {
	case "false\ntrue\n":
		r.bare, ask = true, "--absolute-git-dir"
	case "false\nfalse\n":
		return &RepoError{Dir: r.dir, Reason: NotRepository, Line: "this is git's own directory, not a work tree"}
	}
	top, err := r.git(ctx, "", "rev-parse", ask)
	if err != nil {
		return err
	}
	r.dir, err = filepath.EvalSymlinks(strings.TrimSuffix(top, "\n"))
	return err
}

// checkDir tells the ordinary mistakes apart before git does, whose words on
// them differ from version to version.
func checkDir(dir string) (string, error) {
	// Not the current directory: a workspace that was adopted may have no
	// project here.
	if dir == "" {
		return "", &RepoError{Dir: dir, Reason: NotFound}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", &RepoError{Dir: dir, Reason: Unreadable, Line: err.Error(), Err: err}
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), err == nil && !info.IsDir():
		return "", &RepoError{Dir: abs, Reason: NotFound, Err: err}
	case err == nil:
		if denied := unix.Access(abs, unix.X_OK); denied != nil {
			err = &fs.PathError{Op: "enter", Path: abs, Err: denied}
		}
	}
	if err != nil {
		return "", &RepoError{Dir: abs, Reason: Unreadable, Line: err.Error(), Err: err}
	}
	return abs, nil
}

func openError(ctx context.Context, dir string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	var known *RepoError
	if errors.As(err, &known) {
		return known
	}
	var missing *proc.NotFoundError
	if errors.As(err, &missing) {
		return &RepoError{Dir: dir, Reason: GitMissing, Err: err}
	}
	e := &RepoError{Dir: dir, Reason: Unreadable, Line: err.Error(), Err: err}
	var git *GitError
	if !errors.As(err, &git) {
		return e
	}
	e.Line = git.Line
	switch {
	case strings.Contains(git.words, "dubious ownership"), strings.Contains(git.words, "unsafe repository"),
		strings.Contains(git.words, "safe.bareRepository"):
		e.Reason = Unsafe
		if _, hint, found := strings.Cut(git.words, "git config --global --add safe.directory"); found {
			hint, _, _ = strings.Cut(hint, "\n")
			e.Hint = "git config --global --add safe.directory" + printable(hint)
		}
	case strings.Contains(git.words, "not a git repository"):
		// git passes over a repository that it may not read.
		if locked := lockedGitDir(dir); locked != nil {
			e.Line, e.Err = locked.Error(), locked
			break
		}
		e.Reason = NotRepository
	}
	return e
}

// lockedGitDir looks for the .git of dir or of a directory above it, and
// returns the error if there is one that we may not enter.
func lockedGitDir(dir string) error {
	for {
		path := filepath.Join(dir, ".git")
		if info, err := os.Stat(path); err == nil {
			mode := uint32(unix.R_OK)
			if info.IsDir() {
				mode |= unix.X_OK
			}
			if err := unix.Access(path, mode); err != nil {
				return &fs.PathError{Op: "read", Path: path, Err: err}
			}
			return nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil
		}
		dir = up
	}
}

// Top is the absolute path of the work tree's top, or of the bare repository,
// with symbolic links resolved. It identifies the project on this machine.
func (r *Repo) Top() string { return r.dir }

// Format is the repository's object format, "sha1" or "sha256". A store on a
// host must be made with the same one.
func (r *Repo) Format() string { return r.format }

// maxName bounds Name in bytes, so that it fits a file system's component
// with something appended.
const maxName = 100

// Name is the base of Top made fit as a directory's name: of letters, digits,
// '.', '_' and '-', not beginning with '.' or '-', 1 to 100 bytes. A bare
// repository "x.git" is "x".
func (r *Repo) Name() string {
	base := filepath.Base(r.dir)
	if r.bare {
		if base == ".git" {
			base = filepath.Base(filepath.Dir(r.dir))
		}
		base = strings.TrimSuffix(base, ".git")
	}
	return projectName(base)
}

func projectName(base string) string {
	var name bytes.Buffer
	for _, c := range base {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			name.WriteRune(c)
		default:
			name.WriteByte('-')
		}
	}
	s := strings.TrimLeft(name.String(), ".-")
	if s == "" {
		return "project"
	}
	return s[:min(len(s), maxName)]
}

// validID reports whether s is a full object id of the repository's format.
// Ids that came from a host are text until this has said yes.
func (r *Repo) validID(s string) bool {
	want := 40
	if r.format == "sha256" {
		want = 64
	}
	return len(s) == want && strings.Trim(s, "0123456789abcdef") == ""
}
