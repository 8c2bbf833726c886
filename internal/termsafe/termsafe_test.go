package termsafe

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// filter gives each piece to one Writer and returns all that came out.
func filter(t testing.TB, pieces ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, p := range pieces {
		if n, err := io.WriteString(w, p); n != len(p) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", p, n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return out.String()
}

func TestWriter(t *testing.T) {
	long := strings.Repeat("1;", 32)
	tests := []struct{ name, in, want string }{
		// What stays.
		{"text", "hello, wörld 日本 😀\n", "hello, wörld 日本 😀\n"},
		{"layout", "a\tb\r\nc\bd", "a\tb\r\nc\bd"},
		{"no-break space is the first rune", "\u00a0", "\u00a0"},
		{"replacement character itself", "\ufffd", "\ufffd"},
		{"C1 values inside characters", "\u00db\u4e9b", "\u00db\u4e9b"},
		{"colours", "\x1b[31mred\x1b[0m\x1b[m", "\x1b[31mred\x1b[0m\x1b[m"},
		{"true colour", "\x1b[38;2;1;2;3m\x1b[4:3;58:2::1:2:3m", "\x1b[38;2;1;2;3m\x1b[4:3;58:2::1:2:3m"},
		{"cursor", "\x1b[2A\x1b[B\x1b[3C\x1b[D\x1b[E\x1b[F\x1b[7G\x1b[1;1H\x1b[5d\x1b[;f", "\x1b[2A\x1b[B\x1b[3C\x1b[D\x1b[E\x1b[F\x1b[7G\x1b[1;1H\x1b[5d\x1b[;f"},
		{"erase", "\x1b[K\x1b[0K\x1b[1K\x1b[2K\x1b[J\x1b[2J", "\x1b[K\x1b[0K\x1b[1K\x1b[2K\x1b[J\x1b[2J"},
		{"64 bytes of parameters", "\x1b[" + long + "m", "\x1b[" + long + "m"},

		// Control strings.
		{"title", "a\x1b]0;evil\ab", "ab"},
		{"title, ESC \\", "a\x1b]2;evil\x1b\\b", "ab"},
		{"clipboard", "a\x1b]52;c;cm0gLXJmIH4K\ab", "ab"},
		{"clipboard query", "a\x1b]52;c;?\x1b\\b", "ab"},
		{"palette", "\x1b]4;1;?\a\x1b]10;?\a\x1b]P1ff0000\a", ""},
		{"iTerm file", "\x1b]1337;File=name=eA==;inline=0:AAAA\a", ""},
		{"DCS", "a\x1bP$qm\x1b\\b", "ab"},
		{"DCS settings query", "a\x1bP+q544e\x1b\\b", "ab"},
		{"tmux passthrough", "a\x1bPtmux;\x1b\x1b]52;c;eA==\a\x1b\\b", "ab"},
		{"APC", "a\x1b_Gf=100;AAAA\x1b\\b", "ab"},
		{"PM", "a\x1b^x\x1b\\b", "ab"},
		{"SOS", "a\x1bXx\x1b\\b", "ab"},
		{"screen title", "a\x1bkevil\x1b\\b", "ab"},
		{"cancelled string", "a\x1b]0;evil\x18b\x1b]0;evil\x1ac", "abc"},
		{"string ends with its line", "\x1b]0;evil\nPermission denied\n", "\nPermission denied\n"},
		{"string ends with CR", "\x1b]0;evil\r\nPermission denied\n", "\r\nPermission denied\n"},
		{"string with UTF-8", "\x1b]0;\u00fc\u009c\xff\ab", "b"},
		{"sequence in a string", "\x1b]0;x\x1b[31mred", "\x1b[31mred"},

		// Queries, modes, window operations.
		{"device attributes", "a\x1b[c\x1b[0c\x1b[>c\x1b[=cb", "ab"},
		{"status and cursor reports", "a\x1b[5n\x1b[6n\x1b[?6nb", "ab"},
		{"terminal parameters", "\x1b[x\x1b[1x", ""},
		{"window", "\x1b[21t\x1b[8;1;1t\x1b[3;0;0t", ""},
		{"soft reset and mode query", "\x1b[!p\x1b[?2026$p", ""},
		{"alternate screen", "\x1b[?1049h\x1b[?47l", ""},
		{"mouse, focus, paste", "\x1b[?1000h\x1b[?1006h\x1b[?1004h\x1b[?2004h", ""},
		{"ANSI modes", "\x1b[4h\x1b[20h\x1b[2l", ""},
		{"keyboard protocols", "\x1b[>4;2m\x1b[>1u\x1b[?u\x1b[=1u", ""},
		{"repetition", "a\x1b[99999b", "a"},
		{"insert, delete, scroll", "\x1b[@\x1b[P\x1b[L\x1b[M\x1b[S\x1b[T\x1b[X\x1b[2;3r", ""},
		{"scrollback", "\x1b[3J\x1b[2;3J\x1b[22J\x1b[03J", ""},
		{"private erase", "\x1b[?2J\x1b[?K", ""},
		{"media copy", "\x1b[5i\x1b[?5i", ""},
		{"LEDs, cursor shape", "\x1b[1q\x1b[2 q\x1b[>q", ""},
		{"colon outside of colours", "\x1b[1:2H", ""},
		{"intermediate before m", "\x1b[1 m\x1b[!m", ""},
		{"65 bytes of parameters", "\x1b[" + long + "1m.", "."},
		{"six digits", "\x1b[100000B\x1b[0000001m.", "."},

		// Other escape sequences.
		{"reset", "a\x1bcb", "ab"},
		{"alignment and double size", "\x1b#8\x1b#3", ""},
		{"character sets", "\x1b(0\x1b)B\x1b%G\x1b%@\x1b$(Ca", "a"},
		{"shifts", "\x1bN\x1bO\x1bn\x1b~\x1b|a", "a"},
		{"save, restore, index", "\x1b7\x1b8\x1bD\x1bM\x1bEa", "a"},
		{"keypad, identify", "\x1b=\x1b>\x1bZa", "a"},
		{"double ESC", "\x1b\x1b[31mx", "\x1b[31mx"},
		{"ESC in a sequence", "\x1b[3\x1b[31mx", "\x1b[31mx"},
		{"control in a sequence", "\x1b[3\n1mx", "\n1mx"},
		{"text behind ESC", "\x1b\u00e9", "\u00e9"},
		{"CSI cancelled", "\x1b[3\x18x\x1b[3\x1ay", "xy"},
		{"DEL in a sequence", "\x1b[3\x7f1m", "1m"},

		// Control characters.
		{"7-bit", "a\x00\x01\x05\a\v\f\x0e\x0f\x11\x13\x18\x1a\x1c\x7fb", "ab"},
		{"8-bit", "a\x80\x84\x85\x8d\x90\x9b\x9c\x9d\x9fb", "ab"},
		{"8-bit CSI and OSC", "\x9b6n\x9d0;x\x9c", "6n0;x"},
		{"C1 in UTF-8", "a\u0080\u0085\u009b\u009d\u009fb", "ab"},
		{"C1 overlong", "\xe0\x82\x9bb", "\ufffdb"},
		{"C1 put together", "\xc2\x1b[c\x9bb", "\ufffdb"},
		{"ESC overlong", "\xc0\x9b[c", "\ufffd[c"},
		{"Latin-1", "caf\xe9 \xa0\xff", "caf\ufffd \ufffd\ufffd"},
		{"surrogate, beyond Unicode", "\xed\xa0\x80|\xf4\x90\x80\x80|", "\ufffd\ufffd|\ufffd|"},
		{"cut character", "\xe2\x82a\xf0\x9f\x98\nb", "\ufffda\ufffd\nb"},

		// Ends.
		{"ends in ESC", "a\x1b", "a"},
		{"ends in CSI", "a\x1b[31", "a"},
		{"ends in a string", "a\x1b]0;x", "a"},
		{"ends in a string's end", "a\x1b]0;x\x1b", "a"},
		{"ends in a character", "a\xf0\x9f", "a\ufffd"},
		{"ends in a charset", "a\x1b(", "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, filter(t, tt.in)); diff != "" {
				t.Errorf("whole (-want +got):\n%s", diff)
			}
			check(t, tt.in)
		})
	}
}

func TestWriterSizes(t *testing.T) {
	line := "\x1b[32mok\x1b[0m  \tpäckage \x1b]0;x\a\x1b[?25lfoo\xff" + strings.Repeat("x", 2*directSize) + "\r\n"
	in := strings.Repeat(line, 50)
	want := filter(t, in)
	for _, size := range []int{1, 2, 3, 7, 8, 9, directSize - 1, directSize, bufferSize, bufferSize + 1} {
		var pieces []string
		for rest := in; rest != ""; {
			n := min(size, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if got := filter(t, pieces...); got != want {
			t.Errorf("pieces of %d bytes give something else: %d bytes, not %d", size, len(got), len(want))
		}
	}
	if n := strings.Count(want, "\x1b"); n != 100 {
		t.Errorf("%d sequences left, want 100", n)
	}
}

// What is complete is shown when Write returns, so that prompts and progress
// appear at once.
func TestWriterHoldsNothingBack(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, step := range []struct{ in, want string }{
		{"password: ", "password: "},
		{"\x1b[", "password: "},
		{"1mx\xe2\x82", "password: \x1b[1mx"},
		{"\xac", "password: \x1b[1mx€"},
	} {
		if _, err := io.WriteString(w, step.in); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, out.String()); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", step.in, diff)
		}
	}
}

func TestWriterConstantMemory(t *testing.T) {
	for name, start := range map[string]string{
		"line": "", "string": "\x1b]52;c;", "parameters": "\x1b[", "charset": "\x1b(",
	} {
		w := NewWriter(io.Discard)
		if _, err := io.WriteString(w, start); err != nil {
			t.Fatal(err)
		}
		chunk := bytes.Repeat([]byte("11 \xc3\xbc"), 20000)
		if name != "line" {
			chunk = bytes.Repeat([]byte("!  1"), 20000)
		}
		allocs := testing.AllocsPerRun(10, func() { _, _ = w.Write(chunk) })
		if allocs != 0 {
			t.Errorf("%s: %v allocations for each Write, want none", name, allocs)
		}
	}
}

// limited takes n bytes, then fails, or writes short where err is nil.
type limited struct {
	n   int
	err error
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) <= l.n {
		l.n -= len(p)
		return len(p), nil
	}
	return l.n, l.err
}

func TestWriterErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		behind *limited
		want   error
	}{
		{&limited{4, broken}, broken},
		{&limited{4, nil}, io.ErrShortWrite},
	} {
		w := NewWriter(tt.behind)
		if n, err := io.WriteString(w, "abc\a"); n != 4 || err != nil {
			t.Fatalf("first Write = %d, %v, want 4 and no error", n, err)
		}
		for range 2 {
			if n, err := io.WriteString(w, "def"); n != 0 || !errors.Is(err, tt.want) {
				t.Errorf("Write = %d, %v, want 0 and %v", n, err, tt.want)
			}
		}
		if err := w.Close(); !errors.Is(err, tt.want) {
			t.Errorf("Close = %v, want %v", err, tt.want)
		}
	}
}

func TestWriterClosed(t *testing.T) {
	w := NewWriter(io.Discard)
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	if _, err := io.WriteString(w, "x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Close = %v, want os.ErrClosed", err)
	}
}

func TestLine(t *testing.T) {
	tests := []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "no such file", 80, "no such file"},
		{"fits exactly", "abcde", 5, "abcde"},
		{"cut", "abcdef", 5, "abcd…"},
		{"cut counts runes", "äöüäöü", 4, "äöü…"},
		{"one rune", "ab", 1, "…"},
		{"nothing", "ab", 0, ""},
		{"negative", "ab", -1, ""},
		{"line breaks", "\r\na\r\n\nb\rc\r\n", 80, "a b c"},
		{"break at the limit", "abc\n", 3, "abc"},
		{"break over the limit", "abc\nd", 4, "abc…"},
		{"spaces stay", " a  b ", 80, " a  b "},
		{"tab", "a\tb", 80, "a b"},
		{"escapes", "\x1b[31mred\x1b[0m\x1b]0;x\a!", 80, "red!"},
		{"escapes do not count", "\x1b[31mred\x1b[0m", 3, "red"},
		{"open string", "a\x1b]0;evil\nb", 80, "a b"},
		{"controls", "a\a\x00\x7f\b", 80, `a\x07\x00\x7f\x08`},
		{"C1", "\u009b\x9b", 80, `\xc2\x9b\x9b`},
		{"invalid", "caf\xe9\xe2\x82", 80, `caf\xe9\xe2\x82`},
		{"a code is not cut in two", "ab\xff", 5, "ab…"},
		{"bidi", "a\u202eb\u202cc\u2066d\u2069", 80, "abcd"},
		{"C1 put together", "\xc2\u202e\x9b", 80, `\xc2\x9b`},
		{"separators", "a\u2028b\u2029", 80, "a b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Line(tt.in, tt.limit)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestText(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"lines", "a\n\tb\n\nc\n", "a\n\tb\n\nc\n"},
		{"CR", "a\r\nb\r\r\nc\rd\n\r", "a\nb\nc\nd\n\n"},
		{"escapes", "\x1b[1mx\x1b[0m\n\x1b]52;c;eA==\ay", "x\ny"},
		{"open string", "\x1b]0;evil\nPermission denied", "\nPermission denied"},
		{"controls", "\a\u009b\xff", `\x07\xc2\x9b\xff`},
		{"bidi", "\u202ea\u2067b", "ab"},
		{"ends in ESC", "a\x1b", "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Text(tt.in)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLastLine(t *testing.T) {
	for in, want := range map[string]string{"": "", "\n \n": "", "a": "a", "a\n b \n\n": "b", "a\r\nb\r\n": "b"} {
		if got := LastLine(in); got != want {
			t.Errorf("LastLine(%q) = %q, want %q", in, got, want)
		}
	}
}
