package sshdtest_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/link"
	"bivy/integration/sshdtest"
)

func TestDropbear(t *testing.T) {
	t.Parallel()
	s := sshdtest.StartDropbear(t, sshdtest.Options{LoginShell: "sh"})
	got := ssh(t, s, "gpu1", "echo $HOME $SHELL $BIVY_SSHDTEST ${LD_PRELOAD-none}; pwd; exit 3")
	shell := strings.Fields(got.Stdout + " - -")[1] // /bin/sh, or where the link leads
	want := fmt.Sprintf("%s %s %s none\n%[1]s\n", s.Home, shell, s.Dir)
	if filepath.Base(shell) != "sh" || got.Stdout != want || got.Exit.Code != 3 {
		t.Errorf("a command gives %+v, want %q", got, want)
	}
	if n := s.Logins(t); n != 1 || !strings.Contains(s.Log(t), "Child connection from") {
		t.Errorf("%d logins, want 1", n)
	}
	s.HostBlock(t, "wrong", "IdentityFile "+s.NewKey(t), "BatchMode yes")
	if got := ssh(t, s, "wrong", "true"); !strings.Contains(got.Stderr, "Permission denied") {
		t.Errorf("a wrong key gives %+v", got)
	}
	ended := background(t, s, ": >up; exec sleep 1000")
	eventually(t, "the command runs", func() bool { return exists(s, "up") })
	if n := len(s.Pids(sshdtest.Command)); n != 1 {
		t.Errorf("%d commands, want 1", n)
	}
	s.Kill()
	s.Restart(t)
	if n := s.Signal(t, sshdtest.Monitor, 9); n != 1 {
		t.Errorf("%d connections were killed, want 1", n)
	}
	if exit := <-ended; exit.Code != 255 {
		t.Errorf("the client of a killed connection ends with %v", exit)
	}
}

// background runs a command whose end arrives on the channel.
func background(t *testing.T, s *sshdtest.Server, args ...string) <-chan proc.Exit {
	t.Helper()
	p, err := proc.Start(t.Context(), proc.Spec{Args: append([]string{"ssh", "-F", s.ConfigFile, "gpu1"}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceValue(func() proc.Exit { exit, _ := p.Wait(); return exit })
	ended := make(chan proc.Exit, 1)
	go func() { ended <- wait() }()
	t.Cleanup(func() { wait() }) // the end of t.Context ends ssh
	return ended
}

func exists(s *sshdtest.Server, name string) bool {
	_, err := os.Stat(filepath.Join(s.Home, name))
	return err == nil
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{Programs: sshdtest.POSIXPrograms()})
	for _, args := range [][]string{{"gpu1", "PROBE"}, {"gpu1", `"$SHELL" -l -c 'PROBE'`}} {
		args[1] = strings.Replace(args[1], "PROBE", `for p in ps dd setsid timeout stat cat; do command -v $p >/dev/null && echo $p; done`, 1)
		if got := ssh(t, s, args...); got.Stdout != "ps\ndd\n" {
			t.Errorf("%s finds %+v, want ps and dd", args[1], got)
		}
	}
}

func TestBusyboxHost(t *testing.T) {
	t.Parallel()
	have(t, "busybox")
	s := sshdtest.Start(t, sshdtest.Options{LoginShell: "busybox ash", Programs: sshdtest.BusyboxPrograms(t)})
	if got := ssh(t, s, "gpu1", `readlink "$(command -v ls)"; ls --version 2>&1; command -v git bash`); !strings.Contains(got.Stdout, "busybox\n") ||
		!strings.Contains(got.Stdout, "BusyBox") || strings.Contains(got.Stdout, "git") || strings.Contains(got.Stdout, "bash") {
		t.Errorf("on a host of busybox alone: %+v", got)
	}
}

func TestShInThePlaceOfSh(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{Sh: "busybox"})
	before, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if got := ssh(t, s, "gpu1", "exec /bin/sh -c 'type local; help'"); !strings.Contains(got.Stdout, "Built-in commands") {
		t.Errorf("/bin/sh is not busybox: %+v", got)
	}
	if after, err := filepath.EvalSymlinks("/bin/sh"); err != nil || after != before {
		t.Errorf("/bin/sh of this machine is now %s, %v; was %s", after, err, before)
	}
}

func TestStartDelayAndLimits(t *testing.T) {
	t.Parallel()
	const delay = 300 * time.Millisecond
	s := sshdtest.Start(t, sshdtest.Options{StartDelay: delay, MaxStartups: "1:100:1", Extra: []string{"PermitTTY no", "AllowTcpForwarding no"}})
	began := time.Now()
	if got := ssh(t, s, "gpu1", "echo late"); got.Stdout != "late\n" {
		t.Errorf("a late command gives %+v", got)
	}
	if took := time.Since(began); took < delay {
		t.Errorf("a command that begins after %s took %s", delay, took)
	}
	// Somebody who has connected and does not log in.
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was said
	eventually(t, "sshd has started a process for it", func() bool { return len(s.Connections()) == 1 })
	if got := ssh(t, s, "gpu1", "true"); got.Exit.Code != 255 || !strings.Contains(s.Log(t), "MaxStartups") {
		t.Errorf("past MaxStartups a login gives %+v", got)
	}
}

func TestHostAtALink(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	l := link.Start(t, s.Addr)
	s.HostAt(t, "far", l.Addr(), "ServerAliveInterval 1", "ServerAliveCountMax 1", "ControlPath none")
	if got := ssh(t, s, "far", "echo hi"); got.Stdout != "hi\n" {
		t.Errorf("through a link: %+v", got)
	}
	done := make(chan result)
	go func() { done <- ssh(t, s, "far", ": >up; exec sleep 1000") }()
	eventually(t, "the command runs", func() bool { return exists(s, "up") })
	l.Silence()
	if got := <-done; got.Exit.Code != 255 || !strings.Contains(got.Stderr, "not responding") {
		t.Errorf("a silent link gives %+v", got)
	}
	// The host has heard nothing of it.
	if n, m := len(s.Connections()), len(s.Pids(sshdtest.Command)); n != 1 || m != 1 {
		t.Errorf("the host has %d connections and %d commands, want one of each", n, m)
	}
	l.Restore()
	eventually(t, "the host hears of the end", func() bool { return len(s.Connections()) == 0 })
}
