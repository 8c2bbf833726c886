package exec

import (
	"errors"
	"io"
	"strings"
	"testing"

	"bivy/integration/sshdtest"
)

// A script of ours runs in the supervisor's shell as it would in one of its own:
// with its environment, and it may define what it likes.
func TestInline(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		r := sh.run(t, setup{}, Command{
			Script: `bivy_report() { echo mine; }
bivy_wait() { exit 99; }
trap 'echo trapped' EXIT
cd /
bivy_report
echo "$#,$V" >&2
(exit 5)
exit 7`,
			Inline: true, Env: []EnvVar{{"V", "a b"}},
		})
		r.wantExit(t, 7)
		if r.stdout != "mine\ntrapped\n" || r.stderr != "0,a b\n" {
			t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
		}
		r = sh.run(t, setup{}, Command{Script: "echo one; false", Inline: true})
		r.wantExit(t, 1)
		if r.stdout != "one\n" {
			t.Errorf("stdout %q", r.stdout)
		}
	})
}

// What is sent early arrives as it is, on every shell, and is the command's
// alone.
func TestEarly(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]sshdtest.Options{
		"dash": {}, "bash": {Sh: "bash"}, "busybox": {Sh: "busybox"}, "mksh": {Sh: "mksh"}, "zsh": {Sh: "zsh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o)
			for i := range 6 {
				in := strings.Repeat("\x00\xff\nexit\n}\n", 1<<(3*i))
				c := Command{Script: "cat", Inline: i%2 == 0, Stdin: strings.NewReader(in), Early: true}
				end := w.wait(w.start(c))
				if end.err != nil || end.State != Exited || end.Code != 0 || end.stdout != in {
					t.Errorf("%d bytes: %+v, %v", len(in), end.Receipt, end.err)
				}
			}
			if end := w.wait(w.start(Command{Script: "exit 4", Stdin: strings.NewReader("unread"), Early: true})); end.Code != 4 {
				t.Errorf("what is not read: %+v, %v", end.Receipt, end.err)
			}
		})
	}
}

// Early stdin is one that can be sent again.
func TestEarlyNeedsASeeker(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Command{
		"none": {Script: ":", Early: true}, "a stream": {Script: ":", Early: true, Stdin: io.MultiReader()},
	} {
		var wrong *CommandError
		if err := c.check(); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
