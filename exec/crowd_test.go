package exec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bivy/exec/mux"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

// TestMoreCommandsThanSessions: a host's limit of sessions slows commands
// down, and does nothing else to them.
func TestMoreCommandsThanSessions(t *testing.T) {
	// A second master, which a busy machine may need, is not for those who
	// have an askpass.
	t.Setenv("SSH_ASKPASS", "/none")
	for _, most := range []int{1, 2, 10} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			w := newWorld(t, sshdtest.Options{MaxSessions: most})
			list := make([]*running, 12)
			for i := range list {
				list[i] = w.start(Command{Script: fmt.Sprintf("echo out %d; exit %d", i, i)})
			}
			for i, r := range list {
				end := w.wait(r)
				end.wantExited(t, i)
				if want := fmt.Sprintf("out %d\n", i); end.stdout != want {
					t.Errorf("command %d says %q", i, end.stdout)
				}
			}
			if n := w.server.Logins(t); n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
		})
	}
}

func TestHostWithoutSessions(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{Extra: []string{"MaxSessions 0"}})
	// The path of t.TempDir leaves no room for a socket.
	dir, err := os.MkdirTemp("/tmp", "bx") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the end of the test
	masters, err := mux.Open(mux.Config{
		Spare: true,
		SSH:   []string{"ssh"}, Holder: []string{self(t)}, Sockets: filepath.Join(dir, "s"), CacheDir: filepath.Join(dir, "c"),
		Env: append(os.Environ(), roleVar+"="+roleHolder, "LC_ALL=C"), Wait: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	target := mux.Target{Host: "gpu1", User: sshcmd.User{ConfigFile: server.ConfigFile}}
	r, err := Run(t.Context(), masters, target, Command{Script: "true"})
	var busy *mux.BusyError
	if !errors.As(err, &busy) || !busy.Refused || !strings.Contains(err.Error(), "gpu1 refuses every session") {
		t.Errorf("a host without sessions gives %v", err)
	}
	if r.State != NeverStarted || r.Class != sshcmd.ClassMuxRefused || r.Timing.Queue == 0 {
		t.Errorf("the receipt is %+v", r)
	}
	if _, err := masters.Close(t.Context(), target); err != nil {
		t.Error(err)
	}
}
