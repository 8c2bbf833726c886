package sshdtest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"bivy/exec/proc"
)

// daemon is a kind of server: what to start, and what its log says.
type daemon struct {
	// program is the name in the table of processes, or its beginning.
	program string
	args    []string
	env     []string
	// ready stands in the log when the server listens.
	ready string
	// accepted matches one line for each login.
	accepted *regexp.Regexp
	// logged says that the log is what the server writes to stderr.
	logged bool
}

// openSSH is sshd. "Accepted key …" in its log is not a login but a key that
// would do, before the client has proved to have it.
func (s *Server) openSSH() daemon {
	return daemon{
		program: "sshd", args: []string{s.sshd, "-D", "-f", s.serverConf, "-E", s.LogFile},
		ready: "Server listening on 127.0.0.1 port", accepted: regexp.MustCompile(`(?m)^Accepted \S+ for `),
	}
}

// spec is the process of the listener, and log what must be closed after its
// start; nil where there is nothing.
func (d daemon) spec(s *Server) (spec proc.Spec, log *os.File, err error) {
	spec = proc.Spec{Args: d.args, Isolation: proc.Session}
	if d.env != nil {
		spec.Env = append(os.Environ(), d.env...)
	}
	if s.shell != "" {
		// A mount of its own puts the other shell in the place of /bin/sh, for
		// sshd and all below it; it ends with them.
		spec.Args = append([]string{
			"unshare", "-m", "/bin/sh", "-c", `mount --bind "$0" /bin/sh && exec "$@"`, s.shell,
		}, spec.Args...)
	}
	if d.logged {
		log, err = os.OpenFile(s.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		spec.Stderr = log
	}
	return spec, log, err
}

// requireMount returns the path of a program that shall be /bin/sh on the
// host. It skips the test where that cannot be.
func requireMount(t testing.TB, name string) string {
	t.Helper()
	if name == "" {
		return ""
	}
	path, err := lookPath(name)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		// Without it there is nothing to put in the place of /bin/sh.
		t.Skipf("%s is not installed", name)
	}
	exit, err := proc.Run(t.Context(), proc.Spec{Args: []string{"unshare", "-m", "/bin/sh", "-c", `mount --bind "$0" /bin/sh`, path}})
	if err != nil || !exit.OK() {
		// Only root may mount, and in some containers not even root; macOS has
		// no namespaces.
		t.Skipf("cannot put %s in the place of /bin/sh in a mount namespace: %v, %v", name, exit, err)
	}
	return path
}
