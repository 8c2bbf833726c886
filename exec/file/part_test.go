package file

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestReadPart(t *testing.T) {
	var b strings.Builder
	for i := range 20_000 {
		b.WriteString("line ")
		b.WriteString(itoa(int64(i + 1)))
		b.WriteByte('\n')
	}
	text := b.String() + "the end"
	lines := strings.SplitAfter(text, "\n")
	join := func(from, to int) string { return strings.Join(lines[from-1:to], "") }
	eachHost(t, func(t *testing.T, h *host) {
		const name = "te\nxt\\"
		h.put(t, name, text)
		size := int64(len(text))
		for _, c := range []struct {
			name    string
			o       ReadOptions
			want    string
			first   int64
			omitted int64
		}{
			{"two lines", ReadOptions{Lines: &LineRange{10, 11}}, join(10, 11), 10, 0},
			{"first lines", ReadOptions{Lines: &LineRange{1, 3}}, join(1, 3), 1, 0},
			{"from a line", ReadOptions{Lines: &LineRange{From: 19_999}}, join(19_999, 20_001), 19_999, 0},
			{"beyond", ReadOptions{Lines: &LineRange{30_000, 30_001}}, "", 30_000, 0},
			{"lines, capped", ReadOptions{Lines: &LineRange{2, 0}, Max: 9}, "line 2\nli", 2, -1},
			{"bytes", ReadOptions{Bytes: &ByteRange{5000, 100}}, text[5000:5100], 0, 0},
			{"bytes at a block", ReadOptions{Bytes: &ByteRange{8192, 4096}}, text[8192:12288], 0, 0},
			{"bytes, capped", ReadOptions{Bytes: &ByteRange{1, 100}, Max: 10}, text[1:11], 0, 90},
			{"bytes to the end", ReadOptions{Bytes: &ByteRange{size - 3, 100}}, "end", 0, 0},
			{"bytes behind the end", ReadOptions{Bytes: &ByteRange{size + 5000, 100}}, "", 0, 0},
			{"tail", ReadOptions{Tail: 2}, join(20_000, 20_001), 20_000, 0},
			{"tail, capped", ReadOptions{Tail: 2, Max: 5}, "e end", 20_001, -1},
			{"whole, capped", ReadOptions{Max: 10}, text[:10], 1, size - 10},
			{"bare, capped", ReadOptions{Bare: true, Max: 10}, text[:10], 1, -1},
		} {
			got, err := h.fs().Read(t.Context(), name, c.o)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if c.o.Bare {
				got.Lines, got.Size, got.SHA256 = 20_001, size, sumOf(text)
			}
			if string(got.Data) != c.want || got.FirstLine != c.first || got.Omitted != c.omitted || got.Whole || got.Lines != 20_001 || got.Size != size {
				t.Errorf("%s: %.60q, first line %d, omitted %d, whole %v, lines %d", c.name, got.Data, got.FirstLine, got.Omitted, got.Whole, got.Lines)
			}
			if sum := sumOf(text); got.SHA256 != sum && (got.SHA256 != "" || !h.lacksSHA256()) {
				t.Errorf("%s: SHA-256 %q, want %q", c.name, got.SHA256, sum)
			}
		}
	})
}

// A file of 5 GB is neither hashed nor sent, and every shell counts so far.
func TestReadOfAnEnormousFile(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "big", "begin")
		const size = 5 << 30
		if err := os.Truncate(h.at("big"), size); err != nil {
			t.Fatal(err)
		}
		for _, o := range []ReadOptions{
			{Max: 5}, {Bytes: &ByteRange{0, 5}}, {Bytes: &ByteRange{size - 7, 100}}, {Lines: &LineRange{1, 1}, Max: 5},
		} {
			got, err := h.fs().Read(t.Context(), "big", o)
			if err != nil {
				t.Fatal(err)
			}
			want := "begin"
			if o.Bytes != nil && o.Bytes.Offset > 0 {
				want = "\x00\x00\x00\x00\x00\x00\x00"
			}
			if string(got.Data) != want || got.Size != size || got.SHA256 != "" || got.Lines != -1 || got.Whole {
				t.Errorf("%q of %d bytes, lines %d, SHA-256 %q, whole %v", got.Data, got.Size, got.Lines, got.SHA256, got.Whole)
			}
		}
	})
}

func TestHomes(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		if err := os.WriteFile(h.home+"/at home", []byte("h"), 0o644); err != nil {
			t.Fatal(err)
		}
		h.put(t, "~/x", "in a directory of that name")
		account, err := os.UserHomeDir()
		if os.Getuid() == 0 {
			account = "/root"
		}
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{"~/at home": "h", "./~/x": "in a directory of that name"} {
			if c, err := h.fs().Read(t.Context(), path, ReadOptions{}); err != nil || string(c.Data) != want {
				t.Errorf("%s: %q, %v", path, c.Data, err)
			}
		}
		for _, root := range []string{"~", "", "~/", "."} {
			f := &FS{Runner: h, Root: root}
			if c, err := f.Read(t.Context(), "at home", ReadOptions{}); err != nil || string(c.Data) != "h" {
				t.Errorf("with the root %q: %q, %v", root, c.Data, err)
			}
		}
		if os.Getuid() == 0 {
			_, err := h.fs().Read(t.Context(), "~root", ReadOptions{})
			var e *Error
			if !errors.As(err, &e) || e.Kind != IsDir || !strings.HasPrefix(e.Path, account) {
				t.Errorf("~root is %v, want a directory %s", err, account)
			}
		}
	})
}

func TestReadInside(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		if h.lacks("readlink") {
			// Following links by hand is what this is about.
			t.Skip("the host has no readlink")
		}
		outside := t.TempDir()
		if err := os.WriteFile(outside+"/secret", []byte("s"), 0o644); err != nil {
			t.Fatal(err)
		}
		h.put(t, "in/file", "x")
		for name, target := range map[string]string{
			"in/link": "file", "out": outside, "in/secret": outside + "/secret", "up": "in/../in/file", "absolute": h.at("in/file"), "in/hop": "../up",
		} {
			if err := os.Symlink(target, h.at(name)); err != nil {
				t.Fatal(err)
			}
		}
		f := h.fs()
		f.Inside = true
		for path, want := range map[string]string{
			"in/file": "x", "in/link": "x", "up": "x", "absolute": "x", h.at("in/file"): "x", "in/../in/file": "x", "in/hop": "x",
			"out/secret": "", "in/secret": "", outside + "/secret": "", "../secret": "", "in/../../x": "", "/etc/passwd": "", "~/x": "",
		} {
			c, err := f.Read(t.Context(), path, ReadOptions{})
			if want == "" {
				var e *Error
				if !errors.As(err, &e) || e.Kind != Outside && e.Kind != NotFound {
					t.Errorf("%s: %q, %v; want a refusal", path, c.Data, err)
				}
				continue
			}
			if err != nil || string(c.Data) != want {
				t.Errorf("%s: %q, %v", path, c.Data, err)
			}
		}
		_, err := f.Read(t.Context(), "out/secret", ReadOptions{})
		wantKind(t, err, Outside)
	})
}
