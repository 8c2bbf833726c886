package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/internal/leak"
	"bivy/sshcmd"
)

// patience is the deadline of everything that a test waits for.
const patience = 60 * time.Second

// shell runs our scripts as a host does.
type shell struct {
	argv []string
	env  []string
}

// eachShell runs a test in parallel for every shell that hosts have as sh.
func eachShell(t *testing.T, test func(t *testing.T, sh shell)) {
	t.Helper()
	for _, argv := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}, {"mksh"}, {"zsh", "--emulate", "sh"}} {
		t.Run(argv[0], func(t *testing.T) {
			t.Parallel()
			_, err := proc.Run(t.Context(), proc.Spec{Args: append(argv[:len(argv):len(argv)], "-c", ":")})
			var missing *proc.NotFoundError
			if errors.As(err, &missing) {
				// .ci/run installs all of them; a laptop tests those it has.
				t.Skipf("%s is not installed", argv[0])
			}
			if err != nil {
				t.Fatal(err)
			}
			test(t, shell{argv: argv, env: []string{
				"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", leak.Variable + "=" + os.Getenv(leak.Variable),
			}})
		})
	}
}

// ran is how a script ended.
type ran struct {
	answer         answer
	code           int
	stdout, stderr string
}

func (r ran) String() string {
	return fmt.Sprintf("code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
}

// script is one that runs, with host.sh and hostlock.sh in front of it.
type script struct {
	t              testing.TB
	process        *proc.Process
	stdout, stderr bytes.Buffer
}

// start runs a script; what is in vars comes after our own settings, and wins.
func (sh shell) start(t testing.TB, text string, vars ...variable) *script {
	t.Helper()
	var all strings.Builder
	for _, v := range append(lockVars("bivy test"), vars...) {
		fmt.Fprintf(&all, "%s=%s\n", v.name, sshcmd.Quote(v.value))
	}
	all.WriteString(hostScript)
	if !strings.HasPrefix(text, hostLockScript) {
		all.WriteString(hostLockScript)
	}
	all.WriteString(text)
	s := &script{t: t}
	var err error
	s.process, err = proc.Start(t.Context(), proc.Spec{
		Args: append(sh.argv[:len(sh.argv):len(sh.argv)], "-c", all.String()), Dir: "/", Env: sh.env,
		Stdout: &s.stdout, Stderr: &s.stderr, Isolation: proc.Session,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *script) wait() ran {
	s.t.Helper()
	exit, err := s.process.Wait()
	if err != nil {
		s.t.Fatal(err)
	}
	return ran{parseAnswer(s.stdout.Bytes()), exit.Code, s.stdout.String(), s.stderr.String()}
}

func (sh shell) run(t testing.TB, text string, vars ...variable) ran {
	t.Helper()
	s := sh.start(t, text, vars...)
	return s.wait()
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it does not hold that %s", patience, what)
		}
	}
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
