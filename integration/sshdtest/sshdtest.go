// Package sshdtest starts a real, unprivileged sshd for one test: on 127.0.0.1,
// with keys, configuration, log and HOME of its own in a temporary directory.
// Only tests import it.
//
// # What sessions see
//
// sshd runs every command through the account's login shell (`SHELL -c`), and
// some of those read rc files of the account even then: bash ~/.bashrc, zsh
// ~/.zshenv, fish its config, tcsh ~/.cshrc. So that a developer's or root's
// own files neither print nor change anything, sshd's SetEnv gives that first
// shell an empty directory as HOME (sshd_config(5): SetEnv overrides the
// default environment). All that this shell does is to exec a forced command,
// wrapper.sh, which sets HOME to the test's and execs the emulated shell, with
// the process id that sshd knows. Files of the system, such as
// /etc/zsh/zshenv, are still read. A program that asks the password database
// for the home directory, instead of $HOME, still sees the account's: ssh does.
//
// An account whose password is locked ("!" in /etc/shadow) is refused by sshd
// without PAM; the log then says so.
package sshdtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Options chooses how a server behaves. The zero value is a server with
// sshd's own defaults and /bin/sh as login shell.
type Options struct {
	// MaxSessions is the limit of sessions on one connection; zero leaves
	// sshd's default, 10.
	MaxSessions int
	// ForceCommand, when set, is run by the login shell in place of any
	// command, which it finds in SSH_ORIGINAL_COMMAND.
	ForceCommand string
	// LoginShell is the shell that sessions get: a path, a name on PATH, or
	// "busybox ash" for an applet. Empty means /bin/sh. A command is run as
	// `SHELL -c COMMAND`; without one it is `SHELL -l`.
	LoginShell string
	// RC is appended to those startup files of the login shell that it reads
	// for a command or at a login.
	RC string
	// Extra are lines of sshd_config. They win over the server's own, except
	// SetEnv and ForceCommand, which the fixture needs for itself. Everything
	// from a Match line on goes to the end of the file.
	Extra []string
	// MaxStartups is sshd_config's: START:RATE:FULL connections that have not
	// logged in.
	MaxStartups string
	// StartDelay is how long a session waits before its login shell starts.
	// HoldSessions is for those who must do something meanwhile.
	StartDelay time.Duration
	// Programs, when set, are all that sessions have on PATH, such as
	// POSIXPrograms and BusyboxPrograms; the login shell must then be one of
	// POSIX. Absolute paths such as /bin/sh are not changed by it.
	Programs []string
	// Sh, when set, is a program of a shell that stands in the place of /bin/sh
	// on the host. Only root can have that; the test is skipped where not.
	Sh string
	// SSHD is the path of another sshd than that of the system.
	SSHD string
	// Home is the HOME of sessions, where they also start. Empty means a
	// fresh directory.
	Home string
}

// Server is one running sshd.
type Server struct {
	// Addr is 127.0.0.1:PORT.
	Addr string
	Port int
	// Dir holds everything of this server. It is short, below 60 bytes
	// wherever TMPDIR is, so sockets fit into it.
	Dir string
	// Home is what sessions have as HOME and working directory.
	Home string
	// ConfigFile is a configuration of the ssh client (-F) that knows this
	// server as gpu1.
	ConfigFile string
	// KeyFile is the private key that the server accepts.
	KeyFile string
	// LogFile is sshd's log, at level VERBOSE.
	LogFile string

	sshd       string
	daemon     daemon
	shell      string // what stands in the place of /bin/sh
	wrapper    string
	serverConf string
	account    string

	mu       sync.Mutex
	listener *listener
	// roots are processes below a listener or connection that is gone.
	roots []identity
}

// Start starts a server, and ends it with everything that it started when the
// test is over. Where sshd is missing it skips the test, or fails it when
// BIVY_REQUIRE_SSHD is 1. The log of a failed test is in its output.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	name := "sshd"
	if o.SSHD != "" {
		name = o.SSHD
	}
	sshd, err := lookPath(name)
	if err != nil {
		if os.Getenv("BIVY_REQUIRE_SSHD") == "1" {
			t.Fatalf("BIVY_REQUIRE_SSHD=1, but there is no sshd: %v; install openssh-server", err)
		}
		// A laptop without openssh-server still runs all other tests.
		t.Skip("sshd is not installed; BIVY_REQUIRE_SSHD=1 makes this a failure")
	}
	shell := requireMount(t, o.Sh)
	return start(t, o, func(s *Server, port int) error {
		s.sshd, s.shell = sshd, shell
		return s.writeServerConfig(port, o)
	})
}

// start makes a server of any kind; configure writes what it needs to listen
// on a port.
func start(t testing.TB, o Options, configure func(*Server, int) error) *Server {
	t.Helper()
	// t.TempDir has the test's name in its path, which leaves no room for the
	// path of a socket.
	dir, err := os.MkdirTemp("", "sshd") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Dir: dir, LogFile: filepath.Join(dir, "sshd.log")}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("sshd's log:\n%s", s.readLog())
		}
		_ = os.RemoveAll(dir)
	})
	if err := s.prepare(t.Context(), o); err != nil {
		t.Fatalf("prepare sshd: %v", err)
	}
	if err := s.startAnywhere(t.Context(), configure); err != nil {
		t.Fatalf("start sshd: %v", err)
	}
	if err := s.writeClientConfig(); err != nil {
		t.Fatalf("write the client's configuration: %v", err)
	}
	return s
}

// Log returns sshd's log so far.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(s.LogFile)
	if err != nil {
		t.Fatalf("read sshd's log: %v", err)
	}
	return string(b)
}

// Logins counts the logins that sshd has accepted so far. sshd writes that
// line before it opens the first session, so a client that has run a command
// is counted.
func (s *Server) Logins(t testing.TB) int {
	t.Helper()
	return len(s.daemon.accepted.FindAllString(s.Log(t), -1))
}

// NewKey makes a private key that the server does not accept, and returns its
// path.
func (s *Server) NewKey(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := makeKey(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// readLog returns the log, which is empty before sshd's first start.
func (s *Server) readLog() string {
	b, err := os.ReadFile(s.LogFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return string(b)
}
