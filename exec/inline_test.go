package exec

import (
	"testing"
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
