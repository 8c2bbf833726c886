package sandbox_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bivy/integration/sandbox"
)

func TestHostKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := sandbox.Config{Home: filepath.Join(dir, "home")}
	if err := os.Mkdir(cfg.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	var lines [8]string
	var group sync.WaitGroup
	for i := range lines {
		group.Go(func() {
			line, err := sandbox.PublicKeyLine(cfg)
			if err != nil {
				t.Error(err)
			}
			lines[i] = line
		})
	}
	group.Wait()
	for _, line := range lines {
		if line != lines[0] || !strings.HasPrefix(line, "ssh-ed25519 AAAA") || strings.ContainsAny(line, "\r\n") {
			t.Errorf("one of eight at once has the key %q, another %q", lines[0], line)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[1].Name() != "home.host_key" {
		t.Errorf("beside home there is %v, %v", entries, err)
	}
	info, err := os.Stat(cfg.Home + ".host_key")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v, %v", info, err)
	}
}

func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]sandbox.Config{
		"no home directory":     {},
		"no such file":          {Home: filepath.Join(dir, "none")},
		"is not a directory":    {Home: file},
		"is not executable":     {Home: dir, Shell: file},
		"login shell":           {Home: dir, Shell: filepath.Join(dir, "none")},
		"no key found":          {Home: dir, HostKeyFile: file},
		"is open to others":     {Home: dir, HostKeyFile: open},
		"make the sandbox's ho": {Home: dir, HostKeyFile: filepath.Join(dir, "none", "key")},
	} {
		err := sandbox.Serve(t.Context(), cfg, pipes{io.NopCloser(strings.NewReader("")), nopWriter{}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gives %v, want %q in it", cfg, err, want)
		}
	}
	err := sandbox.Serve(t.Context(), sandbox.Config{Home: dir}, pipes{io.NopCloser(strings.NewReader("")), nopWriter{}})
	if err == nil || !strings.Contains(err.Error(), "handshake") {
		t.Errorf("a client that says nothing gives %v", err)
	}
}

// nopWriter takes everything.
type nopWriter struct{}

func (nopWriter) Write(p []byte) (int, error) { return len(p), nil }
func (nopWriter) Close() error                { return nil }
