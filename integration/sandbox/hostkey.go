package sandbox

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	gossh "golang.org/x/crypto/ssh"
)

// PublicKeyLine returns the host's public key as "ssh-ed25519 AAAA…", without
// a line's end; "NAME " before it makes a line of known_hosts. The key is made
// when it is missing.
func PublicKeyLine(cfg Config) (string, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return "", err
	}
	key, err := hostKey(cfg.HostKeyFile)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key.PublicKey()))), nil
}

// hostKey reads the host's key, after making it where there is none.
func hostKey(file string) (gossh.Signer, error) {
	key, err := readKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := makeKey(file); err != nil {
		return nil, fmt.Errorf("make the sandbox's host key %s: %w", file, err)
	}
	return readKey(file)
}

func readKey(file string) (gossh.Signer, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("sandbox's host key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("sandbox's host key %s is open to others (mode %04o); make it 0600 or remove it",
			file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("sandbox's host key: %w", err)
	}
	key, err := gossh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("sandbox's host key %s: %w", file, err)
	}
	return key, nil
}

// makeKey puts a new key into place whole. Two processes may do so at once:
// the link fails for the later one, and both then read the first one's key.
func makeKey(file string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := gossh.MarshalPrivateKey(private, "bivy sandbox")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".host_key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // a leftover does no harm
	_, err = temp.Write(pem.EncodeToMemory(block))
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
