package mux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec/frame"
	"bivy/exec/proc"
)

// shell is one of the programs that hosts have as /bin/sh.
type shell struct {
	name string
	argv []string
}

// eachShell runs a test in parallel for every shell that is installed.
func eachShell(t *testing.T, test func(t *testing.T, sh shell)) {
	t.Helper()
	if !onDisk("/proc/self/environ") {
		// The commands of these tests are found by their environment.
		t.Skip("there is no /proc to find commands in")
	}
	for _, sh := range []shell{
		{"dash", []string{"dash"}},
		{"bash", []string{"bash"}},
		{"bash-posix", []string{"bash", "--posix"}},
		{"busybox", []string{"busybox", "sh"}},
		{"mksh", []string{"mksh"}},
		{"zsh", []string{"zsh", "--emulate", "sh"}},
	} {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			_, err := proc.Run(t.Context(), proc.Spec{Args: append(append([]string{}, sh.argv...), "-c", ":"), Isolation: proc.Session})
			var missing *proc.NotFoundError
			if errors.As(err, &missing) {
				// .ci/run installs all of them; a laptop tests those it has.
				t.Skipf("%s is not installed", sh.argv[0])
			}
			if err != nil {
				t.Fatal(err)
			}
			test(t, sh)
		})
	}
}

// text is a bytes.Buffer for several goroutines.
type text struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *text) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *text) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// host stands for a host: a guardian in a shell, and commands.
type host struct {
	t     *testing.T
	mark  string // in the environment of the guardian and of all it starts
	stdin *os.File
	said  text
	pid   int
	ended chan proc.Exit
}

const testNonce = "0123456789abcdef"

// newHost starts a guardian and waits until it is ready.
func newHost(t *testing.T, sh shell, silence time.Duration) *host {
	t.Helper()
	h := &host{t: t, mark: markName + "=" + t.TempDir(), ended: make(chan proc.Exit, 1)}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h.stdin = w
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := proc.Start(ctx, proc.Spec{
		Args: append(append([]string{}, sh.argv...), "-c", frame.Boot, "sh"), Stdin: r, Stdout: &h.said, Stderr: &h.said,
		Env: []string{"PATH=" + os.Getenv("PATH"), h.mark}, Isolation: proc.Session,
	})
	_ = r.Close()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	h.pid = p.Pid()
	go func() {
		exit, _ := p.Wait()
		h.ended <- exit
	}()
	t.Cleanup(func() {
		cancel()
		_ = w.Close()
		for _, pid := range withEnvironment(h.mark) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if _, err := w.Write(guardianFrame(testNonce, silence)); err != nil {
		t.Fatal(err)
	}
	h.await("\n" + testNonce + " ready\n")
	return h
}

// await waits until the guardian has said something.
func (h *host) await(words string) {
	h.t.Helper()
	if !within(h.t, patience, func() bool { return strings.Contains(h.said.String(), words) }) {
		h.t.Fatalf("the guardian said %q, want %q", h.said.String(), words)
	}
}

func (h *host) order(format string, args ...any) {
	h.t.Helper()
	if _, err := fmt.Fprintf(h.stdin, format+"\n", args...); err != nil {
		h.t.Fatal(err)
	}
}

// gone waits for the end of the guardian, and of all that it started.
func (h *host) gone() {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(patience):
		h.t.Fatalf("the guardian does not end; it said %q", h.said.String())
	}
	eventually(h.t, "nothing of the guardian is left", func() bool { return len(withEnvironment(h.mark)) == 0 })
}

// command starts what ends at TERM, or, if it is stubborn, does not.
func command(t *testing.T, run string, stubborn bool) *proc.Process {
	t.Helper()
	script := `echo ready; while :; do sleep 0.1; done`
	if stubborn {
		script = `trap '' TERM; ` + script
	}
	var out text
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := proc.Start(ctx, proc.Spec{
		Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH"), "BIVY_RUN=" + run},
		Stdout: &out, Isolation: proc.Session, Signal: syscall.SIGKILL,
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	waited := make(chan struct{})
	go func() { _, _ = p.Wait(); close(waited) }()
	t.Cleanup(func() { cancel(); <-waited })
	eventually(t, "the command runs", func() bool { return out.String() != "" })
	return p
}

// withEnvironment are the living processes with a variable, given as K=V, in
// their first environment.
func withEnvironment(variable string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		environ, err := os.ReadFile(file) // empty for a zombie
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+variable+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// runName makes a name that no other test has.
func runName(t *testing.T) string {
	t.Helper()
	return newRunID()
}

// long is longer than any test waits.
const long = int(10 * patience / time.Second)
