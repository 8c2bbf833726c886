package integration

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestLateSession: a host that starts a session long after its command was
// canceled starts no command any more, or ends it.
func TestLateSession(t *testing.T) {
	onSSHD(t, hostOptions{NoSpare: true}, func(t *testing.T, w *world) {
		w.needProc()
		w.wants(0, "exec", "--host", "gpu1", "--", "true")
		plain, stdin := w.newTree("plain"), w.newTree("stdin")
		w.server.HoldSessions(t)
		for _, tr := range []*tree{plain, stdin} {
			before := w.held()
			flags := map[bool][]string{true: {"-i"}}[tr == stdin]
			tr.start(treeScript, flags...)
			w.eventually("the session is held", func() bool { return len(w.held()) > len(before) })
			tr.session = slices.DeleteFunc(w.held(), func(pid int) bool { return slices.Contains(before, pid) })[0]
		}
		for _, tr := range []*tree{plain, stdin} {
			w.must(tr.bivy.process.Signal(syscall.SIGTERM))
		}
		for _, tr := range []*tree{plain, stdin} {
			if got := tr.wait(); got.code != 96 {
				t.Errorf("TERM before the start gives %v", got)
			}
			w.wantReceipt(tr.result, map[string]any{"state": "canceled", "class": "canceled", "code": nil})
		}
		// Whoever searches for what they may have started gives up some time.
		<-time.After(3 * grace)
		w.server.ReleaseSessions(t)
		for _, tr := range []*tree{plain, stdin} {
			if left := tr.left(soon); len(left) > 0 {
				t.Errorf("%s later there still run %v", soon, left)
				tr.clear()
				_ = syscall.Kill(tr.session, syscall.SIGKILL)
			}
		}
	})
}
