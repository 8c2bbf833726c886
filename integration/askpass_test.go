package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// askpassWorld is a host whose key has a passphrase, and a program that knows
// it and notes that it was asked.
func askpassWorld(w *world) {
	w.tb.Helper()
	w.encryptedKey(w.root+"/locked", "open sesame")
	w.hostBlock("locked", "IdentityFile "+w.root+"/locked")
	w.script(w.root+"/askpass", "echo \"$1\" >>"+w.root+"/asked\nsleep ${SLOW:-0}\necho open sesame")
}

// TestAskpass: without a terminal ssh asks by SSH_ASKPASS where its own rules
// say so, and nobody with --batch.
func TestAskpass(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		askpassWorld(w)
		program := "SSH_ASKPASS=" + w.root + "/askpass"
		for _, c := range []struct {
			name  string
			env   []string
			flags []string
			asks  bool
		}{
			{"nothing set", nil, nil, false},
			{"no display", []string{program}, nil, false},
			{"display", []string{program, "DISPLAY=:77"}, nil, true},
			{"force", []string{program, "SSH_ASKPASS_REQUIRE=force"}, nil, true},
			{"prefer alone", []string{program, "SSH_ASKPASS_REQUIRE=prefer"}, nil, false},
			{"prefer", []string{program, "SSH_ASKPASS_REQUIRE=prefer", "DISPLAY=:77"}, nil, true},
			{"never", []string{program, "SSH_ASKPASS_REQUIRE=never", "DISPLAY=:77"}, nil, false},
			{"--batch", []string{program, "SSH_ASKPASS_REQUIRE=force"}, []string{"--batch"}, false},
			{"BIVY_BATCH", []string{program, "SSH_ASKPASS_REQUIRE=force", "BIVY_BATCH=1"}, nil, false},
		} {
			_ = os.Remove(w.root + "/asked")
			s := w.spec(append([]string{"exec", "--host", "locked", "-c", "echo in"}, c.flags...)...)
			s.Env = append(s.Env, c.env...)
			got := w.run(s)
			switch {
			case exists(w.root+"/asked") != c.asks:
				t.Errorf("%s: asked is %v, want %v; %v", c.name, !c.asks, c.asks, got)
			case c.asks && (got.code != 0 || got.stdout != "in\n" || !strings.Contains(w.read(w.root+"/asked"), "passphrase for key")):
				t.Errorf("%s: %v, asked %q", c.name, got, w.read(w.root+"/asked"))
			case !c.asks && got.code != 91:
				t.Errorf("%s: %v, want code 91", c.name, got)
			}
			if list := w.masters(); c.asks && (len(list) != 1 || !list[0].Human) {
				t.Errorf("%s: the login is not on record as a human's: %v", c.name, list)
			}
			if c.asks {
				w.wants(0, "host", "close", "locked")
			}
		}
	})
}

// TestAskpassTakesItsTime: no deadline runs out while somebody may be asked,
// with a terminal or without.
func TestAskpassTakesItsTime(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		askpassWorld(w)
		s := w.spec("exec", "--host", "locked", "--wait-host", "3s", "-c", "echo in")
		s.Env = append(s.Env, "SSH_ASKPASS="+w.root+"/askpass", "SSH_ASKPASS_REQUIRE=force", "SLOW=7")
		if got := w.run(s); got.code != 0 || got.stdout != "in\n" {
			t.Errorf("without a terminal: %v", got)
		}
		w.wants(0, "host", "close", "locked")
		sc := w.onTerminal(s)
		if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "in\r\n") {
			t.Errorf("with a terminal: code %d, it shows %q", code, sc.text())
		}
	})
}

// TestAskpassInterrupted: ^C while the program asks ends bivy and the program.
func TestAskpassInterrupted(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		askpassWorld(w)
		s := w.spec("exec", "--host", "locked", "-c", "echo in")
		s.Env = append(s.Env, "SSH_ASKPASS="+w.root+"/askpass", "SSH_ASKPASS_REQUIRE=force", "SLOW=1000")
		b := w.start(s)
		w.eventually("the program asks", func() bool { return exists(w.root + "/asked") })
		w.must(b.process.Signal(syscall.SIGINT))
		if got := b.wait(); got.code != 96 {
			t.Errorf("after ^C: %v", got)
		}
	})
}
