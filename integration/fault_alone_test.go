package integration

import (
	"strings"
	"syscall"
	"testing"
)

// TestOneSession has no session for a guardian. Without -i nothing is missing;
// with it, bivy says what it cannot promise.
func TestOneSession(t *testing.T) {
	onSSHD(t, hostOptions{MaxSessions: 1}, func(t *testing.T, w *world) {
		w.needProc()
		tr := w.newTree("none")
		tr.start(treeScript)
		tr.up()
		w.must(tr.bivy.process.Signal(syscall.SIGINT))
		if got := tr.wait(); got.code != 96 || !strings.Contains(got.stderr, "was ended") {
			t.Errorf("^C gives %v", got)
		}
		tr.gone(0)
		w.wantReceipt(tr.result, map[string]any{"state": "canceled", "class": "canceled", "code": nil})

		tr = w.newTree("stdin")
		tr.start(treeScript, "-i")
		tr.up()
		w.must(tr.bivy.process.Signal(syscall.SIGINT))
		got := tr.wait()
		if got.code != 96 || !strings.Contains(got.stderr, "did not confirm") || !strings.Contains(got.stderr, "one session at a time") {
			t.Errorf("^C with -i gives %v", got)
		}
		w.wantReceipt(tr.result, map[string]any{"state": "canceled", "class": "canceled", "code": nil, "survivors_complete": false})
		tr.clear()
		tr.gone(patience)
		// The session is free for the next.
		w.wants(0, "exec", "--host", "gpu1", "--", "true")
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}
