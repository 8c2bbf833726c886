package lane

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

const (
	roleVar    = "BIVY_LANE_TEST"
	roleHolder = "holder"
)

// hold is what the test binary does as the holder of a master.
func hold() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := mux.Hold(ctx, os.NewFile(mux.LinkFD, "link")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// remote is a pool of lanes on a real sshd, and what they are opened with.
func remote(t *testing.T, o sshdtest.Options) (*sshdtest.Server, *Pool, *mux.Masters, mux.Target) {
	t.Helper()
	server := sshdtest.Start(t, o)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The path of t.TempDir leaves no room for a socket.
	dir, err := os.MkdirTemp("/tmp", "bl") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	masters, err := mux.Open(mux.Config{
		SSH: []string{"ssh"}, Holder: []string{self}, Sockets: filepath.Join(dir, "s"), CacheDir: filepath.Join(dir, "c"),
		Env: append(os.Environ(), roleVar+"="+roleHolder, "LC_ALL=C"), Wait: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	target := mux.Target{Host: "gpu1", User: sshcmd.User{ConfigFile: server.ConfigFile}}
	p := New(t.Context(), "gpu1", Over(masters, target))
	t.Cleanup(func() {
		p.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:usetesting // the cleanup runs after its end
		defer cancel()
		list, err := masters.List()
		if err != nil {
			t.Error(err)
		}
		for _, m := range list {
			if _, err := masters.CloseID(ctx, m.ID, m.Host); err != nil {
				t.Error(err)
			}
		}
		_ = os.RemoveAll(dir)
	})
	return server, p, masters, target
}

// Lanes work over ssh, whatever the login shell, and a lost connection costs
// those who only read nothing but time.
func TestOverSSH(t *testing.T) {
	for _, shell := range []string{"", "fish", "tcsh"} {
		t.Run("shell "+shell, func(t *testing.T) {
			if shell != "" {
				if _, err := os.Stat("/usr/bin/" + shell); err != nil {
					// .ci/run installs all of them; a laptop tests those it has.
					t.Skipf("%s is not installed", shell)
				}
			}
			server, p, _, _ := remote(t, sshdtest.Options{LoginShell: shell})
			serves(t, p)
			server.KillConnections()
			if out, _ := do(t, p, Call{Text: "echo again"}); out != "again\n" {
				t.Errorf("after the link was lost: %q", out)
			}
		})
	}
}

// Where the host gives one session only, a lane that is not at work does not
// keep it from others, and commands and calls take turns.
func TestOneSession(t *testing.T) {
	_, p, masters, target := remote(t, sshdtest.Options{MaxSessions: 1})
	for range 2 {
		do(t, p, Call{Text: ":"})
		began := time.Now()
		if receipt, err := exec.Run(t.Context(), masters, target, exec.Command{Argv: []string{"true"}}); err != nil || receipt.Code != 0 {
			t.Fatalf("%+v, %v", receipt, err)
		}
		// The lane would be idle for longer than that.
		if took := time.Since(began); took > idle/2 {
			t.Errorf("the command waited %s", took)
		}
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if out, _ := do(t, p, Call{Text: "echo x"}); out != "x\n" {
				t.Errorf("%q", out)
			}
		})
	}
	all.Wait()
}
