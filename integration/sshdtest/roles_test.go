package sshdtest_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/internal/leak"
)

func TestHeldSessions(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	s.HoldSessions(t)
	first := background(t, s, "echo $$ >pid; exec sleep 1000")
	eventually(t, "the session waits", func() bool { return s.HeldSessions() == 1 })
	if exists(s, "pid") {
		t.Error("a held session runs its command")
	}
	if n := s.Signal(t, sshdtest.Command, syscall.SIGKILL); n != 1 {
		t.Errorf("%d commands were killed, want 1", n)
	}
	if exit := <-first; exit.Code != 255 {
		t.Errorf("the client of a killed session ends with %v", exit)
	}
	second := background(t, s, "exit 7")
	eventually(t, "the second waits as well", func() bool { return s.HeldSessions() == 2 })
	s.ReleaseSessions(t)
	if exit := <-second; exit.Code != 7 {
		t.Errorf("a session that was let go ends with %v", exit)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := sshdtest.Start(t, sshdtest.Options{})
	ended := background(t, s, "sleep 1000 & echo $$ >pid; mv pid up; wait")
	eventually(t, "the command runs", func() bool { return exists(s, "up") })
	command := readPID(t, s, "up")
	for role, want := range map[sshdtest.Role]int{sshdtest.Listener: 1, sshdtest.Monitor: 1, sshdtest.Worker: 1, sshdtest.Command: 1} {
		if pids := s.Pids(role); len(pids) != want {
			t.Errorf("of role %d there are %v, want %d", role, pids, want)
		}
	}
	if pids := s.Pids(sshdtest.Command); len(pids) == 1 && pids[0] != command {
		t.Errorf("the command is %d, want %d", pids[0], command)
	}
	// A stopped listener takes connections and starts nothing; the old
	// connection goes on.
	s.Signal(t, sshdtest.Listener, syscall.SIGSTOP)
	s.Signal(t, sshdtest.Listener, syscall.SIGCONT)
	if got := ssh(t, s, "gpu1", "echo again"); got.Stdout != "again\n" {
		t.Errorf("after SIGSTOP and SIGCONT a login gives %+v", got)
	}
	// sshd ends the connection of that login a little after its client.
	eventually(t, "the second connection is gone", func() bool { return len(s.Pids(sshdtest.Worker)) == 1 })
	if n := s.Signal(t, sshdtest.Worker, syscall.SIGKILL); n != 1 {
		t.Errorf("%d workers were killed, want 1", n)
	}
	if exit := <-ended; exit.Code != 255 {
		t.Errorf("the client of a killed worker ends with %v", exit)
	}
	if n := s.Signal(t, sshdtest.Listener, syscall.SIGTERM); n != 1 || len(s.Pids(sshdtest.Listener)) != 0 {
		t.Errorf("%d listeners were ended, want 1; left are %v", n, s.Pids(sshdtest.Listener))
	}
	s.Restart(t)
	s.Stop()
	eventually(t, "nothing of the command is left", func() bool { return !alive(command) })
	leak.AwaitNone(t, 10*time.Second, func() []leak.Process { return leak.Marked("BIVY_SSHDTEST", s.Dir) })
}

// TestLocalRoles plays the processes of bivy with their options.
func TestLocalRoles(t *testing.T) {
	t.Parallel()
	if len(leak.All()) == 0 {
		// macOS shows no environments.
		t.Skip("there is no /proc")
	}
	s := sshdtest.Start(t, sshdtest.Options{})
	home, socket := t.TempDir(), filepath.Join(s.Dir, "m")
	run := func(args ...string) {
		t.Helper()
		p, err := proc.Start(t.Context(), proc.Spec{Args: append([]string{"env", "ROLES=" + home}, args...)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = p.Wait() }) // the end of t.Context ends it
	}
	// The holder is a shell that stays, with a master as its child.
	run("sh", "-c", "trap 'kill $!; exit' TERM; ssh -F "+s.ConfigFile+" -S "+socket+" -o ControlMaster=yes -N gpu1 & wait")
	eventually(t, "the master listens", func() bool { _, err := filepath.EvalSymlinks(socket); return err == nil })
	run("ssh", "-F", s.ConfigFile, "-S", socket, "-o", "ControlMaster=no", "gpu1", "echo $$ >up; exec sleep 1000")
	// Before that, a client whose master is gone logs in by itself.
	eventually(t, "the session runs", func() bool { return exists(s, "up") })
	for role, want := range map[sshdtest.LocalRole]int{sshdtest.Bivy: 0, sshdtest.Holder: 1, sshdtest.Master: 1, sshdtest.Session: 1} {
		eventually(t, "the processes of each role are there", func() bool { return len(sshdtest.Local(role, "ROLES", home)) == want })
	}
	if got := sshdtest.Local(sshdtest.Holder, "ROLES", home); len(got) == 1 && got[0].Args[0] != "sh" {
		t.Errorf("the holder is %v", got)
	}
	if got := sshdtest.SignalLocal(t, sshdtest.Master, "ROLES", home, syscall.SIGKILL); len(got) != 1 {
		t.Errorf("killed masters are %v, want one", got)
	}
	leak.AwaitNone(t, 20*time.Second, func() []leak.Process { return leak.Marked("ROLES", home) })
}
