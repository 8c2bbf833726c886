// Package integration tests the built binary from outside, as its users meet
// it: against the sandbox host inside it, and against a real sshd. What is
// expected stands in the contract of the command line, not in the code.
//
// testdata holds scripts (testscript) that run on both kinds of host; the Go
// tests are for what a script cannot say: signals, races, faults, terminals.
package integration

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/internal/leak"
)

// The environment of the test process says where what all tests share lies.
const (
	binaryVariable   = "BIVY_TEST_BINARY"
	templateVariable = "BIVY_TEST_PROJECT"
)

func TestMain(m *testing.M) {
	proc.UnignoreSignals() // the tests may run under nohup
	// Most of these tests wait for other processes most of the time.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil && f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = f.Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0))) // a number is always taken
	}
	os.Exit(prepared(func() int { return leak.Check(m.Run) }))
}

// prepared builds the binary and a small project, once, and removes both.
func prepared(run func() int) int {
	dir, err := os.MkdirTemp("", "bivy-integration")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover does no harm
	binary, project := filepath.Join(dir, "bin", "bivy"), filepath.Join(dir, "proj")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	err = errors.Join(
		tool(ctx, "", "go", "build", "-o", binary, "bivy/cmd/bivy"),
		makeProject(ctx, project),
		os.Setenv(binaryVariable, binary), os.Setenv(templateVariable, project),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// makeProject makes a repository with two commits.
func makeProject(ctx context.Context, dir string) error {
	write := func(name, text string) error {
		path := filepath.Join(dir, name)
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
	}
	git := func(args ...string) error {
		return tool(ctx, dir, append([]string{"git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com"}, args...)...)
	}
	return errors.Join(
		write("README", "first\n"), git("init", "-q", "-b", "main"), git("add", "."), git("commit", "-q", "-m", "first"),
		write("README", "a small project\n"), write("src/main.txt", "hello\n"),
		git("add", "."), git("commit", "-q", "-m", "second"),
	)
}

// tool runs a program of this machine, with no git configuration but the
// repository's.
func tool(ctx context.Context, dir string, args ...string) error {
	var out bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args: args, Dir: dir, Stdout: &out, Stderr: &out,
		Env: append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"),
	})
	if err == nil && !exit.OK() {
		err = fmt.Errorf("%v: %s: %s", args, exit, out.String())
	}
	return err
}
