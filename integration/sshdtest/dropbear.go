package sshdtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bivy/exec/proc"
	"bivy/internal/leak"
)

// StartDropbear is Start with dropbear in the place of sshd. It looks for the
// authorized keys in the account's home, which is not ours to write to, and no
// option changes that: nss_wrapper tells it of another home, without any
// privilege. Debian has them as dropbear-bin and libnss-wrapper; a test is
// skipped where one is missing. Of the Options dropbear knows LoginShell, RC,
// Home, ForceCommand, Programs and StartDelay.
func StartDropbear(t testing.TB, o Options) *Server {
	t.Helper()
	if o.MaxSessions != 0 || o.MaxStartups != "" || o.Extra != nil || o.Sh != "" {
		t.Fatalf("dropbear has nothing for these options: %+v", o)
	}
	program, err := lookPath("dropbear")
	if err != nil {
		// A second kind of server, which few have; dropbear-bin in Debian.
		t.Skip("dropbear is not installed")
	}
	library := nssWrapper()
	if library == "" {
		// Without it dropbear reads the keys of the real account.
		t.Skip("libnss_wrapper.so is not installed")
	}
	return start(t, o, func(s *Server, port int) error { return s.prepareDropbear(t.Context(), program, library, port, o) })
}

func nssWrapper() string {
	for _, pattern := range []string{"/usr/lib/*/libnss_wrapper.so", "/usr/lib64/libnss_wrapper.so", "/usr/lib/libnss_wrapper.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// prepareDropbear makes the account's files, as dropbear shall see them, and a
// key in dropbear's own format.
func (s *Server) prepareDropbear(ctx context.Context, program, library string, port int, o Options) error {
	wrapper, err := s.writeWrapper(o)
	if err != nil {
		return err
	}
	who, err := user.Current()
	if err != nil {
		return fmt.Errorf("find our own user name: %w", err)
	}
	account := s.path("account")
	key, err := os.ReadFile(s.KeyFile + ".pub")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(account, ".ssh"), 0o700); err != nil {
		return err
	}
	for path, text := range map[string]string{
		filepath.Join(account, ".ssh", "authorized_keys"): string(key),
		s.path("passwd"): fmt.Sprintf("%s:x:%s:%s::%s:/bin/sh\n", s.account, who.Uid, who.Gid, account),
		s.path("group"):  fmt.Sprintf("%s:x:%s:\n", s.account, who.Gid),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	hostKey := s.path("dropbear_key")
	if err := makeDropbearKey(ctx, hostKey, s.path("host_key.pub")); err != nil {
		return err
	}
	s.daemon = daemon{
		program: "dropbear", logged: true, ready: "Not backgrounding",
		// -s and -m: no passwords, no message of the day.
		args: []string{
			program, "-F", "-E", "-s", "-m", "-r", hostKey, "-p", fmt.Sprintf("127.0.0.1:%d", port), "-P", s.path("dropbear.pid"),
			"-c", fmt.Sprintf("exec env %s=%s %s %s", marker, s.Dir, leak.Mark(), wrapper),
		},
		env:      []string{"LD_PRELOAD=" + library, "NSS_WRAPPER_PASSWD=" + s.path("passwd"), "NSS_WRAPPER_GROUP=" + s.path("group")},
		accepted: regexp.MustCompile(`(?m) Pubkey auth succeeded for `),
	}
	return nil
}

// makeDropbearKey makes a host key, unless it is there, and writes its public
// half as OpenSSH has it.
func makeDropbearKey(ctx context.Context, path, public string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	var out, words bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{Args: []string{"dropbearkey", "-t", "ed25519", "-f", path}, Stdout: &out, Stderr: &words})
	if err != nil || !exit.OK() {
		return fmt.Errorf("make a host key for dropbear: %v, %w: %s", exit, err, words.String())
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "ssh-ed25519 ") {
			return os.WriteFile(public, []byte(line), 0o600)
		}
	}
	return fmt.Errorf("dropbearkey prints no public key: %s", out.String())
}
