package integration

import (
	"context"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// TestRide: with --user-master bivy uses the user's own master, where one runs,
// and never closes it.
func TestRide(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		socket := w.root + "/own"
		w.hostBlock("own", "ControlPath "+socket)
		ssh := func(args ...string) proc.Exit {
			exit, err := proc.Run(context.WithoutCancel(t.Context()), proc.Spec{Args: append([]string{"ssh", "-F", w.config}, args...), Isolation: proc.Session})
			w.must(err)
			return exit
		}
		if exit := ssh("-fNM", "own"); !exit.OK() {
			t.Fatalf("the user's own master: %s", exit)
		}
		t.Cleanup(func() { ssh("-O", "exit", "own") })
		logins := w.logins()
		if got := w.wants(0, "exec", "--user-master", "--host", "own", "--", "echo", "in"); got.stdout != "in\n" {
			t.Errorf("over the user's master: %v", got)
		}
		if got := w.wants(3, "exec", "--user-master", "--host", "own", "-i", "-c", "exit 3"); got.stderr != "" {
			t.Errorf("over the user's master: %v", got)
		}
		if n := w.logins(); n != logins {
			t.Errorf("%d logins besides the user's", n-logins)
		}
		if got := w.bivy("host", "close", "--user-master", "own"); got.code != 81 || !strings.Contains(got.stderr, "your own master") {
			t.Errorf("host close of it gives %v", got)
		}
		if exit := ssh("-O", "check", "own"); !exit.OK() {
			t.Fatal("the user's master was closed")
		}
		// Without the flag, and where none runs, bivy has its own.
		w.wants(0, "exec", "--host", "own", "--", "true")
		ssh("-O", "exit", "own")
		w.wants(0, "exec", "--user-master", "--host", "own", "--", "true")
		if n := w.logins(); n != logins+1 {
			t.Errorf("%d logins of our own, want 1", n-logins)
		}
	})
}
