package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
			if c.Binary != strings.Contains(content, "\x00") {
				t.Errorf("read %q: binary is %v", name, c.Binary)
			}
		}
	})
}

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
		} {
			got, err := h.fs().Read(t.Context(), name, c.o)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
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

// stubborn is a Runner whose host answers what it likes.
type stubborn struct {
	answer func(mark string) string
	words  string
}

func (s *stubborn) Host() string { return "evil" }

func (s *stubborn) Run(_ context.Context, c Call) (Ending, error) {
	text := s.answer(c.Args[0])
	for len(text) > 0 {
		n := min(len(text), 1000)
		if _, err := c.Stdout.Write([]byte(text[:n])); err != nil {
			return Ending{How: "cut off"}, err
		}
		text = text[n:]
	}
	return Ending{How: "exited with 0", Words: s.words}, nil
}

func TestHostileAnswers(t *testing.T) {
	const meta = "meta=c 81a4 5 1700000000 0 0 1 7"
	for name, answer := range map[string]func(mark string) string{
		"nothing":           func(string) string { return "" },
		"no mark":           func(string) string { return "hello" },
		"no end":            func(m string) string { return "hello" + m + "part=whole\x00" + meta + "\x00" },
		"endless content":   func(m string) string { return strings.Repeat("x", 3<<20) + m },
		"endless facts":     func(m string) string { return m + strings.Repeat("x", 1<<20) },
		"no facts":          func(m string) string { return m + "done\x00" },
		"two of a kind":     func(m string) string { return m + "part=whole\x00part=whole\x00" + meta + "\x00done\x00" },
		"words behind":      func(m string) string { return m + "part=whole\x00" + meta + "\x00done\x00more" },
		"a bad key":         func(m string) string { return m + "PART=whole\x00" + meta + "\x00done\x00" },
		"a bad meta":        func(m string) string { return m + "part=whole\x00meta=c zz 5 1 0 0 1 7\x00done\x00" },
		"a bad size":        func(m string) string { return m + "part=whole\x00meta=c 81a4 -5 1 0 0 1 7\x00done\x00" },
		"a bad sum":         func(m string) string { return m + "part=part\x00" + meta + "\x00sha256=xyz\x00done\x00" },
		"an unknown part":   func(m string) string { return m + "part=\x00" + meta + "\x00done\x00" },
		"the mark of later": func(m string) string { return "x" + m[:20] },
	} {
		f := &FS{Runner: &stubborn{answer: answer, words: "\x1b]0;evil\x07words\n"}}
		_, err := f.Read(t.Context(), "x", ReadOptions{})
		var odd *ProtocolError
		if !errors.As(err, &odd) || odd.Host != "evil" || odd.Op != "read" {
			t.Errorf("%s: the error is %v, want a *ProtocolError", name, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "\x1b\x07\n") {
			t.Errorf("%s: the error holds control characters: %q", name, err)
		}
	}
	// What is odd but harmless is taken.
	f := &FS{Runner: &stubborn{answer: func(m string) string { return "\x1e" + m[:5] + "ab" + m + "part=whole\x00" + meta + "\x00done\x00" }}}
	c, err := f.Read(t.Context(), "x", ReadOptions{})
	if err != nil || !bytes.HasSuffix(c.Data, []byte("ab")) || len(c.Data) != 8 {
		t.Errorf("%q, %v", c.Data, err)
	}
	f = &FS{Runner: &stubborn{answer: func(m string) string { return m + "trouble=wat\x1b[31m\x00at=/x\x1b]0;y\x07\x00done\x00" }}}
	_, err = f.Read(t.Context(), "x", ReadOptions{})
	wantKind(t, err, Failed)
	if strings.ContainsAny(err.Error(), "\x1b\x07") {
		t.Errorf("the error holds control characters: %q", err)
	}
}

// A body that is written in pieces of any size is the same, also where it holds
// beginnings of the mark.
func TestSplitterAtEveryCut(t *testing.T) {
	mark := newMark()
	body := "\x1e" + mark[:7] + mark[:len(mark)-1] + "x\x1e" + mark[:1]
	text := body + mark + "a=b\x00done\x00"
	for size := 1; size < len(text); size++ {
		var got bytes.Buffer
		s := &splitter{mark: []byte(mark), body: &got}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := s.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			if s.ended() != (rest == "") {
				t.Errorf("in pieces of %d: ended is %v with %d bytes to come", size, s.ended(), len(rest))
			}
		}
		known, why := s.facts()
		if got.String() != body || why != "" || known["a"] != "b" {
			t.Fatalf("in pieces of %d: %q, %v, %s", size, got.String(), known, why)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("hello"), []byte("part=whole\x00meta=c 81a4 5 1700000000 0 0 1 7\x00done\x00"), 3)
	f.Add([]byte(""), []byte("trouble=not_found\x00at=/x\x00done\x00"), 1)
	f.Add([]byte("x\x1e"), []byte("part=part\x00meta=l -rw-r--r-- 5 - 0 0 1 -\x00sha256=\x00breaks=3\x00open=1\x00done\x00"), 7)
	f.Fuzz(func(t *testing.T, body, tail []byte, size int) {
		files := &FS{Runner: &stubborn{answer: func(m string) string { return string(body) + m + string(tail) }}}
		for _, o := range []ReadOptions{{Max: 100}, {Max: 10, Tail: 3}, {Bytes: &ByteRange{5, 10}}} {
			c, err := files.Read(t.Context(), "x", o)
			if err == nil && (int64(len(c.Data)) != c.Length || c.Length > 100 || c.Omitted < -1 || c.Lines < -1) {
				t.Errorf("%+v for %+v", c, o)
			}
		}
		_, _ = files.parseStats(string(tail), []string{"a", "b"})
		_ = size
	})
}
