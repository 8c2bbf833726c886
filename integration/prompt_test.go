package integration

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
)

// unhurried is longer than the least time that a login gets (5 s).
const unhurried = 7 * time.Second

// encryptedKey writes the account's key to the path, with a passphrase.
func (w *world) encryptedKey(path, passphrase string) {
	w.tb.Helper()
	w.write(path, w.read(w.server.KeyFile))
	var out bytes.Buffer
	exit, err := proc.Run(context.Background(), proc.Spec{
		Args: []string{"ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", path}, Stdout: &out, Stderr: &out,
	})
	w.must(err)
	if !exit.OK() {
		w.tb.Fatalf("ssh-keygen: %v: %s", exit, &out)
	}
}

// asked waits until the terminal shows a question, for the n-th time and with
// nothing behind it.
func (s *screen) asked(question string, n int) {
	s.w.tb.Helper()
	s.w.eventually("the terminal asks "+question, func() bool {
		return strings.Count(s.text(), question) == n && strings.HasSuffix(s.text(), question)
	})
}

// askedAgain waits for the n-th time of a question. What ssh says of the last
// answer comes on another way, before the question or just behind it.
func (s *screen) askedAgain(question string, n int) {
	s.w.tb.Helper()
	s.w.eventually("the terminal asks again "+question, func() bool { return strings.Count(s.text(), question) == n })
}

// unsaid checks that a secret was never shown.
func (s *screen) unsaid(secrets ...string) {
	s.w.tb.Helper()
	for _, secret := range secrets {
		if strings.Contains(s.text(), secret) {
			s.w.tb.Errorf("the terminal shows %q: %q", secret, s.text())
		}
	}
}

// TestPassphraseAsked: any first command at a terminal asks for a key's
// passphrase, takes no deadline meanwhile, and shows only ssh's question.
func TestPassphraseAsked(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.encryptedKey(w.root+"/locked", "open sesame")
		w.hostBlock("locked", "IdentityFile "+w.root+"/locked", "UserKnownHostsFile "+w.root+"/new_known_hosts", "StrictHostKeyChecking ask")
		question := "Enter passphrase for key '" + w.root + "/locked': "
		sc := w.onTerminal(w.spec("exec", "--host", "locked", "--wait-host", "3s", "-c", "echo got-$((6*7))"))
		sc.answer("(yes/no/[fingerprint])? ", "what\r")
		sc.answer("Please type 'yes', 'no' or the fingerprint: ", "yes\r")
		sc.asked(question, 1)
		if sc.asBefore() {
			t.Error("the terminal is not ssh's while it asks")
		}
		// A person thinks for a while. Nothing of ours comes in between.
		<-time.After(unhurried)
		sc.asked(question, 1)
		sc.answer("", "wrong words\r")
		sc.asked(question, 2)
		sc.answer("", "open sesame\r")
		if code := sc.wait(); code != 0 || !strings.HasSuffix(sc.text(), "got-42\r\n") {
			t.Errorf("code %d, the terminal shows %q", code, sc.text())
		}
		sc.unsaid("wrong words", "open sesame")
		// What follows rides on the login.
		w.wants(0, "exec", "--host", "locked", "--batch", "--", "true")
	})
}

// TestProgressIsSilentWhileAsked: the making of a workspace shows its progress
// before and after a question, not in it.
func TestProgressIsSilentWhileAsked(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.encryptedKey(w.root+"/locked", "open sesame")
		w.hostBlock("locked", "IdentityFile "+w.root+"/locked")
		question := "Enter passphrase for key '" + w.root + "/locked': "
		sc := w.onTerminal(w.spec("new", "ws", "--host", "locked"))
		sc.asked(question, 1)
		before := sc.text()
		<-time.After(time.Second)
		if sc.text() != before || before != "\r"+question { // ssh's own CR
			t.Errorf("the question is garbled: first %q, then %q", before, sc.text())
		}
		sc.answer("", "open sesame\r")
		if code := sc.wait(); code != 0 {
			t.Errorf("code %d, the terminal shows %q", code, sc.text())
		}
		// What is drawn afterwards begins on a line of its own.
		if _, after, _ := strings.Cut(sc.text(), question); !strings.HasPrefix(after, "\r\n") {
			t.Errorf("after the answer comes %q", after)
		}
	})
}

// TestPassphraseInterrupted: every way out at a question gives the terminal
// back, with its echo, and leaves nothing.
func TestPassphraseInterrupted(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.encryptedKey(w.root+"/locked", "open sesame")
		w.hostBlock("locked", "IdentityFile "+w.root+"/locked")
		for name, act := range map[string]func(*screen){
			"^C":   func(sc *screen) { sc.answer("", "\x03") },
			"INT":  func(sc *screen) { w.must(sc.process.Signal(syscall.SIGINT)) },
			"half": func(sc *screen) { sc.answer("", "open se\x03") },
		} {
			sc := w.onTerminal(w.spec("exec", "--host", "locked", "--", "true"))
			sc.asked("Enter passphrase for key '"+w.root+"/locked': ", 1)
			act(sc)
			if code := sc.wait(); code != 96 {
				t.Errorf("%s: code %d, the terminal shows %q", name, code, sc.text())
			}
			sc.unsaid("open se")
		}
		if list := w.masters(); len(list) != 0 {
			t.Errorf("masters: %v", list)
		}
	})
}

// TestOneIsAsked: others wait for the one that asks, and ride on its login.
func TestOneIsAsked(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.encryptedKey(w.root+"/locked", "open sesame")
		w.hostBlock("locked", "IdentityFile "+w.root+"/locked")
		question := "Enter passphrase for key '" + w.root + "/locked': "
		first := w.onTerminal(w.spec("exec", "--host", "locked", "--", "true"))
		first.asked(question, 1)
		second := w.onTerminal(w.spec("exec", "--host", "locked", "--", "true"))
		batch := w.start(w.spec("exec", "--host", "locked", "--", "true"))
		first.asked(question, 1)
		first.answer("", "open sesame\r")
		if code := first.wait(); code != 0 {
			t.Errorf("code %d, the terminal shows %q", code, first.text())
		}
		if code := second.wait(); code != 0 || second.text() != "" {
			t.Errorf("the second: code %d, the terminal shows %q", code, second.text())
		}
		if got := batch.wait(); got.code != 0 {
			t.Errorf("without a terminal: %v", got)
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}
