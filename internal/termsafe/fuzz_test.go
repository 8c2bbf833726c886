package termsafe

import (
	"bytes"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// safe is the allow-list a second time, written independently of the filter.
var safe = regexp.MustCompile(`^(?:[\x20-\x7e\t\n\r\x08]|[\x{a0}-\x{10ffff}]` +
	`|\x1b\[[0-9]{0,5}(?:[;:][0-9]{0,5})*m` +
	`|\x1b\[[0-9]{0,5}(?:;[0-9]{0,5})*[A-Hdf]` +
	`|\x1b\]8;;(?:(?:(?i:https?://|mailto:)[!-~]+)?\x1b\\)|\x1b\[[012]?[JK])*$`)

// undone is what a terminal may still hold of what passed: colours.
var undone = regexp.MustCompile(`^(?:\x1b\[0m)?$`)

// sequences finds what begins with ESC up to its final byte.
var sequences = regexp.MustCompile(`\x1b\[[^@-~]*[@-~]`)

// check holds the filter against everything that must be true of any input.
func check(t *testing.T, in string) {
	t.Helper()
	out := filter(t, in)
	if !utf8.ValidString(out) || !safe.MatchString(out) {
		t.Errorf("filter(%q) = %q, which is not safe", in, out)
	}
	for _, s := range sequences.FindAllString(out, -1) {
		if len(s) > len("\x1b[m")+64 {
			t.Errorf("filter(%q) let a sequence of %d bytes pass", in, len(s))
		}
	}
	if rest := watch(out).Undo(); !undone.Match(rest) {
		t.Errorf("filter(%q) = %q, which leaves on what %q takes back", in, out, rest)
	}
	if again := filter(t, out); again != out {
		t.Errorf("filter(%q) = %q, filtered again %q", in, out, again)
	}
	for i := range min(len(in), 300) {
		if got := filter(t, in[:i], in[i:]); got != out {
			t.Errorf("cut at %d: filter(%q) = %q, whole %q", i, in, got, out)
		}
	}
	if got := filter(t, strings.Split(in, "")...); got != out && utf8.ValidString(in) {
		t.Errorf("by characters: filter(%q) = %q, whole %q", in, got, out)
	}
	var single bytes.Buffer
	w := NewWriter(&single)
	for i := range len(in) {
		_, _ = w.Write([]byte{in[i]})
	}
	_ = w.Close()
	if single.String() != out {
		t.Errorf("by bytes: filter(%q) = %q, whole %q", in, single.String(), out)
	}
}

func FuzzWriter(f *testing.F) {
	for _, s := range []string{
		"plain\r\n", "\x1b[1;31mred\x1b[0m", "\x1b]52;c;eA==\a", "\x1bPtmux;\x1b\x1b]0;x\a\x1b\\",
		"\x1b[?1049h\x1b[6n", "\xc2\x1b[c\x9b", "\u009b31m\x9b", "\x1b[38:2::1:2:3m", "\xf0\x9f\x98\x80\xf0\x9f",
		"\x1b]8;;https://a/\x1b\\x\x1b]8;;\a", "\x1b]8;id=1;MAILTO:a\ax\x1b]8;;javascript:1\ay",
		"\x1b[" + strings.Repeat("1;", 33) + "m", "\x1b[3J\x1b[99999C", "12345678\x1f\x7f\x80 1234567\x1b[K",
	} {
		f.Add(s)
	}
	f.Fuzz(check)
}

// FuzzLine checks Line and Text: no control character is left, a second pass
// changes nothing, the limit holds.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"a\r\nb\tc", "\x1b]0;x\nb", "\xff\u202e\u0085", "\x1b[31mäöü\x1b[m", "\n \n"} {
		f.Add(s, 5)
		f.Add(s, 0)
	}
	line := regexp.MustCompile(`^[\x20-\x7e\x{a0}-\x{2027}\x{202f}-\x{2065}\x{206a}-\x{10ffff}]*$`)
	text := regexp.MustCompile(`^[\n\t\x20-\x7e\x{a0}-\x{2027}\x{202f}-\x{2065}\x{206a}-\x{10ffff}]*$`)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(limit, 1<<20)
		l := Line(s, limit)
		if !utf8.ValidString(l) || !line.MatchString(l) || utf8.RuneCountInString(l) > max(limit, 0) {
			t.Errorf("Line(%q, %d) = %q", s, limit, l)
		}
		if again := Line(l, limit); again != l {
			t.Errorf("Line(%q, %d) = %q, again %q", s, limit, l, again)
		}
		x := Text(s)
		if !utf8.ValidString(x) || !text.MatchString(x) {
			t.Errorf("Text(%q) = %q", s, x)
		}
		if again := Text(x); again != x {
			t.Errorf("Text(%q) = %q, again %q", s, x, again)
		}
	})
}

// TestWriterRandom strings together what matters to the filter, which a short
// fuzz run seldom does.
func TestWriterRandom(t *testing.T) {
	words := []string{
		"\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b\\", "[", "]", "\\", "0", "31", ";", ":", "?", "!", " ", "m", "H", "J", "K", "c", "n", "h",
		"\a", "\n", "\r", "\x18", "\x7f", "\xc2", "\x9b", "\xe2\x82", "\xac", "\xff", "ü", "abcdefgh", "\x1b[1m", "\x1b[999999m",
		"\x1b]8;", ";", "http://a", "8;;", "\x1b]8;;https://b\a", "\x1b]8;;\x1b\\",
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a repeatable test, not a secret
	for range 2000 {
		var in strings.Builder
		for range 1 + random.IntN(12) {
			in.WriteString(words[random.IntN(len(words))])
		}
		check(t, in.String())
		if t.Failed() {
			return
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	pieces := map[string]string{
		"ascii":    strings.Repeat("ok  \tgithub.com/someone/something/package\t0.123s and some more words\n", 1),
		"unbroken": strings.Repeat("x", 4096),
		"colour":   "\x1b[32mok\x1b[0m \x1b[1;34mpackage/name\x1b[0m took \x1b[2m0.123s\x1b[0m\n",
		"utf8":     "Größe über straße – 日本語テキスト und noch etwas mehr\n",
		"attack":   "\x1b]0;title\aabc\x1b[?25lxyz\x1b[6n\xff\n",
		"osc":      "\x1b]52;c;" + strings.Repeat("QUJD", 2000) + "\a",
	}
	for name, piece := range pieces {
		b.Run(name, func(b *testing.B) {
			chunk := []byte(strings.Repeat(piece, 1+32<<10/len(piece)))
			w := NewWriter(io.Discard)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = w.Write(chunk)
			}
		})
	}
}
