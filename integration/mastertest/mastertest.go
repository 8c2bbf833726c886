// Package mastertest gives tests the masters of a real sshd: the holder is the
// test binary itself, and all is closed at the end of the test.
package mastertest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/internal/leak"
	"bivy/sshcmd"
)

const (
	roleVar    = "BIVY_TEST_ROLE"
	roleHolder = "holder"
	// patience is the deadline of what is closed at the end.
	patience = 60 * time.Second
)

// Main runs the tests of a package that uses Open, and fails those that leave
// something running. It stands alone in TestMain and does not return.
func Main(m *testing.M) {
	proc.UnignoreSignals() // the tests may run under nohup
	if os.Getenv(roleVar) == roleHolder {
		os.Exit(hold())
	}
	leak.Main(m)
}

func hold() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := mux.Hold(ctx, os.NewFile(mux.LinkFD, "link")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Open returns masters of the test's own, and the server's host for them.
func Open(t testing.TB, server *sshdtest.Server, change ...func(*mux.Config)) (*mux.Masters, mux.Target) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The path of t.TempDir leaves no room for a socket.
	dir, err := os.MkdirTemp("/tmp", "bm") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	cfg := mux.Config{
		SSH: []string{"ssh"}, Holder: []string{self}, Sockets: filepath.Join(dir, "s"), CacheDir: filepath.Join(dir, "c"),
		Env: append(os.Environ(), roleVar+"="+roleHolder, "LC_ALL=C"), Wait: patience,
	}
	for _, c := range change {
		c(&cfg)
	}
	masters, err := mux.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
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
	return masters, mux.Target{Host: "gpu1", User: sshcmd.User{ConfigFile: server.ConfigFile}}
}
