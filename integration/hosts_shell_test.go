package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

// signals checks that a command which a signal ends is reported so, by a host
// whose /bin/sh is that shell; "" is not known. INT and PIPE are passed over in
// silence by every shell, and all signals by zsh: then the receipt says what is
// possible.
func (w *world) signals(shell string) {
	w.tb.Helper()
	for _, s := range []struct {
		name   string
		number int
		silent bool
	}{
		{"HUP", 1, false},
		{"INT", 2, true},
		{"QUIT", 3, false},
		{"KILL", 9, false},
		{"PIPE", 13, true},
		{"ALRM", 14, false},
		{"TERM", 15, false},
	} {
		file := w.root + "/" + s.name
		// A program that has no handlers; some shells catch or ignore some.
		got := w.bivy("exec", "--host", "gpu1", "--result", file, "--", "find", "/", "-prune", "-exec", "sh", "-c", "kill -"+s.name+" $PPID", ";")
		if got.code != 128+s.number || got.stdout+got.stderr != "" {
			w.tb.Errorf("%s gives %v", s.name, got)
		}
		signaled := map[string]any{"state": "signaled", "code": nil, "signal": s.name, "signal_possible": nil}
		possible := map[string]any{"state": "exited", "code": 128.0 + float64(s.number), "signal": nil, "signal_possible": float64(s.number)}
		switch {
		case s.silent, shell == "zsh", shell == "" && w.receipt(file)["state"] == "exited":
			w.wantReceipt(file, possible)
		default:
			w.wantReceipt(file, signaled)
		}
	}
	file := w.root + "/own"
	w.wants(143, "exec", "--host", "gpu1", "--result", file, "-c", "exit 143")
	w.wantReceipt(file, map[string]any{"state": "exited", "code": 143.0, "signal": nil, "signal_possible": 15.0})
}

// TestSignalsOnShells: whatever the login shell is, and whatever /bin/sh is, a
// signal that ends a command is reported.
func TestSignalsOnShells(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "dash", "zsh", "fish", "tcsh", "mksh", "busybox ash"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			need(t, strings.Fields(shell)[0])
			withServer(t, sshdtest.Start, sshdtest.Options{LoginShell: shell}, func(t *testing.T, w *world) {
				w.basics()
				w.signals("")
				for _, sig := range []string{"INT", "QUIT"} {
					// The shell sends it to itself. What it does about it is its own
					// business; a shell that is not bivy's says the same.
					script := "kill -" + sig + " $$; echo alive"
					plain := w.run(proc.Spec{Args: []string{"/bin/sh", "-c", script}, Isolation: proc.Session})
					if got := w.bivy("exec", "--host", "gpu1", "-c", script); got.code != plain.code || got.stdout != plain.stdout {
						t.Errorf("%s: %v; without bivy %v", script, got, plain)
					}
				}
			})
		})
	}
	for _, shell := range []string{"bash", "dash", "zsh", "mksh", "busybox"} {
		t.Run("sh is "+shell, func(t *testing.T) {
			onServer(t, sshdtest.Start, sshdtest.Options{Sh: shell}, func(_ *testing.T, w *world) { w.signals(shell) })
		})
	}
}

// need skips a test without that program.
func need(t *testing.T, program string) {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if exists(filepath.Join(dir, program)) {
			return
		}
	}
	// There is nothing to log in with; .ci/run installs all shells.
	t.Skipf("%s is not installed", program)
}
