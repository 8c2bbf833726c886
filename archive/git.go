package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"bivy/exec/proc"
)

// GitError says that git ran and failed.
type GitError struct {
	// Args is what was asked of git, without the options that bivy always
	// gives, for example "pack-objects --revs --stdout".
	Args string
	// Exit is git's exit status, 128+N where signal N ended it.
	Exit int
	// Line is git's last word on stderr: its last line that begins with
	// "fatal:" or "error:", else its last line. Control characters are
	// replaced by '?'. It may be empty.
	Line string

	words string
}

func (e *GitError) Error() string {
	if e.Line == "" {
		return fmt.Sprintf("git %s: exit status %d, without a word", e.Args, e.Exit)
	}
	return fmt.Sprintf("git %s: exit status %d: %s", e.Args, e.Exit, e.Line)
}

// settings are given to every git. They switch off whatever in a user's or a
// repository's configuration would run a program, write to the repository, or
// change the meaning of what is asked.
func settings() []string {
	return []string{
		"--no-pager",
		"-c", "core.hooksPath=/dev/null",
		"-c", "core.fsmonitor=false",
		"-c", "core.untrackedCache=false",
		// A split or sparse index would be written beside the user's own.
		"-c", "core.splitIndex=false",
		"-c", "core.sparseCheckout=false",
		"-c", "index.sparse=false",
		// The warning is how an ambiguous ref is told from a plain one.
		"-c", "core.warnAmbiguousRefs=true",
		"-c", "gc.auto=0",
		"-c", "maintenance.auto=false",
		"-c", "submodule.recurse=false",
		"-c", "commit.gpgSign=false",
	}
}

// inherited are the names of git's environment that choose programs and
// configuration files and so belong to the user. All other GIT_ names are
// dropped: bivy may have been called from within a hook, where they point to
// another repository, another index or another object directory.
func inherited() []string {
	return []string{
		"GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM",
		"GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		// What git's own test suite uses to play another user.
		"GIT_TEST_ASSUME_DIFFERENT_OWNER",
	}
}

// environment returns the environment of every git, made from ours.
func environment(ours []string) []string {
	keep := inherited()
	var env []string
	for _, kv := range ours {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "GIT_") && !slices.Contains(keep, name) || name == "LC_ALL" || name == "LANGUAGE" {
			continue
		}
		env = append(env, kv)
	}
	return append(env,
		"LC_ALL=C",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_TERMINAL_PROMPT=0",
		// A replacement or a graft is an opinion of this clone; it must not
		// change what crosses, nor what counts as kept here.
		"GIT_NO_REPLACE_OBJECTS=1",
		// The file of grafts is one that cannot exist: for an empty one git
		// still says that grafts are deprecated.
		"GIT_GRAFT_FILE=/dev/null/none",
		// A partial clone would fetch on demand from an address, and with
		// programs, of the repository's choosing. The first name is known to
		// git 2.45 and to the security releases of that time (2.39.4 and
		// later); the second allows no protocol at all and is always known.
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none",
		// Answers are read when git has ended, so it need not flush each.
		"GIT_FLUSH=0",
	)
}

// call is one git to run.
type call struct {
	dir    string
	env    []string
	args   []string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer // nil keeps the end of it for the error alone
}

// run runs git to its end. It returns *GitError where git failed, the
// context's error where that ended it, and what proc.Start returns where git
// could not start.
func (c call) run(ctx context.Context) error {
	words := &proc.Tail{}
	stderr := io.Writer(words)
	if c.stderr != nil {
		stderr = io.MultiWriter(words, c.stderr)
	}
	exit, err := proc.Run(ctx, proc.Spec{
		Args: slices.Concat([]string{"git"}, settings(), c.args),
		Dir:  c.dir, Env: c.env,
		Stdin: c.stdin, Stdout: c.stdout, Stderr: stderr,
		// The terminal's ^C is for bivy, which then ends git by ctx.
		Isolation: proc.Group,
	})
	if err != nil {
		return err
	}
	if !exit.OK() {
		said := words.String()
		return &GitError{Args: strings.Join(c.args, " "), Exit: exit.Code, Line: lastWord(said), words: said}
	}
	return nil
}

// git runs git in the repository and returns its stdout.
func (r *Repo) git(ctx context.Context, stdin string, args ...string) (string, error) {
	var out bytes.Buffer
	err := call{dir: r.dir, env: r.env, args: args, stdin: strings.NewReader(stdin), stdout: &out}.run(ctx)
	return out.String(), err
}

// lastWord picks the line of git's stderr that says what went wrong.
func lastWord(said string) string {
	last := ""
	lines := strings.FieldsFunc(said, func(c rune) bool { return c == '\n' || c == '\r' })
	for _, line := range slices.Backward(lines) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "error: ") {
			return printable(line)
		}
		if last == "" {
			last = line
		}
	}
	return printable(last)
}

// printable replaces what could drive a terminal: git quotes the names of
// files and refs, and those are a stranger's choice.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}

// scratch is a private temporary directory (mode 0700) with an object
// directory and an index of its own, so that git can work on the repository
// without writing to it.
type scratch struct {
	dir     string
	objects *objectStore
	env     []string
	// asked is what git said of export-ignore, with the attribute files that
	// the index holds.
	asked answers
}

func (r *Repo) newScratch() (*scratch, error) {
	sweepScratches()
	dir, err := os.MkdirTemp("", scratchPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary directory for the snapshot: %w", err)
	}
	x := r.scratchIn(dir)
	if err := os.Mkdir(x.objects.dir, 0o700); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("make a temporary directory for the snapshot: %w", err)
	}
	return x, nil
}

// scratchIn describes a scratch in a directory, in which the caller makes the
// object directory.
func (r *Repo) scratchIn(dir string) *scratch {
	x := &scratch{dir: dir, objects: &objectStore{dir: dir + "/objects", format: r.format}}
	alternates := quoteAlternate(r.objects)
	x.env = slices.DeleteFunc(slices.Clone(r.env), func(kv string) bool {
		more, found := strings.CutPrefix(kv, "GIT_ALTERNATE_OBJECT_DIRECTORIES=")
		if found && more != "" {
			alternates += string(os.PathListSeparator) + more
		}
		return found
	})
	x.env = append(x.env,
		"GIT_OBJECT_DIRECTORY="+x.objects.dir,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES="+alternates,
		"GIT_INDEX_FILE="+dir+"/index",
	)
	return x
}

// scratchPrefix is followed by the process id of the owner.
const scratchPrefix = "bivy-snapshot-"

// sweepScratches removes what processes of ours left that were killed. A
// process id that somebody else has by now only delays that.
func sweepScratches() {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*-*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), scratchPrefix), "-")
		pid, err := strconv.Atoi(text)
		if err != nil || pid <= 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) == os.Getuid() {
			_ = os.RemoveAll(dir)
		}
	}
}

func (x *scratch) close() error {
	if err := os.RemoveAll(x.dir); err != nil {
		return fmt.Errorf("remove the snapshot's temporary directory: %w", err)
	}
	return nil
}

// quoteAlternate writes a path as an item of GIT_ALTERNATE_OBJECT_DIRECTORIES,
// where an item in double quotes is read like a C string (git 2.11).
func quoteAlternate(path string) string {
	if !strings.ContainsAny(path, "\":\\\n") {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}
