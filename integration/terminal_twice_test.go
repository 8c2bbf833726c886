package integration

import (
	"strings"
	"syscall"
	"testing"
)

// TestTerminalGivenBackAtOnce: a second signal does not wait for the command,
// and the terminal is given back all the same.
func TestTerminalGivenBackAtOnce(t *testing.T) {
	onTerminals(t, func(t *testing.T, w *world) {
		w.wants(0, "host", "connect", "gpu1")
		for _, flag := range []string{"-t", "-it"} {
			sc := w.onTerminal(w.spec("exec", flag, "--host", "gpu1", "-c", "trap : TERM; "+leavesOn+"; echo ready; while :; do sleep 0.1; done"))
			sc.answer("ready\r\n", "")
			w.must(sc.process.Signal(syscall.SIGTERM))
			w.must(sc.process.Signal(syscall.SIGINT))
			if code := sc.wait(); code != 96 || !strings.Contains(sc.text(), takenBack) {
				t.Errorf("%s: code %d, the terminal shows %q", flag, code, sc.text())
			}
		}
	})
}
