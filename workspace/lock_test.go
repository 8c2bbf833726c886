package workspace_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/internal/leak"
	"bivy/workspace"
)

// helperVar makes the test binary one of the helper processes below.
const helperVar = "BIVY_WORKSPACE_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperVar) {
	case "":
		leak.Main(m)
	case "lock":
		os.Exit(helpLock(os.Args[1]))
	case "project":
		os.Exit(helpProject(os.Args[1], os.Args[2:]))
	}
	os.Exit(2)
}

// helpLock holds api/fix-1 until its stdin ends, and then does not unlock.
func helpLock(dir string) int {
	r, err := workspace.OpenRegistry(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, err = r.Lock(context.Background(), "api", "fix-1", "bivy new")
	var busy *workspace.BusyError
	switch {
	case errors.As(err, &busy):
		fmt.Printf("busy %d\n", busy.PID)
		return 0
	case err != nil:
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// helpProject names many paths, all with one base, as soon as stdin ends.
func helpProject(dir string, paths []string) int {
	r, err := workspace.OpenRegistry(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, path := range paths {
		name, err := r.Project(path, "api")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(path, name)
	}
	return 0
}

type helper struct {
	process *proc.Process
	stdin   *os.File
	stdout  *bufio.Reader
}

// start starts the test binary as a helper.
func start(t *testing.T, role string, args ...string) *helper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	p, err := proc.Start(ctx, proc.Spec{
		Args: append([]string{self}, args...), Env: append(os.Environ(), helperVar+"="+role),
		Stdin: inR, Stdout: outW, Stderr: os.Stderr,
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	_ = inR.Close()
	_ = outW.Close()
	t.Cleanup(func() { cancel(); _ = inW.Close(); _ = outR.Close() })
	return &helper{process: p, stdin: inW, stdout: bufio.NewReader(outR)}
}

func (h *helper) line(t *testing.T) string {
	t.Helper()
	line, err := h.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("read a helper's words: %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (h *helper) end(t *testing.T) proc.Exit {
	t.Helper()
	_ = h.stdin.Close()
	exit, err := h.process.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return exit
}

func TestLockBetweenProcesses(t *testing.T) {
	t.Parallel()
	r, dir := open(t)
	first := start(t, "lock", dir)
	if got := first.line(t); got != "held" {
		t.Fatalf("the first process says %q", got)
	}
	second := start(t, "lock", dir)
	if got, want := second.line(t), fmt.Sprintf("busy %d", first.process.Pid()); got != want {
		t.Errorf("the second process says %q, want %q", got, want)
	}
	if exit := second.end(t); !exit.OK() {
		t.Errorf("the second process: %s", exit)
	}

	_, err := r.Lock(t.Context(), "api", "fix-1", "bivy rm")
	var busy *workspace.BusyError
	if !errors.As(err, &busy) || busy.Doing != "bivy new" || busy.Since.IsZero() {
		t.Fatalf("our own Lock: %v", err)
	}
	for _, words := range []string{"workspace api/fix-1 is busy", fmt.Sprintf("process %d holds it", first.process.Pid()), "bivy new"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("the message %q lacks %q", err, words)
		}
	}
	// Other workspaces are free meanwhile.
	unlock, err := r.Lock(t.Context(), "api", "fix-2", "bivy new")
	if err != nil {
		t.Fatalf("another workspace: %v", err)
	}
	unlock()

	// The lock ends with its process, killed or not.
	if err := first.process.Signal(9); err != nil {
		t.Fatal(err)
	}
	first.end(t)
	unlock, err = r.Lock(t.Context(), "api", "fix-1", "bivy rm")
	if err != nil {
		t.Fatalf("after the holder's death: %v", err)
	}
	unlock()
	if text, err := os.ReadFile(filepath.Join(dir, "locks", "api", "fix-1.lock")); err != nil || len(text) != 0 {
		t.Errorf("a free lock's file: %q, %v; want it empty and there", text, err)
	}
}

func TestLockInOneProcess(t *testing.T) {
	t.Parallel()
	r, _ := open(t)
	for range 3 {
		unlock, err := r.Lock(t.Context(), "api", "a", "bivy new")
		if err != nil {
			t.Fatal(err)
		}
		var busy *workspace.BusyError
		if _, err := r.Lock(t.Context(), "api", "a", "bivy rm"); !errors.As(err, &busy) || busy.PID != os.Getpid() {
			t.Errorf("a second Lock: %v", err)
		}
		unlock()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Lock(ctx, "api", "a", "bivy new"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

func TestProjectRaceOfProcesses(t *testing.T) {
	t.Parallel()
	_, dir := open(t)
	var paths []string
	for i := range 20 {
		paths = append(paths, fmt.Sprintf("/src/%d/api", i))
	}
	backwards := slices.Clone(paths)
	slices.Reverse(backwards)
	helpers := []*helper{
		start(t, "project", append([]string{dir}, paths...)...),
		start(t, "project", append([]string{dir}, backwards...)...),
		start(t, "project", append([]string{dir}, paths...)...),
	}
	for _, h := range helpers {
		_ = h.stdin.Close() // go
	}
	names, owner := map[string]string{}, map[string]string{}
	for _, h := range helpers {
		for range paths {
			path, name, _ := strings.Cut(h.line(t), " ")
			if before, ok := names[path]; ok && before != name {
				t.Errorf("%s is %q to one process and %q to another", path, before, name)
			}
			if before, ok := owner[name]; ok && before != path {
				t.Errorf("%s and %s are both %q", before, path, name)
			}
			names[path], owner[name] = name, path
		}
		if exit := h.end(t); !exit.OK() {
			t.Errorf("a helper: %s", exit)
		}
	}
	if len(names) != len(paths) || owner["api"] == "" {
		t.Errorf("%d names of %d paths, plain api is of %q", len(names), len(paths), owner["api"])
	}
}
