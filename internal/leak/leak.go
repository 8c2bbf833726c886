// Package leak fails a run of tests that leaves something running: a goroutine
// in the test binary, or a process on the machine. Only tests import it.
//
// A process is known by a variable in its environment, which Check sets and
// which everything inherits that a test starts with its own environment. Who
// makes up an environment for others puts Mark into it. Direct children of the
// test binary are found without it: sshd writes its title over its environment.
package leak

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Variable is the name of the mark in the environment.
const Variable = "BIVY_TEST_RUN"

// settle is how long what tests have ended may take to be gone.
const settle = 10 * time.Second

// Main runs the tests of a package and ends the process: with their status, or
// with 1 if they left something running. It stands at the end of TestMain.
func Main(m *testing.M) { os.Exit(Check(m.Run)) }

// Check is Main for a TestMain that has something to do afterwards. Options
// name goroutines that are nobody's.
func Check(run func() int, options ...goleak.Option) int { return check(run, settle, options) }

func check(run func() int, settle time.Duration, options []goleak.Option) int {
	if err := os.Setenv(Variable, rand.Text()); err != nil {
		fmt.Fprintln(os.Stderr, "leak:", err)
		return 1
	}
	code := run()
	err := errors.Join(goroutines(settle, options), processes(settle))
	if err == nil {
		return code
	}
	fmt.Fprintln(os.Stderr, err)
	return max(code, 1)
}

// Mark is the entry for an environment that a test makes up: NAME=VALUE. It
// is a harmless one where the package's TestMain does not check.
func Mark() string { return Variable + "=" + os.Getenv(Variable) }

// goroutines waits for all goroutines but those of the runtime to end.
func goroutines(settle time.Duration, options []goleak.Option) error {
	var err error
	for end := time.Now().Add(settle); ; {
		// Find itself looks for about half a second.
		if err = goleak.Find(options...); err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("leak: the tests left goroutines: %w", err)
		}
	}
}

// processes waits for all processes of this run to end, and ends those that
// do not.
func processes(settle time.Duration) error {
	value := os.Getenv(Variable)
	left := awaitNone(func() []Process { return append(Marked(Variable, value), children()...) }, settle)
	if len(left) == 0 {
		return nil
	}
	for _, p := range left {
		p.kill()
	}
	return errors.New("leak: the tests left processes:\n" + List(left))
}

// AwaitNone fails the test unless the list becomes empty within that time; it
// prints what is left. A typical list is that of Marked.
func AwaitNone(t testing.TB, within time.Duration, list func() []Process) {
	t.Helper()
	if left := awaitNone(list, within); len(left) > 0 {
		t.Errorf("after %s there still run:\n%s", within, List(left))
	}
}

func awaitNone(list func() []Process, within time.Duration) []Process {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); ; <-tick.C {
		left := list()
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// List is one line "PID PARENT COMMAND" for each process.
func List(all []Process) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}
