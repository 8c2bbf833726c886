package integration

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	password = "correct horse"
	// passwordHash is crypt(3)'s SHA-512 of it.
	passwordHash = "$6$bivytest$wdX8B0sTtzHB5JZ8z693xBFY3UACOJE51YIK8iEtvgCt/j5CRIu/HmUMdaT4pODqF0ylCFMLZEhxZCKz3VmJ5." //nolint:gosec // a test's own
	// pamService asks for the password of /etc/shadow and nothing else.
	pamService = "auth required pam_unix.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n"
)

// withPassword gives the machine an account "ann" with a password, another
// name of root, for this test alone: its thread and what that starts see their
// own /etc. The test must not start subtests.
func withPassword(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		// Only root's sshd reads passwords, and only root may mount.
		t.Skip("an sshd that takes passwords needs root")
	}
	// Never unlocked: the thread ends with the test.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		// As in a container without CAP_SYS_ADMIN.
		t.Skipf("there is no mount namespace to be had: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("keep the mounts to ourselves: %v", err)
	}
	dir := t.TempDir()
	for file, line := range map[string]string{ //nolint:gosec // see above
		"/etc/passwd":     "ann:x:0:0::/root:/bin/sh\n",
		"/etc/shadow":     "ann:" + passwordHash + ":20000:0:99999:7:::\n",
		"/etc/pam.d/sshd": "",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		own := dir + "/" + strings.ReplaceAll(file, "/", "-")
		if err := os.WriteFile(own, append(text, line...), 0o600); err != nil {
			t.Fatal(err)
		}
		if line == "" {
			err = os.WriteFile(own, []byte(pamService), 0o600)
		}
		if err == nil {
			err = unix.Mount(own, file, "", unix.MS_BIND, "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// passwordWorld is a host that takes the password by that method.
func passwordWorld(t *testing.T, method string, lines ...string) *world {
	t.Helper()
	withPassword(t)
	w := newWorld(t, kindSSHD, hostOptions{Extra: append(lines, "AuthenticationMethods "+method, "PermitRootLogin yes")})
	t.Cleanup(w.end)
	w.hostBlock("secret", "User ann", "PubkeyAuthentication no", "IdentityFile none")
	return w
}

// TestPasswordAsked: a wrong password, then the right one, neither shown.
func TestPasswordAsked(t *testing.T) {
	t.Parallel()
	w := passwordWorld(t, "password", "PasswordAuthentication yes")
	passwordAsked(t, w, "ann@127.0.0.1's password: ")
}

// TestKeyboardInteractiveAsked: the same where PAM asks.
func TestKeyboardInteractiveAsked(t *testing.T) {
	t.Parallel()
	w := passwordWorld(t, "keyboard-interactive", "KbdInteractiveAuthentication yes", "UsePAM yes")
	passwordAsked(t, w, "(ann@127.0.0.1) Password: ")
}

func passwordAsked(t *testing.T, w *world, question string) {
	t.Helper()
	if got := w.bivy("exec", "--host", "secret", "--", "true"); got.code != 91 || !strings.Contains(got.stderr, "bivy host connect secret") {
		t.Errorf("without a terminal: %v", got)
	}
	batch := w.onTerminal(w.spec("exec", "--host", "secret", "--batch", "--", "true"))
	if code := batch.wait(); code != 91 || strings.Contains(batch.text(), question) {
		t.Errorf("with --batch: code %d, the terminal shows %q", code, batch.text())
	}
	interrupted := w.onTerminal(w.spec("exec", "--host", "secret", "--", "true"))
	interrupted.asked(question, 1)
	interrupted.answer("", "corr\x03")
	if code := interrupted.wait(); code != 96 {
		t.Errorf("after ^C: code %d, the terminal shows %q", code, interrupted.text())
	}
	sc := w.onTerminal(w.spec("exec", "-it", "--host", "secret", "-c", "echo got-$((6*7)); read line; echo $line; exit 3"))
	sc.asked(question, 1)
	sc.answer("", "wrong horse\r")
	sc.askedAgain(question, 2)
	sc.answer("", password+"\r")
	sc.answer("got-42\r\n", "word\r")
	if code := sc.wait(); code != 3 || !strings.HasSuffix(sc.text(), "word\r\nword\r\n") {
		t.Errorf("code %d, the terminal shows %q", code, sc.text())
	}
	sc.unsaid("wrong horse", password)
	w.wants(0, "host", "close", "secret")
	refused := w.onTerminal(w.spec("exec", "--host", "secret", "--", "true"))
	for n := range 3 {
		refused.askedAgain(question, n+1)
		refused.answer("", "wrong horse\r")
	}
	if code := refused.wait(); code != 91 {
		t.Errorf("after three wrong answers: code %d, the terminal shows %q", code, refused.text())
	}
	refused.unsaid("wrong horse")
}
