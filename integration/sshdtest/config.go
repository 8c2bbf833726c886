package sshdtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bivy/exec/proc"
	"bivy/internal/leak"
)

// marker is a variable in the environment of every session, and so of all that
// a session leaves behind; its value is Server.Dir.
const marker = "BIVY_SSHDTEST"

// plainPath is what sshd_config and ssh_config take without quotes and without
// expansion.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._+-]+$`)

// prepare makes the keys and directories, and finds out who we are.
func (s *Server) prepare(ctx context.Context, o Options) error {
	if !plainPath.MatchString(s.Dir) {
		return fmt.Errorf("the temporary directory %q has characters that sshd's configuration cannot hold; set TMPDIR", s.Dir)
	}
	who, err := user.Current()
	if err != nil {
		return fmt.Errorf("find our own user name: %w", err)
	}
	s.account = who.Username
	s.Home = o.Home
	if s.Home == "" {
		s.Home = filepath.Join(s.Dir, "home")
	}
	for _, dir := range []string{s.Home, filepath.Join(s.Dir, "empty")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	s.KeyFile = filepath.Join(s.Dir, "client_key")
	for _, path := range []string{s.KeyFile, filepath.Join(s.Dir, "host_key")} {
		if err := makeKey(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func makeKey(ctx context.Context, path string) error {
	var out bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args:   []string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bivy-test", "-f", path},
		Stdout: &out, Stderr: &out,
	})
	if err == nil && !exit.OK() {
		err = fmt.Errorf("%s: %s", exit, out.String())
	}
	if err != nil {
		return fmt.Errorf("make the key %s: %w", path, err)
	}
	return nil
}

// writeServerConfig writes sshd_config for one port. In that file the first
// value of a keyword wins.
func (s *Server) writeServerConfig(port int, o Options) error {
	wrapper, err := s.writeWrapper(o)
	if err != nil {
		return err
	}
	extra, matches := o.Extra, []string(nil)
	if i := slices.IndexFunc(extra, func(l string) bool { return keyword(l) == "match" }); i >= 0 {
		extra, matches = extra[:i], extra[i:]
	}
	lines := []string{
		"SetEnv HOME=" + s.path("empty") + " " + marker + "=" + s.Dir + " " + leak.Mark(),
		"ForceCommand exec " + wrapper,
		"Port " + strconv.Itoa(port),
		"ListenAddress 127.0.0.1",
		"HostKey " + s.path("host_key"),
		"PidFile " + s.path("sshd.pid"),
	}
	if o.MaxSessions > 0 {
		lines = append(lines, "MaxSessions "+strconv.Itoa(o.MaxSessions))
	}
	if o.MaxStartups != "" {
		lines = append(lines, "MaxStartups "+o.MaxStartups)
	}
	lines = append(lines, extra...)
	lines = append(lines,
		"AuthorizedKeysFile "+s.path("client_key.pub"),
		"AuthenticationMethods publickey",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin prohibit-password",
		// The files lie under /tmp, whose mode StrictModes would refuse.
		"StrictModes no",
		// PAM is of use only to a server with privileges, prints a motd, and
		// looks into the account's real home.
		"UsePAM no",
		"PrintMotd no",
		"UseDNS no",
		"LogLevel VERBOSE",
	)
	if sftp := findSFTP(); sftp != "" {
		lines = append(lines, "Subsystem sftp "+sftp)
	}
	lines = append(lines, matches...)
	s.serverConf = s.path("sshd_config")
	s.daemon = s.openSSH()
	return os.WriteFile(s.serverConf, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// findSFTP returns sftp-server's path, or nothing. sshd's internal-sftp does
// not pass through a forced command, so it would not see the test's HOME.
func findSFTP() string {
	for _, dir := range []string{"/usr/lib/openssh", "/usr/libexec/openssh", "/usr/libexec", "/usr/lib/ssh"} {
		if path, err := lookPath(filepath.Join(dir, "sftp-server")); err == nil {
			return path
		}
	}
	return ""
}

// writeClientConfig writes known_hosts and the client's configuration with its
// first host, gpu1.
func (s *Server) writeClientConfig() error {
	pub, err := os.ReadFile(s.path("host_key.pub"))
	if err != nil {
		return err
	}
	known := fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, pub)
	if err := os.WriteFile(s.path("known_hosts"), []byte(known), 0o600); err != nil {
		return err
	}
	s.ConfigFile = s.path("ssh_config")
	return appendFile(s.ConfigFile, s.hostBlock("gpu1"))
}

// HostBlock appends a further name of this server to ConfigFile. The lines are
// those of a Host block of ssh_config(5); they replace what gpu1 has for the
// same keyword, so `IdentityFile /other/key` is then the only key.
func (s *Server) HostBlock(t testing.TB, name string, lines ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := appendFile(s.ConfigFile, s.hostBlock(name, lines...)); err != nil {
		t.Fatalf("add the host %s: %v", name, err)
	}
}

// HostAt is HostBlock for a way to this server that leads through addr,
// HOST:PORT, such as a link of integration/link.
func (s *Server) HostAt(t testing.TB, name, addr string, lines ...string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("add the host %s: %v", name, err)
	}
	// The server's key is known by the server's own address.
	alias := fmt.Sprintf("HostKeyAlias [127.0.0.1]:%d", s.Port)
	s.HostBlock(t, name, append([]string{"HostName " + host, "Port " + port, alias}, lines...)...)
}

func (s *Server) hostBlock(name string, lines ...string) string {
	text := "Host " + name + "\n"
	given := map[string]bool{}
	for _, line := range lines {
		given[keyword(line)] = true
		text += "\t" + line + "\n"
	}
	for _, line := range []string{
		"HostName 127.0.0.1",
		"Port " + strconv.Itoa(s.Port),
		"User " + s.account,
		"IdentityFile " + s.KeyFile,
		"IdentitiesOnly yes",
		"UserKnownHostsFile " + s.path("known_hosts"),
		"GlobalKnownHostsFile none",
		"StrictHostKeyChecking yes",
	} {
		if !given[keyword(line)] {
			text += "\t" + line + "\n"
		}
	}
	return text + "\n"
}

// keyword is the lower-case first word of a configuration line.
func keyword(line string) string {
	line = strings.TrimSpace(line)
	if i := strings.IndexAny(line, " \t="); i >= 0 {
		line = line[:i]
	}
	return strings.ToLower(line)
}

func (s *Server) path(name string) string { return filepath.Join(s.Dir, name) }
