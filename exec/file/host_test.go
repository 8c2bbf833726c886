package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec"
	"bivy/exec/lane"
	"bivy/exec/proc"
	"bivy/integration/mastertest"
	"bivy/integration/sshdtest"
	"bivy/internal/leak"
)

// patience is the deadline of everything that a test waits for.
const patience = 60 * time.Second

func TestMain(m *testing.M) { mastertest.Main(m) }

// host is a shell of this machine that plays a host: a Runner without ssh.
type host struct {
	name string
	argv []string // the shell
	path string   // PATH
	env  []string
	home string
	// starve cuts stdin off after so many bytes, if it is above zero.
	starve int
	// root is a directory for the test's files.
	root string
	// lanes, if it is not nil, runs what it can in lanes.
	lanes *Lanes
}

func (h *host) Host() string { return h.name }

// Run runs a call in a lane, or in a shell that has the whole of stdin.
func (h *host) Run(ctx context.Context, c Call) (Ending, error) {
	if h.lanes != nil && h.starve == 0 {
		return h.lanes.Run(ctx, c)
	}
	return h.alone(ctx, c)
}

// alone runs a call in a shell of its own.
func (h *host) alone(ctx context.Context, c Call) (Ending, error) {
	words := &proc.Tail{}
	in := c.Stdin
	if h.starve > 0 && len(in) > h.starve {
		in = in[:h.starve]
	}
	spec := proc.Spec{
		Args: append(append([]string{}, h.argv...), "-c", Text(c)), Dir: "/", Stdin: bytes.NewReader(in), Stdout: c.Stdout, Stderr: words,
		Env:       append([]string{"HOME=" + h.home, "PATH=" + h.path, leak.Variable + "=" + os.Getenv(leak.Variable)}, h.env...),
		Isolation: proc.Session,
	}
	exit, err := proc.Run(ctx, spec)
	return Ending{How: exit.String(), Words: words.String()}, err
}

// runnerFunc is a Runner of a function.
type runnerFunc struct {
	*host
	run func(context.Context, Call) (Ending, error)
}

func (r runnerFunc) Run(ctx context.Context, c Call) (Ending, error) { return r.run(ctx, c) }

// inLanes makes the host one that is worked on in lanes.
func (h *host) inLanes(t testing.TB) {
	pool := lane.New(t.Context(), h.name, func(ctx context.Context, c exec.Command, _ func()) (exec.Receipt, error) {
		in, feed, err := os.Pipe()
		if err != nil {
			return exec.Receipt{State: exec.NeverStarted}, err
		}
		defer in.Close() //nolint:errcheck // nothing was written by it
		go func() {
			_, _ = io.Copy(feed, c.Stdin)
			_ = feed.Close()
		}()
		session, err := proc.Start(ctx, proc.Spec{
			Args: append(append([]string{}, h.argv...), "-c", c.Script), Dir: "/", Stdin: in, Stdout: c.Stdout, Stderr: c.Stderr,
			Env:       append([]string{"HOME=" + h.home, "PATH=" + h.path, leak.Variable + "=" + os.Getenv(leak.Variable)}, h.env...),
			Isolation: proc.Session,
		})
		if err != nil {
			return exec.Receipt{State: exec.NeverStarted}, err
		}
		// What runs in it ends with it, as exec.Run sees to.
		end := func() { _ = syscall.Kill(-session.Pid(), syscall.SIGKILL) }
		stop := context.AfterFunc(ctx, end)
		exit, err := session.Wait()
		stop()
		end()
		return exec.Receipt{State: exec.Exited, Code: exit.Code}, err
	})
	t.Cleanup(pool.Close)
	h.lanes = &Lanes{Pool: pool, Else: runnerFunc{h, h.alone}}
}

// fs is the files of the host below its root.
func (h *host) fs() *FS { return &FS{Runner: h, Root: h.root} }

// at is a path below the root, on this machine.
func (h *host) at(name string) string { return filepath.Join(h.root, name) }

// tools are the programs of a host: a name for it, and PATH.
type tools struct{ name, path string }

const usualPath = "/usr/local/bin:/usr/bin:/bin"

// link makes a directory of programs, and returns its path. The form "busybox ls"
// is a program of many names and one of them.
func link(t testing.TB, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, entry := range programs {
		program, name, two := strings.Cut(entry, " ")
		if !two {
			name = program
		}
		for _, d := range filepath.SplitList(usualPath) {
			if _, err := os.Stat(filepath.Join(d, program)); err == nil {
				if err := os.Symlink(filepath.Join(d, program), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	}
	return dir
}

// script puts a shell script into a directory of programs.
func script(t testing.TB, dir, name, text string) {
	t.Helper()
	_ = os.Remove(filepath.Join(dir, name))
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// posix are the programs that a host has at least: none of stat, sha256sum,
// openssl, readlink, git, rg; head and find as POSIX has them are hard to get, so those
// are the usual ones.
func posix() []string {
	return []string{
		"sh", "cat", "chgrp", "chmod", "chown", "cksum", "cp", "date", "dd", "echo", "find", "grep", "head", "ln", "ls", "mkdir",
		"mv", "printf", "pwd", "rm", "rmdir", "sed", "sleep", "sort", "tail", "tr", "uname", "wc",
	}
}

// bareTools are those of posix.
func bareTools(t testing.TB) tools { return tools{"bare", link(t, posix()...)} }

// bsdTools are like those of macOS: another stat, another dd, no sha256sum.
func bsdTools(t testing.TB) tools {
	t.Helper()
	dir := link(t, append(posix(), "readlink", "openssl")...)
	// BSD's stat -f: %p is octal.
	script(t, dir, "stat", `follow=
[ "$1" != -L ] || { follow=-L; shift; }
[ "$1" = -f ] || { echo "stat: illegal option -- ${1#-}" >&2; exit 1; }
[ "$2" = 'f %p %z %m %u %g %l %i' ] || exit 1
shift 2
code=0
for f; do
  out=$(/usr/bin/stat $follow -c '%f %s %Y %u %g %h %i' "$f") || { code=1; continue; }
  printf 'f %o %s\n' "0x${out%% *}" "${out#* }"
done
exit $code
`)
	script(t, dir, "dd", `case "$*" in *conv=fsync*|*status=*) echo "dd: unknown operand" >&2; exit 1 ;; esac
exec /usr/bin/dd "$@"
`)
	return tools{"bsd", dir}
}

func busyboxTools(t testing.TB) tools {
	t.Helper()
	return tools{"busybox", link(t, sshdtest.BusyboxPrograms(t)...)}
}

type shell struct {
	name string
	argv []string
}

func shells(t testing.TB) []shell {
	t.Helper()
	sh := filepath.Join(t.TempDir(), "sh")
	if err := os.Symlink("/bin/bash", sh); err != nil {
		t.Fatal(err)
	}
	return []shell{
		{"dash", []string{"dash"}},
		{"bash", []string{"bash"}},
		{"bash-as-sh", []string{sh}}, // it is in POSIX mode then
		{"busybox", []string{"busybox", "sh"}},
		{"mksh", []string{"mksh"}},
		{"zsh", []string{"zsh", "--emulate", "sh"}},
	}
}

// eachHost runs a test in parallel for every shell with the usual tools, for
// every other set of tools with one shell, and for some of them in lanes. (That
// every shell serves a lane alike is a matter of exec/lane.)
func eachHost(t *testing.T, test func(t *testing.T, h *host)) {
	t.Helper()
	usual := tools{"usual", usualPath}
	all := shells(t)
	start := func(s shell, set tools) {
		t.Run(s.name+"-"+set.name, func(t *testing.T) {
			t.Parallel()
			test(t, newHost(t, s, set))
		})
	}
	inLanes := func(s shell, set tools) {
		t.Run(s.name+"-"+set.name+"-lane", func(t *testing.T) {
			t.Parallel()
			h := newHost(t, s, set)
			h.inLanes(t)
			test(t, h)
		})
	}
	for _, s := range all {
		start(s, usual)
	}
	dash, mksh := all[0], all[4]
	start(shell{"busybox", []string{"busybox", "sh"}}, busyboxTools(t))
	start(dash, bsdTools(t))
	start(dash, bareTools(t))
	start(mksh, bareTools(t))
	inLanes(dash, usual)
	inLanes(all[1], usual)
	inLanes(shell{"busybox", []string{"busybox", "sh"}}, busyboxTools(t))
	inLanes(mksh, bareTools(t))
}

// newHost is a host of one shell and one set of tools, or a skip.
func newHost(t testing.TB, s shell, set tools) *host {
	t.Helper()
	_, err := proc.Run(t.Context(), proc.Spec{Args: append(append([]string{}, s.argv...), "-c", ":")})
	var missing *proc.NotFoundError
	if errors.As(err, &missing) {
		// .ci/run installs all of them; a laptop tests those it has.
		t.Skipf("%s is not installed", s.argv[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	// What a script calls sh is the same shell.
	sh, err := filepath.Abs(s.argv[0])
	if !strings.Contains(s.argv[0], "/") {
		sh = "/usr/bin/" + s.argv[0]
	}
	bin := t.TempDir()
	if err := errors.Join(err, os.Symlink(sh, filepath.Join(bin, "sh"))); err != nil {
		t.Fatal(err)
	}
	h := &host{name: "gpu1", argv: s.argv, path: bin + ":" + set.path, home: t.TempDir(), root: t.TempDir()}
	for _, dir := range []*string{&h.home, &h.root} {
		// macOS has its temporary directories behind a link.
		if *dir, err = filepath.EvalSymlinks(*dir); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// dashHost is the usual host.
func dashHost(t testing.TB) *host {
	t.Helper()
	return newHost(t, shell{"dash", []string{"dash"}}, tools{"usual", usualPath})
}

func (h *host) lacks(program string) bool {
	for _, dir := range filepath.SplitList(h.path) {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return false
		}
	}
	return true
}

func (h *host) lacksSHA256() bool {
	return h.lacks("sha256sum") && h.lacks("shasum") && h.lacks("openssl") && h.lacks("sha256")
}

// put makes a file below the root, on this machine.
func (h *host) put(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.at(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.at(name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// want checks a file's content on this machine.
func (h *host) want(t testing.TB, name, content string) {
	t.Helper()
	got, err := os.ReadFile(h.at(name))
	if err != nil || string(got) != content {
		t.Errorf("%q holds %.80q, %v; want %.80q", name, got, err, content)
	}
}

// wantNoLitter checks that nothing temporary is left below the root.
func (h *host) wantNoLitter(t testing.TB) {
	t.Helper()
	_ = filepath.WalkDir(h.root, func(path string, d os.DirEntry, _ error) error {
		if d != nil && strings.HasPrefix(d.Name(), ".bivy") {
			t.Errorf("%s is left", path)
		}
		return nil
	})
}

// wantKind checks an error's kind.
func wantKind(t testing.TB, err error, kind Kind) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("the error is %v (%T), want one of kind %s", err, err, kind)
	}
}
