package sshdtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

type result struct {
	Exit           proc.Exit
	Stdout, Stderr string
}

// ssh runs the real client with the server's configuration.
func ssh(t *testing.T, s *sshdtest.Server, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args: append([]string{"ssh", "-F", s.ConfigFile}, args...), Stdout: &stdout, Stderr: &stderr,
	})
	if err != nil {
		t.Fatalf("ssh %q: %v", args, err)
	}
	return result{exit, stdout.String(), stderr.String()}
}

func have(t *testing.T, program string) {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return
		}
	}
	// Without it there is nothing to emulate; .ci/run installs all shells.
	t.Skipf("%s is not installed", program)
}

// eventually polls a condition until a generous deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("in 20 s this has not happened: %s", what)
		}
	}
}

func TestLoginShells(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"sh", "bash", "zsh", "fish", "tcsh", "mksh", "busybox ash"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			program, applet, _ := strings.Cut(shell, " ")
			have(t, program)
			s := sshdtest.Start(t, sshdtest.Options{LoginShell: shell})

			got := ssh(t, s, "gpu1", "echo hi; pwd; echo $HOME")
			want := result{Stdout: "hi\n" + s.Home + "\n" + s.Home + "\n"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("a command (-want +got):\n%s", diff)
			}
			if got := ssh(t, s, "gpu1", "exit 3"); got.Exit.Code != 3 {
				t.Errorf("exit 3 gives %+v", got)
			}
			name := filepath.Base(program)
			if applet != "" {
				name = applet
			}
			got = ssh(t, s, "gpu1", "echo $SHELL")
			if filepath.Base(strings.TrimSpace(got.Stdout)) != name {
				t.Errorf("SHELL is %q, want the shell %s", got.Stdout, name)
			}
			if n := s.Logins(t); n != 3 {
				t.Errorf("%d logins counted after 3", n)
			}
			sshdtest.RequireTerminal(t)
			got = ssh(t, s, "-tt", "gpu1", "tty")
			if got.Exit.Code != 0 || !strings.HasPrefix(got.Stdout, "/dev/") {
				t.Errorf("with -tt, tty gives %+v", got)
			}
		})
	}
}

func TestNoProcessBetween(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{LoginShell: "bash"})
	// The session's process leads its session and group, and is a child of
	// sshd. A small machine has no ps, macOS has no /proc.
	got := ssh(t, s, "gpu1", `if [ -r /proc/$$/stat ]; then
		read -r pid name state parent group session rest </proc/$$/stat
		echo $pid $group $session; cat /proc/$PPID/comm
	else
		ps -o pid=,pgid=,sess= -p $$; ps -o comm= -p $PPID
	fi`)
	f := strings.Fields(got.Stdout)
	if len(f) != 4 || f[0] != f[1] || f[0] != f[2] || !strings.Contains(f[3], "sshd") {
		t.Errorf("the shell's pid, group, session and parent's name are %q", f)
	}
	if got = ssh(t, s, "gpu1", "kill -9 $$"); got.Exit.Code != 255 {
		t.Errorf("a command killed by signal 9 gives %+v, want ssh's 255", got)
	}
}

func TestEnvironmentIsThatOfAFreshSession(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	var names []string
	for line := range strings.Lines(ssh(t, s, "gpu1", "env").Stdout) {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	known := "BIVY_SSHDTEST BIVY_TEST_RUN HOME LOGNAME MAIL PATH PWD SHELL SSH_CLIENT SSH_CONNECTION USER _ OLDPWD SHLVL"
	for _, name := range names {
		if !strings.Contains(" "+known+" ", " "+name+" ") {
			t.Errorf("sessions have the unexpected variable %s", name)
		}
	}
	if got := ssh(t, s, "gpu1", `echo "${SHLVL-none} ${SSH_ORIGINAL_COMMAND-none} ${FORCED-none}"`); got.Stdout != "none none none\n" {
		t.Errorf("SHLVL, SSH_ORIGINAL_COMMAND, FORCED are %q", got.Stdout)
	}
}

func TestStartupFilesMakeNoise(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "tcsh"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			have(t, shell)
			s := sshdtest.Start(t, sshdtest.Options{LoginShell: shell, RC: "echo noise"})
			if got := ssh(t, s, "gpu1", "echo hi"); got.Stdout != "noise\nhi\n" {
				t.Errorf("stdout is %q, want the noise once, then hi", got.Stdout)
			}
		})
	}
}

func TestLoginWithoutCommand(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{LoginShell: "sh", RC: "echo welcome"})
	if got := ssh(t, s, "gpu1"); got.Stdout != "welcome\n" || got.Exit.Code != 0 {
		t.Errorf("a login with an empty stdin gives %+v", got)
	}
}

func TestForceCommand(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{ForceCommand: `echo "only this, not $SSH_ORIGINAL_COMMAND"`})
	if got := ssh(t, s, "gpu1", "ls"); got.Stdout != "only this, not ls\n" {
		t.Errorf("stdout is %q", got.Stdout)
	}
}

func TestHomeWithOddName(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "it's a $HOME")
	s := sshdtest.Start(t, sshdtest.Options{Home: home})
	if got := ssh(t, s, "gpu1", "pwd"); got.Stdout != home+"\n" {
		t.Errorf("sessions start in %q, want %q", got.Stdout, home)
	}
}

func TestSFTPStartsInHome(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	exit, err := proc.Run(t.Context(), proc.Spec{Args: []string{"scp", "-q", "-F", s.ConfigFile, file, "gpu1:copy"}})
	if err != nil || !exit.OK() {
		t.Fatalf("scp: %v, %v", exit, err)
	}
	got, err := os.ReadFile(filepath.Join(s.Home, "copy"))
	if err != nil || string(got) != "content" {
		t.Errorf("the copy is %q, %v", got, err)
	}
}

func TestMaxSessions(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{MaxSessions: 1})
	socket := filepath.Join(s.Dir, "m")
	if got := ssh(t, s, "-f", "-N", "-M", "-S", socket, "-oControlPersist=no", "gpu1"); got.Exit.Code != 0 {
		t.Fatalf("the master: %+v", got)
	}
	first, stdin := session(t, s, socket)
	eventually(t, "the first session runs", func() bool { _, err := os.Stat(filepath.Join(s.Home, "up")); return err == nil })

	got := ssh(t, s, "-S", socket, "-oProxyCommand=false", "gpu1", "true")
	if got.Exit.Code != 255 || !strings.Contains(got.Stderr, "Session open refused by peer") {
		t.Errorf("a second session of one gives %+v", got)
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if exit, err := first.Wait(); err != nil || !exit.OK() {
		t.Errorf("the first session ends with %v, %v", exit, err)
	}
	if n := s.Logins(t); n != 1 {
		t.Errorf("%d logins, want one master's", n)
	}
}

// session starts a command over the master which says so in the file up, and
// ends with its stdin.
func session(t *testing.T, s *sshdtest.Server, socket string) (*proc.Process, io.Closer) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // the child has its own
	p, err := proc.Start(t.Context(), proc.Spec{
		Args: []string{"ssh", "-F", s.ConfigFile, "-S", socket, "gpu1", "echo $$ > pid; mv pid up; cat"}, Stdin: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, w
}

func TestHostBlockAndWrongKey(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	s.HostBlock(t, "wrong", "IdentityFile "+s.NewKey(t), "BatchMode yes")
	s.HostBlock(t, "unknown", "UserKnownHostsFile none", "BatchMode yes")
	s.HostBlock(t, "right")
	if got := ssh(t, s, "wrong", "true"); !strings.Contains(got.Stderr, "Permission denied (publickey)") {
		t.Errorf("a wrong key gives %+v", got)
	}
	if got := ssh(t, s, "unknown", "true"); !strings.Contains(got.Stderr, "Host key verification failed") {
		t.Errorf("an unknown host key gives %+v", got)
	}
	if n := s.Logins(t); n != 0 {
		t.Errorf("%d logins after refusals only", n)
	}
	if got := ssh(t, s, "right", "true"); got.Exit.Code != 0 {
		t.Errorf("a second name gives %+v", got)
	}
}

func TestExtraWinsAndMatchIsLast(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{Extra: []string{
		"LogLevel DEBUG1", "Match LocalAddress 127.0.0.1", "PermitTTY no",
	}})
	if got := ssh(t, s, "-tt", "gpu1", "tty"); !strings.Contains(got.Stderr, "PTY allocation request failed") {
		t.Errorf("PermitTTY no in a Match gives %+v", got)
	}
	if !strings.Contains(s.Log(t), "debug1:") {
		t.Error("LogLevel DEBUG1 in Extra has no effect")
	}
}

func TestKillRestartAndStop(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	socket := filepath.Join(s.Dir, "m")
	if got := ssh(t, s, "-f", "-N", "-M", "-S", socket, "-oControlPersist=no", "gpu1"); got.Exit.Code != 0 {
		t.Fatalf("the master: %+v", got)
	}
	s.Kill()
	if got := ssh(t, s, "-S", "none", "gpu1", "true"); !strings.Contains(got.Stderr, "Connection refused") {
		t.Errorf("after Kill a login gives %+v", got)
	}
	if got := ssh(t, s, "-S", socket, "gpu1", "echo alive"); got.Stdout != "alive\n" {
		t.Errorf("after Kill the old connection gives %+v", got)
	}
	s.Restart(t)
	if got := ssh(t, s, "-S", "none", "gpu1", "echo back"); got.Stdout != "back\n" {
		t.Errorf("after Restart a login gives %+v", got)
	}

	// One command that runs, and one that has ended and left a daemon that
	// ignores the hang-up.
	ssh(t, s, "-S", socket, "gpu1",
		`trap "" HUP; (sleep 1000 & echo $! > daemon) >/dev/null 2>&1 </dev/null`)
	p, stdin := session(t, s, socket)
	defer stdin.Close() //nolint:errcheck // its reader is gone by then
	eventually(t, "the session runs", func() bool { _, err := os.Stat(filepath.Join(s.Home, "up")); return err == nil })
	if n := len(s.Connections()); n != 1 {
		t.Errorf("%d connections, want the master's", n)
	}
	command, daemon := readPID(t, s, "up"), readPID(t, s, "daemon")
	s.KillConnections()
	if exit, err := p.Wait(); err != nil || exit.Code != 255 {
		t.Errorf("the session ends with %v, %v; want 255", exit, err)
	}
	eventually(t, "no connection is left", func() bool { return len(s.Connections()) == 0 })
	if !alive(daemon) {
		t.Error("KillConnections ended a command's daemon")
	}
	s.Stop()
	s.Stop()
	eventually(t, "Stop ends what sessions left", func() bool { return !alive(command) && !alive(daemon) })
}

func readPID(t *testing.T, s *sshdtest.Server, name string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Home, name))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// alive reports a process that has not ended; one that nobody reaped has.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}
