package integration

import (
	"encoding/json"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// demoDir is where a demo says that its workspace lies.
var demoDir = regexp.MustCompile(`/tmp/bivy-demo-[0-9]+`)

// TestDemo is the tour that README.md names first, in a home that is empty.
func TestDemo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	got := w.wants(0, "demo")
	for _, line := range []string{
		"$ bivy new fix-1 --host camp", "want 6, got -6", "(exit code 1)",
		"+for n; do sum=$((sum + n)); done", "1 commit that exists nowhere else", "(exit code 83)", "$ bivy rm --force fix-1",
	} {
		if !strings.Contains(got.stdout, line) {
			t.Errorf("the demo does not show %q; it shows:\n%s", line, got.stdout)
		}
	}
	w.demoGone(got.stdout)
	if logins := w.logins(); logins != 0 {
		t.Errorf("the demo logged in %d times on the user's host", logins)
	}
}

func TestDemoJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	got := w.wants(0, "demo", "--json")
	var tour struct {
		Format int
		OK     bool
		Steps  []struct {
			Command string
			Code    int
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &tour); err != nil {
		t.Fatalf("%v: %v", got, err)
	}
	if tour.Format != 1 || !tour.OK || len(tour.Steps) < 8 {
		t.Errorf("the demo gives %+v", tour)
	}
	w.demoGone(got.stdout)
}

// TestDemoInterrupted cuts the tour while its host is up.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	seen := &watched{}
	s := w.spec("demo")
	s.Stdout = seen
	demo := w.start(s)
	w.eventually("the demo made its workspace", func() bool { return strings.Contains(seen.String(), "is ready in") })
	if err := demo.process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	got := demo.wait()
	// The signal may come after the last step.
	if got.code != 96 && got.code != 0 {
		t.Errorf("an interrupted demo gives %v; want code 96", got)
	}
	w.demoGone(seen.String())
}

// demoGone wants the demo's directory, which its output names, removed.
func (w *world) demoGone(output string) {
	w.tb.Helper()
	dir := demoDir.FindString(output)
	if dir == "" {
		w.tb.Fatalf("the demo names no directory: %s", output)
	}
	if exists(dir) {
		w.tb.Errorf("the demo left %s", dir)
	}
}
