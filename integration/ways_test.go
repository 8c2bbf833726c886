package integration

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
)

// wayVariable decides how sessions are opened: by words to the master, unless
// it is waySSH.
const (
	wayVariable = "BIVY_MUX"
	waySSH      = "ssh"
)

// throughSSH reports whether the tests have an ssh for each session.
func throughSSH() bool { return os.Getenv(wayVariable) == waySSH }

// bothWays are the tests that see how a session is opened: of its end, its
// streams and its terminal, of hosts that refuse one, and of masters that go.
var bothWays = []string{
	"TestFaults", "TestKilledSession", "TestKilledMasterTerminal", "TestStoppedMaster", "TestCancelMeansGone",
	"TestShellOnTerminal", "TestStoppedAndContinued", "TestTerminalGivenBackAtOnce", "TestSizeFollowed", "TestTerminalForbidden",
	"TestMaxSessions", "TestFewSessions", "TestAllSessionsBusy", "TestUserMaster", "TestWarmPath", "TestPhases", "TestFloodIsCutOff",
}

// TestOverSSH runs them again, in a process of its own, with an ssh for each
// session.
func TestOverSSH(t *testing.T) {
	if os.Getenv(wayVariable) != "" {
		// This is the process that it starts, or somebody chose a way.
		t.Skip(wayVariable + " is set")
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var out bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args: []string{self, "-test.v", "-test.run", "^(" + strings.Join(bothWays, "|") + ")$"},
		Env:  append(os.Environ(), wayVariable+"="+waySSH), Stdout: &out, Stderr: &out,
	})
	if err != nil || !exit.OK() || !strings.Contains(out.String(), "--- PASS: TestFaults/"+strings.ReplaceAll(sessionsSSH, " ", "_")) {
		t.Errorf("the tests end with %v, %v:\n%s", exit, err, out.String())
	}
}
