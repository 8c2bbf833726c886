package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	aesCipher   = "aes128-gcm@openssh.com"
	chachaFirst = "chacha20-poly1305@openssh.com"
)

var agreedCipher = regexp.MustCompile(`kex: server->client cipher: (\S+)`)

// hasAES reports what bivy knows of the host's processor, which is this
// machine's; it learns that while the first command runs, or soon after.
func (w *world) hasAES() bool {
	w.tb.Helper()
	var said []byte
	w.eventually("the host's processor is known", func() bool {
		files, _ := filepath.Glob(w.root + "/s/cache/cpu/*")
		if len(files) == 0 {
			return false
		}
		var err error
		said, err = os.ReadFile(files[0])
		return err == nil
	})
	return string(said) == "aes yes\n"
}

// cipherOfNext logs in anew and checks the cipher: the one that is wanted, or
// if that is empty, what both processors are best at.
func (w *world) cipherOfNext(want string, flags ...string) {
	w.tb.Helper()
	if has := w.hasAES(); want == "" && has {
		want = aesCipher
	} else if want == "" {
		want = chachaFirst
	}
	if len(w.masters()) > 0 {
		w.wants(0, "host", "close", "gpu1")
	}
	before := len(w.server.Log(w.tb))
	w.wants(0, append(flags, "exec", "--host", "gpu1", "--", "true")...)
	found := agreedCipher.FindStringSubmatch(w.server.Log(w.tb)[before:])
	if found == nil || found[1] != want {
		w.tb.Errorf("with %q the cipher is %q, want %s", flags, found, want)
	}
	if n := len(w.masters()); n != 1 {
		w.tb.Errorf("with %q there are %d masters, want 1", flags, n)
	}
}

// TestCipher: the second login prefers what both processors are best at,
// unless a flag, the environment, the configuration or ssh's own says
// otherwise.
func TestCipher(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSSHD, hostOptions{Extra: []string{"LogLevel DEBUG1"}})
	t.Cleanup(w.end)
	w.wants(0, "exec", "--host", "gpu1", "--", "true")
	if log := w.server.Log(t); !strings.Contains(log, "kex: server->client cipher: "+chachaFirst) {
		t.Error("the first login does not use ssh's own first cipher")
	}
	if !w.hasAES() {
		// Then there is nothing to prefer.
		t.Skip("this processor has no instructions for AES")
	}
	w.cipherOfNext(aesCipher)
	w.cipherOfNext(chachaFirst, "--no-prefer-aes")
	w.cipherOfNext(aesCipher, "--prefer-aes")
	w.cipherOfNext("aes256-ctr", "-o", "Ciphers=aes256-ctr,"+aesCipher)
	w.wants(0, "host", "close", "gpu1", "-o", "Ciphers=aes256-ctr,"+aesCipher)
	env := w.env
	w.env = append(slices.Clip(env), "BIVY_PREFER_AES=no")
	w.cipherOfNext(chachaFirst)
	w.env = env
	w.write(w.root+"/home/.config/bivy/config.toml", "prefer-aes = false\n")
	w.cipherOfNext(chachaFirst)
	w.cipherOfNext(aesCipher, "--prefer-aes")
}
