package exec

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/internal/leak"
)

// patience is the deadline of everything that a test waits for: far above
// what it takes, since nothing here is about speed.
const patience = 60 * time.Second

// The test binary plays other programs, too: the holder of a master, and a
// command that shows its arguments.
const (
	roleVar    = "BIVY_EXEC_TEST"
	roleHolder = "holder"
	roleArgs   = "args"
	// markVar is in the environment of all that one test starts on its host.
	markVar = "BIVY_EXEC_MARK"
	// wayVar decides how sessions are opened, by the words after it.
	wayVar    = "BIVY_MUX"
	wayDirect = "direct"
	wayClient = "ssh"
)

func TestMain(m *testing.M) {
	proc.UnignoreSignals() // the tests may run under nohup
	switch os.Getenv(roleVar) {
	case roleHolder:
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := mux.Hold(ctx, os.NewFile(mux.LinkFD, "link"))
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case roleArgs:
		_, _ = os.Stdout.WriteString(os.Getenv("VALUE") + "\x00" + strings.Join(os.Args[1:], "\x00"))
		os.Exit(0)
	}
	leak.Main(m)
}

// noSleep keeps a binary that was built with -race from sleeping for a second
// at its end.
var noSleep = EnvVar{"GORACE", "atexit_sleep_ms=0"}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually polls a condition until it holds, and fails the test with the
// words of what where it never does.
func eventually(t testing.TB, what func() string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if holds() {
			return
		}
	}
	t.Fatalf("waited %s in vain: %s", patience, what())
}

// awaitText waits until a command has written something.
func awaitText(t testing.TB, b *buffer, text string) {
	t.Helper()
	eventually(t, func() string { return fmt.Sprintf("no %q in the output %q", text, b.String()) },
		func() bool { return strings.Contains(b.String(), text) })
}

// marked returns the living processes that have the variable markVar with
// that value in their first environment, with their command lines. proc(5);
// without /proc it finds none, and the tests that need it say so.
func marked(value string) map[int]string {
	found := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+markVar+"="+value+"\x00")) {
			continue
		}
		dir := filepath.Dir(file)
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(cmdline) == 0 {
			continue // a zombie
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid != os.Getpid() {
			found[pid] = strings.ReplaceAll(string(cmdline), "\x00", " ")
		}
	}
	return found
}

// awaitGone waits until nothing with that mark lives.
func awaitGone(t testing.TB, value string) {
	t.Helper()
	eventually(t, func() string { return fmt.Sprintf("still alive: %v", marked(value)) },
		func() bool { return len(marked(value)) == 0 })
}

// endMarked ends what a failed test has left behind.
func endMarked(value string) {
	for pid := range marked(value) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
