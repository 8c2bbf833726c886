package lane

import (
	"os"
	"sync"
	"testing"
	"time"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/integration/mastertest"
	"bivy/integration/sshdtest"
)

// remote is a pool of lanes on a real sshd, and what they are opened with.
func remote(t *testing.T, o sshdtest.Options) (*sshdtest.Server, *Pool, *mux.Masters, mux.Target) {
	t.Helper()
	server := sshdtest.Start(t, o)
	masters, target := mastertest.Open(t, server)
	p := New(t.Context(), "gpu1", Over(masters, target))
	t.Cleanup(p.Close)
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
