package exec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

// TestRunOnceWhateverTheMasterDoes: a master that is killed at any moment
// around the start of a command makes nothing run twice, and nothing that ran
// is said not to have.
func TestRunOnceWhateverTheMasterDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	for i := range 12 {
		w.run(Command{Script: "true"}).wantExited(t, 0)
		pid := w.master().SSH
		file := filepath.Join(w.server.Home, fmt.Sprint("ran", i))
		timer := time.AfterFunc(time.Duration(i)*2*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		r := w.run(Command{Script: fmt.Sprintf("echo x >>%s; sleep 0.02", file)})
		timer.Stop()
		data, _ := os.ReadFile(file)
		times := strings.Count(string(data), "x\n")
		switch {
		case times > 1:
			t.Errorf("kill %d: it ran %d times: %+v, %v", i, times, r.Receipt, r.err)
		case r.State == Exited && times != 1, r.State == NeverStarted && times != 0:
			t.Errorf("kill %d: it ran %d times, and the receipt is %+v, %v", i, times, r.Receipt, r.err)
		case r.State != Exited && r.State != Unknown && r.State != NeverStarted:
			t.Errorf("kill %d: the receipt is %+v, %v", i, r.Receipt, r.err)
		}
		t.Logf("kill %d: %s %s %v", i, r.State, r.Class, r.err)
	}
}
