package leak

import (
	"fmt"
	"os"
	"os/exec" //nolint:depguard // exec/proc is above internal, and the tests need a process
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(leavesVariable) != "" {
		os.Exit(check(m.Run, time.Millisecond, nil))
	}
	Main(m)
}

func needProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		// All finds nothing elsewhere.
		t.Skip("there is no /proc")
	}
}

// sleeper starts a process that ends with the test.
func sleeper(t *testing.T, env ...string) (*exec.Cmd, func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(end)
	return cmd, end
}

func TestMarked(t *testing.T) {
	needProc(t)
	cmd, end := sleeper(t, "LEAK_TEST=one")
	awaitNone(func() []Process { // fork and exec are two steps
		if len(Marked("LEAK_TEST", "one")) == 1 {
			return nil
		}
		return []Process{{}}
	}, settle)
	got := Marked("LEAK_TEST", "one")
	if len(got) != 1 || got[0].PID != cmd.Process.Pid || got[0].Parent != os.Getpid() || !slices.Equal(got[0].Args, []string{"sleep", "1000"}) {
		t.Errorf("marked are %v, want the one process %d", got, cmd.Process.Pid)
	}
	for _, value := range []string{"on", "one1", ""} {
		if got := Marked("LEAK_TEST", value); len(got) != 0 {
			t.Errorf("marked with %q are %v", value, got)
		}
	}
	if !slices.ContainsFunc(Marked(Variable, os.Getenv(Variable)), func(p Process) bool { return p.PID == cmd.Process.Pid }) {
		t.Error("a process does not inherit the mark of the run")
	}
	end()
	AwaitNone(t, settle, func() []Process { return Marked("LEAK_TEST", "one") })
}

// said is a test that fails.
type said struct {
	testing.TB
	text string
}

func (*said) Helper() {}

func (s *said) Errorf(format string, args ...any) { s.text = fmt.Sprintf(format, args...) }

func TestAwaitNoneSaysWhatIsLeft(t *testing.T) {
	s := &said{TB: t}
	AwaitNone(s, time.Millisecond, func() []Process { return []Process{{PID: 7, Parent: 1, Args: []string{"stays", "on"}}} })
	if !strings.Contains(s.text, "\n7 1 stays on\n") {
		t.Errorf("the test says %q", s.text)
	}
}

// TestCheck runs this test binary again, which then leaves something running.
func TestCheck(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for what, words := range map[string]string{"goroutine": "TestLeaves", "process": "sleep 1000"} {
		if what == "process" && runtime.GOOS != "linux" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestLeaves$")
		cmd.Env = append(os.Environ(), leavesVariable+"="+what)
		out, err := cmd.CombinedOutput()
		if failed := err != nil; failed != (words != "") || !strings.Contains(string(out), words) {
			t.Errorf("tests that leave a %s: %v, %s", what, err, out)
		}
	}
}

const leavesVariable = "BIVY_LEAK_TEST_LEAVES"

func TestLeaves(t *testing.T) {
	switch os.Getenv(leavesVariable) {
	case "goroutine":
		go func() { select {} }()
	case "process":
		// Twice removed, so that it is found by its mark alone.
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
}
