package file

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// allBytes has every byte, and ends without a newline.
func allBytes() string {
	b := make([]byte, 0, 1024)
	for i := range 1024 {
		b = append(b, byte(i*7+i/256))
	}
	return string(b)
}

func TestReadWhole(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		for name, content := range map[string]string{
			"plain": "one\ntwo\n", "empty": "", "open": "one\ntwo", "bytes": allBytes(), "a b\n'\"$(x)\\": "odd",
			"-n": "dash", "utf-8 é ü": "ü\n", "\x80\xff\x01": "no characters", "large": strings.Repeat("0123456789abcdef\n", 30_000),
		} {
			h.put(t, name, content)
			if err := os.Chmod(h.at(name), 0o640); err != nil {
				t.Fatal(err)
			}
			when := time.Unix(1_700_000_000, 0)
			if err := os.Chtimes(h.at(name), when, when); err != nil {
				t.Fatal(err)
			}
			c, err := h.fs().Read(t.Context(), name, ReadOptions{})
			if err != nil {
				t.Errorf("read %q: %v", name, err)
				continue
			}
			lines := int64(strings.Count(content, "\n"))
			if content != "" && !strings.HasSuffix(content, "\n") {
				lines++
			}
			if string(c.Data) != content || !c.Whole || c.SHA256 != sumOf(content) || c.Lines != lines || c.Omitted != 0 ||
				c.Size != int64(len(content)) || c.Mode != 0o640 || !c.ModTime.Equal(when) || c.Type != Regular || c.FirstLine != 1 {
				t.Errorf("read %q: %.40q, %+v", name, c.Data, c.Info)
				t.Logf("whole %v, sum %v, lines %d, omitted %d", c.Whole, c.SHA256 == sumOf(content), c.Lines, c.Omitted)
			}
			bare, err := h.fs().Read(t.Context(), name, ReadOptions{Bare: true})
			if err != nil || string(bare.Data) != content || !bare.Whole || bare.SHA256 != c.SHA256 || bare.Size != c.Size || bare.Lines != lines {
				t.Errorf("read %q bare: %.40q, %+v, %v", name, bare.Data, bare.Info, err)
			}
			if c.Binary != strings.Contains(content, "\x00") {
				t.Errorf("read %q: binary is %v", name, c.Binary)
			}
		}
	})
}

func TestReadOfWhatIsNoFile(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "file", "x")
		if err := os.MkdirAll(h.at("dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(h.at("fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		for name, target := range map[string]string{"loop": "loop", "dangling": "nothing", "good": "file"} {
			if err := os.Symlink(target, h.at(name)); err != nil {
				t.Fatal(err)
			}
		}
		for path, kind := range map[string]Kind{
			"dir": IsDir, "fifo": Special, "/dev/zero": Special, "none": NotFound, "none/below": NotFound, "file/below": NotDir,
			"file/": NotDir, "dangling": NotFound, "loop": NotFound, "~nosuchuser-xx/y": NoUser, "~1/x": NoUser, "~$(id)": NoUser, "~+": NoUser,
			strings.Repeat("x", 300): NotFound, "a\x00b": Invalid, "": IsDir, ".": IsDir,
		} {
			_, err := h.fs().Read(t.Context(), path, ReadOptions{})
			wantKind(t, err, kind)
			if err != nil && strings.ContainsAny(err.Error(), "\x00\x1b\n") {
				t.Errorf("the error holds control characters: %q", err)
			}
		}
		if c, err := h.fs().Read(t.Context(), "good", ReadOptions{}); err != nil || string(c.Data) != "x" {
			t.Errorf("through a link: %q, %v", c.Data, err)
		}
	})
}
