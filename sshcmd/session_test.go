package sshcmd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A session without a master ends at once and says so, whichever way the
// master is missing.
func TestSessionWithoutMaster(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no master at the control socket (",
		stale:                      fmt.Sprintf("Control socket connect(%s): Connection refused", stale),
	} {
		log := filepath.Join(dir, "log")
		got := run(t, Session{SSH: []string{"ssh"}, ControlPath: path, Log: log, Command: "true"}.Args()...)
		words, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		e := ClassifySession("h", got.code, string(words))
		if got.code != 255 || e.Class != ClassMux || !strings.HasPrefix(e.Line, want) || got.stderr != "" {
			t.Errorf("status %d, class %q, line %q, stderr %q; want line %q", got.code, e.Class, e.Line, got.stderr, want)
		}
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
	}
}
