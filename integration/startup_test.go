package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// What a warm command may cost, whatever the machine.
const (
	// maxOpened counts the files that the process opens, those of the Go
	// runtime and of the time zone among them.
	maxOpened = 12
	maxBinary = 15 << 20
)

// TestStart: a warm command starts no process and opens few files.
func TestStart(t *testing.T) {
	if runtime.GOOS != "linux" {
		// Other systems have no strace, and theirs need more rights.
		t.Skip("strace runs on Linux only")
	}
	binary := released(t)
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.env = append(w.env, "BIVY_MUX=direct")
		w.wants(0, "new", "ws", "--host", "gpu1")
		for _, place := range [][]string{{"--host", "gpu1"}, {"ws"}, {"proj/ws"}} {
			args := append(append([]string{"exec"}, place...), "--", "echo", "here")
			w.wants(0, args...) // the login environment is asked for once
			calls := w.traced(t, append([]string{binary}, args...))
			if started := calls["execve"]; len(started) != 1 {
				t.Errorf("%q starts %d processes:\n%s", args, len(started)-1, strings.Join(started, "\n"))
			}
			if opened := append(calls["openat"], calls["open"]...); len(opened) > maxOpened || len(opened) == 0 {
				t.Errorf("%q opens %d files; the most is %d:\n%s", args, len(opened), maxOpened, strings.Join(opened, "\n"))
			}
		}
	})
}

// released builds the binary as the justfile does, and wants it small.
func released(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "bivy")
	build(t, binary, "-tags=split")
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= maxBinary {
		t.Errorf("the binary has %d bytes; the most is %d", info.Size(), maxBinary)
	}
	return binary
}

// build makes a program as the justfile does.
func build(t *testing.T, binary string, flags ...string) {
	t.Helper()
	args := append([]string{"env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary}, flags...)
	if err := tool(t.Context(), "", append(args, "bivy/cmd/bivy")...); err != nil {
		t.Fatal(err)
	}
}

// TestSplit: what the justfile builds are two programs, of which the first
// becomes the second for agents, and says what is missing where that is.
func TestSplit(t *testing.T) {
	dir := t.TempDir()
	build(t, filepath.Join(dir, "bivy"), "-tags=split")
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		var words bytes.Buffer
		exit, err := proc.Run(t.Context(), proc.Spec{Args: []string{filepath.Join(dir, "bivy"), "mcp", "--host", "gpu1"}, Env: w.env, Stderr: &words})
		if err != nil || exit.Code != 81 || !strings.Contains(words.String(), filepath.Join(dir, "bivy-mcp")) {
			t.Errorf("alone: %v, %v, %q", exit, err, words.String())
		}
		build(t, filepath.Join(dir, "bivy-mcp"))
		w.write(w.remote+"/f", "one\n")
		a := w.agentOf(filepath.Join(dir, "bivy"), "--host", "gpu1", "--read-only")
		a.wants("one\n", "read_file", args{"file_path": "f"})
		a.end()
	})
}

// call is one that succeeded, in one line of strace or the second of two.
var call = regexp.MustCompile(`(?m)^\d+ +(?:<\.\.\. )?(execve|openat|open)(?:\(| resumed).* = \d+(?:<.*)?$`)

// traced runs a command under strace and returns the calls of the process and
// its children that started a program or opened a file.
func (w *world) traced(t *testing.T, args []string) map[string][]string {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	strace := []string{"strace", "-f", "-o", trace, "-e", "trace=execve,openat,open"}
	if exit, err := proc.Run(t.Context(), proc.Spec{Args: append(strace, "true"), Env: w.env}); err != nil || !exit.OK() {
		// It is not installed, or the machine lets no process trace another.
		t.Skipf("strace does not work here: %v, %v", exit, err)
	}
	s := w.spec()
	s.Args = append(strace, args...)
	if got := w.run(s); got.code != 0 || got.stdout != "here\n" {
		t.Fatalf("%q under strace gives %v", args, got)
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string][]string{}
	for _, match := range call.FindAllStringSubmatch(string(data), -1) {
		calls[match[1]] = append(calls[match[1]], match[0])
	}
	return calls
}
