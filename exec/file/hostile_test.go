package file

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

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
		for _, o := range []ReadOptions{{Max: 100}, {Max: 10, Tail: 3}, {Bare: true, Max: 50}, {Bytes: &ByteRange{5, 10}}} {
			c, err := files.Read(t.Context(), "x", o)
			if err == nil && (int64(len(c.Data)) != c.Length || c.Length > 100 || c.Omitted < -1 || c.Lines < -1) {
				t.Errorf("%+v for %+v", c, o)
			}
		}
		_, _ = files.parseStats(string(tail), []string{"a", "b"})
		_ = size
	})
}
