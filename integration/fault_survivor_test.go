package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nobody is an account without any rights; the number is that of all systems.
const nobody = 65534

// stayer becomes root for good, with the set-user-id bit, and sleeps. It has
// no other purpose, so that nobody can use it for one while the test runs.
const stayer = `package main

import (
	"os"
	"syscall"
	"time"
)

func main() {
	if syscall.Setresuid(0, 0, 0) != nil {
		os.Exit(1)
	}
	_ = os.WriteFile(os.Args[1], nil, 0o600)
	time.Sleep(2 * time.Minute)
}
`

// TestSurvivor has a command that may not be signalled by its own account. It
// is not parallel: bivy waits a second longer than the grace for the host's
// report, and not for a host that is busy with other tests.
func TestSurvivor(t *testing.T) {
	if os.Getuid() != 0 {
		// Only root can give a program the set-user-id bit of root.
		t.Skip("needs root for a process that another account cannot kill")
	}
	dir := t.TempDir()
	shell := filepath.Join(dir, "shell")
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --reuid %[1]d --regid %[1]d --clear-groups /bin/sh \"$@\"\n", nobody)
	if err := os.WriteFile(shell, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, kindSSHD, hostOptions{Shell: shell})
	t.Cleanup(w.end)
	w.needProc()
	w.must(os.Chmod(w.root, 0o711))
	w.must(os.Chown(w.remote, nobody, nobody))
	program := w.root + "/stay"
	w.write(dir+"/stay.go", stayer)
	w.must(tool(t.Context(), dir, "go", "build", "-o", program, "stay.go"))
	w.must(os.Chmod(program, 0o755|os.ModeSetuid))
	if got := w.wants(0, "exec", "--host", "gpu1", "--", "id", "-u"); got.stdout != fmt.Sprintln(nobody) {
		t.Skipf("there is no way to run a command as another account: %v", got)
	}
	for i, flags := range [][]string{nil, {"-i"}} {
		tr := w.newTree(fmt.Sprintf("t%d", i))
		w.must(os.Chown(tr.dir, nobody, nobody))
		tr.start(program+` "$DIR/root" & wait; :`, flags...)
		w.eventually("the command is root's", func() bool { return exists(tr.dir + "/root") })
		w.must(tr.bivy.process.Signal(syscall.SIGINT))
		got := tr.wait()
		if got.code != 96 || !strings.Contains(got.stderr, program) {
			t.Errorf("%q: ^C gives %v; want the survivor", flags, got)
		}
		receipt := w.receipt(tr.result)
		alive := tr.alive()
		if len(alive) != 1 {
			t.Fatalf("%q: there run %v, want one", flags, alive)
		}
		want := []any{map[string]any{"pid": float64(alive[0].PID), "command": program + " " + tr.dir + "/root"}}
		if diff := cmp.Diff(want, receipt["survivors"]); diff != "" || receipt["state"] != "canceled" {
			t.Errorf("%q: the receipt is %v; survivors:\n%s", flags, receipt, diff)
		}
		tr.clear()
		tr.gone(patience)
	}
}
