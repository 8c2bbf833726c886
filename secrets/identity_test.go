package secrets

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"bivy/exec/proc"
)

// run runs a program that a test needs.
func run(t *testing.T, args ...string) {
	t.Helper()
	var words bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{Args: args, Stdout: &words, Stderr: &words})
	if err != nil || !exit.OK() {
		t.Fatalf("%q: %v, %v, %s", args, exit, err, &words)
	}
}

func file(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// answers is a user who always says the same.
func answers(answer string) func(string, bool) (string, error) {
	return func(string, bool) (string, error) { return answer, nil }
}

// reads wants that a store for that identity gives back what it was given.
func reads(t *testing.T, c Config) {
	t.Helper()
	c.Dir = secretsDir(t)
	if err := put(t.Context(), Open(c), "api", "A", "value"); err != nil {
		t.Fatal(err)
	}
	holds(t, Open(c), "api", map[string]string{"A": "value"})
	if _, err := os.Lstat(filepath.Join(c.Dir, "identity")); err == nil {
		t.Error("an identity was made although the user has one")
	}
}

func TestAgeIdentities(t *testing.T) {
	t.Parallel()
	plain, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	reads(t, Config{Identity: file(t, "# made by age-keygen\r\n\n"+plain.String()+"\r\n", 0o600)})
	reads(t, Config{Identity: file(t, hybrid.String(), 0o400)})
}

func TestSSHIdentities(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"ed25519": {"-t", "ed25519", "-N", ""}, "rsa": {"-t", "rsa", "-b", "2048", "-N", ""},
	} {
		key := filepath.Join(dir, name)
		run(t, append([]string{"ssh-keygen", "-q", "-f", key}, args...)...)
		reads(t, Config{Identity: key})
	}
	for name, args := range map[string][]string{
		"locked": {"-t", "ed25519", "-N", "open sesame"}, "pem": {"-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame"},
	} {
		key := filepath.Join(dir, name)
		run(t, append([]string{"ssh-keygen", "-q", "-f", key}, args...)...)
		c := Config{Identity: key, Dir: secretsDir(t), Ask: answers("open sesame")}
		if err := put(t.Context(), Open(c), "api", "A", "value"); err != nil {
			t.Fatal(name, err)
		}
		holds(t, Open(c), "api", map[string]string{"A": "value"})
		c.Ask = func(string, bool) (string, error) { t.Error("somebody was asked"); return "", errNobody }
		if v := Open(c).Peek("api"); v != nil {
			t.Errorf("unasked it holds %+v", v)
		}
		c.Ask = answers("wrong")
		wantsIdentityError(t, c, "decrypt")
		c.Ask = nil
		wantsIdentityError(t, c, "nobody is there")
	}
	key := filepath.Join(dir, "ecdsa")
	run(t, "ssh-keygen", "-q", "-f", key, "-t", "ecdsa", "-N", "")
	wantsIdentityError(t, Config{Identity: key, Dir: secretsDir(t)}, "RSA and Ed25519")
}

// wantsIdentityError wants that neither reading nor writing is possible.
func wantsIdentityError(t *testing.T, c Config, why string) {
	t.Helper()
	var bad *IdentityError
	err := put(t.Context(), Open(c), "api", "B", "other")
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), c.Identity) {
		t.Errorf("writing gives %v, want %q", err, why)
	}
	if _, err := os.Lstat(filepath.Join(c.Dir, "api.age")); err != nil {
		return
	}
	if _, err := Open(c).Read("api"); !errors.As(err, &bad) || !strings.Contains(err.Error(), why) {
		t.Errorf("reading gives %v, want %q", err, why)
	}
}

func TestBadIdentities(t *testing.T) {
	t.Parallel()
	good, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{
		file(t, good.String(), 0o640):                         "0640",
		file(t, good.String(), 0o604):                         "0604",
		file(t, "", 0o600):                                    "no identity",
		file(t, "# nothing\n", 0o600):                         "no identity",
		file(t, good.String()[:40], 0o600):                    "neither",
		file(t, good.String()+"\n"+good.String()[:30], 0o600): "neither",
		t.TempDir():                        "no ordinary file",
		filepath.Join(t.TempDir(), "none"): "no such file",
	} {
		_, err := Open(Config{Dir: secretsDir(t), Identity: path}).identity(true)
		var bad *IdentityError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), good.String()[:20]) {
			t.Errorf("%s gives %v, want %q", path, err, why)
		}
	}
	// The one that is made here, too.
	dir := secretsDir(t)
	if err := put(t.Context(), Open(Config{Dir: dir}), "api", "A", "value"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "identity"), 0o644); err != nil {
		t.Fatal(err)
	}
	var bad *IdentityError
	if _, err := Open(Config{Dir: dir}).Read("api"); !errors.As(err, &bad) {
		t.Errorf("an identity that others can read gives %v", err)
	}
}

// Not parallel: plugins are looked up on PATH.
func TestPluginIdentities(t *testing.T) {
	dir := t.TempDir()
	run(t, "go", "build", "-o", filepath.Join(dir, "age-plugin-bivytest"), "./testdata/plugin")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	reads(t, Config{Identity: file(t, plugin.EncodeIdentity("bivytest", []byte("key")), 0o600)})

	c := Config{Identity: file(t, plugin.EncodeIdentity("bivytest", []byte("?key")), 0o600), Dir: secretsDir(t), Ask: answers("1234")}
	if err := put(t.Context(), Open(c), "api", "A", "value"); err != nil {
		t.Fatal(err)
	}
	holds(t, Open(c), "api", map[string]string{"A": "value"})
	c.Ask = answers("0000")
	wantsIdentityError(t, c, "PIN is wrong")
	c.Ask = nil
	wantsIdentityError(t, c, "nobody is there")

	c.Identity = file(t, plugin.EncodeIdentity("bivynone", []byte("key")), 0o600)
	wantsIdentityError(t, c, "bivynone")
}
