package archive

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// SuspectError says that files which git does not track look like keys or
// credentials, and were not named one by one.
type SuspectError struct{ Paths []string }

func (e *SuspectError) Error() string {
	names := make([]string, 0, 3)
	for _, p := range e.Paths[:min(len(e.Paths), 3)] {
		names = append(names, fmt.Sprintf("%q", p))
	}
	what := strings.Join(names, ", ")
	if more := len(e.Paths) - len(names); more > 0 {
		what += fmt.Sprintf(" and %d more", more)
	}
	return "it looks like a key or a credential: " + what
}

// suspects refuses, with *SuspectError, what looks like a key or a credential
// and is not named in the patterns, by its whole path and without a wildcard.
func (s *Snapshot) suspects(paths []string, include []byte) error {
	named := namedExactly(include)
	var found []string
	for _, p := range paths {
		if !slices.Contains(named, p) && (suspectName(p) || holdsKey(filepath.Join(s.repo.dir, p))) {
			found = append(found, p)
		}
	}
	if len(found) > 0 {
		return &SuspectError{Paths: found}
	}
	return nil
}

// namedExactly returns the paths that patterns name without a wildcard, from
// the top down: "/config/.env" and "config/.env". A bare name fits in every
// directory; it is exact for the top only.
func namedExactly(include []byte) []string {
	var paths []string
	for line := range strings.Lines(string(include)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "!") || strings.ContainsAny(line, `*?[\`) {
			continue
		}
		paths = append(paths, strings.TrimPrefix(strings.TrimRight(line, " "), "/"))
	}
	return paths
}

// suspectName reports whether a file is called as keys and credentials
// usually are.
func suspectName(p string) bool {
	name, dir := strings.ToLower(path.Base(p)), strings.ToLower(path.Base(path.Dir(p)))
	for _, pattern := range []string{
		"id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
		"*.age", "*.gpg", ".env", ".env.*", "*.env", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf", ".htpasswd",
		".git-credentials", ".dockercfg", ".boto", ".s3cfg", "credentials", "credentials.*", "*credentials.json", "client_secret*.json",
		"service-account*.json", "service_account*.json", "secrets.*", "*.tfvars", "*.tfstate", "kubeconfig", "*.kubeconfig",
		"*_history", ".vault-token", "auth.json",
	} {
		if ok, _ := path.Match(pattern, name); ok {
			// What others fill in is no secret yet, and a public key none at all.
			return !slices.Contains([]string{".example", ".sample", ".template", ".dist", ".pub"}, path.Ext(name))
		}
	}
	return slices.Contains([]string{".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure"}, dir)
}

// holdsKey reports whether a file begins with a private key in its textual
// form, whatever it is called.
func holdsKey(file string) bool {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	head := make([]byte, 4096)
	n, _ := io.ReadFull(f, head)
	return bytes.Contains(head[:n], []byte("PRIVATE KEY-----")) || bytes.HasPrefix(head[:n], []byte("AGE-SECRET-KEY-")) ||
		bytes.HasPrefix(head[:n], []byte("PuTTY-User-Key-File-"))
}
