package sshdtest

import (
	"os"
	"path/filepath"
	"testing"
)

// HoldSessions makes every session that begins from now on wait, before its
// login shell starts: for whoever asked for it, a host that is slow to start a
// command. ReleaseSessions ends that.
func (s *Server) HoldSessions(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(s.path("hold"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ReleaseSessions lets sessions go on, whether or not their client is there
// still.
func (s *Server) ReleaseSessions(t testing.TB) {
	t.Helper()
	if err := os.Remove(s.path("hold")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// HeldSessions counts the sessions that wait, and those that were killed while
// they did.
func (s *Server) HeldSessions() int {
	held, _ := filepath.Glob(s.path("held-*"))
	return len(held)
}
