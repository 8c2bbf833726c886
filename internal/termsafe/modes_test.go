package termsafe

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// watch returns a Modes that has seen the pieces.
func watch(pieces ...string) *Modes {
	m := &Modes{}
	for _, p := range pieces {
		_, _ = m.Write([]byte(p))
	}
	return m
}

func TestModesUndo(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"text", "hello, wörld 日本 😀 ě\r\n\a\t\b", ""},
		{"colours that end", "\x1b[01;31mred\x1b[0m\x1b[1m\x1b[m\x1b[4:3mx\x1b[00m", ""},
		{"colour", "\x1b[31mred", "\x1b[0m"},
		{"colour with 0s in it", "\x1b[0m\x1b[38;5;0m", "\x1b[0m"},
		{"colour with parts", "\x1b[38:2::0:0:0m", "\x1b[0m"},
		{"cursor", "\x1b[2J\x1b[H\x1b[5;7H\x1b7\x1b8\x1b[s\x1b[u\x1b[6n\x1b[c", ""},
		{"mouse", "\x1b[?1000h\x1b[?1002;1003h\x1b[?1006h\x1b[?1015h\x1b[?1005h\x1b[?1003l", "\x1b[?1000l\x1b[?1002l\x1b[?1005l\x1b[?1006l\x1b[?1015l"},
		{"mouse and its end", "\x1b[?1000;1002;1006h\x1b[?1006;1002;1000l", ""},
		{"focus and paste", "\x1b[?1004h\x1b[?2004h", "\x1b[?1004l\x1b[?2004l"},
		{"hidden cursor", "\x1b[?25l", "\x1b[?25h"},
		{"cursor shown again", "\x1b[?25l\x1b[?25h", ""},
		{"no wrap", "\x1b[?7l", "\x1b[?7h"},
		{"cursor keys and keypad", "\x1b[?1h\x1b=", "\x1b[?1l\x1b>"},
		{"keypad and its end", "\x1b=\x1b>", ""},
		{"alternate screen", "\x1b[?1049h", "\x1b[?1049l"},
		{"old alternate screens", "\x1b[?47h", "\x1b[?47l"},
		{"alternate screen and its end", "\x1b[?1049h\x1b[?1049l", ""},
		{"last in, first out", "\x1b[?1049h\x1b[?47h\x1b[?1049h", "\x1b[?47l\x1b[?1049l"},
		{"left by another door", "\x1b[?1047h\x1b[?47l", ""},
		{
			"a whole vim", "\x1b[?1049h\x1b[22;0;0t\x1b[>4;2m\x1b[?1h\x1b=\x1b[?2004h\x1b[?1004h\x1b[1;24r\x1b[?12h\x1b[?12l\x1b[22;2t\x1b[2 q\x1b[?25l\x1b[38;5;130m",
			"\x1b[r\x1b[?1049l\x1b[?1l\x1b[?25h\x1b[?1004l\x1b[?2004l\x1b>\x1b[>4m\x1b[0 q\x1b[0m",
		},
		{"a vim that ended", "\x1b[?1049h\x1b[>4;2m\x1b[?1h\x1b=\x1b[?2004h\x1b[2 q\x1b[?2004l\x1b[>4;m\x1b[?1l\x1b>\x1b[?1049l\x1b[?25h\x1b[0 q\x1b[m", ""},
		{"margins", "\x1b[2;10r", "\x1b7\x1b[r\x1b8"},
		{"margins and their end", "\x1b[2;10r\x1b[r\x1b[;3r\x1b[0;0r", ""},
		{"restored modes are no margins", "\x1b[?1001s\x1b[?1;5r", ""},
		{"origin", "\x1b[2;10r\x1b[?6h", "\x1b[?6l\x1b[r\x1b[999;1H"},
		{"line drawing", "\x1b(0", "\x1b(B"},
		{"line drawing and its end", "\x1b(0qqq\x1b(B", ""},
		{"shift out", "\x1b)0\x0e", "\x0f"},
		{"shift out and in", "\x0eqq\x0f", ""},
		{"other shift", "\x1bn", "\x0f"},
		{"not UTF-8", "\x1b%@", "\x1b%G"},
		{"kitty", "\x1b[>1u\x1b[>31u", "\x1b[<2u"},
		{"kitty and its end", "\x1b[>1u\x1b[>5u\x1b[<u\x1b[<1u\x1b[<5u", ""},
		{"kitty by screen", "\x1b[>1u\x1b[?1049h\x1b[>3u\x1b[=1;2u", "\x1b[<1u\x1b[?1049l\x1b[<1u"},
		{"kitty without a push", "\x1b[=5u\x1b[=1;3u", "\x1b[=0u"},
		{"kitty set and unset", "\x1b[=5u\x1b[=0u", ""},
		{"other keys", "\x1b[>4;1m", "\x1b[>4m"},
		{"insertion, lines, echo", "\x1b[4h\x1b[20h\x1b[12l", "\x1b[4l\x1b[12h\x1b[20l"},
		{"a locked keyboard", "\x1b[2h", "\x1b[2l"},
		{"held output", "\x1b[?25l\x1b[?2026h", "\x1b[?2026l\x1b[?25h"},
		{"reports", "\x1b[?2031h\x1b[?1016h", "\x1b[?1016l\x1b[?2031l"},
		{"unknown modes", "\x1b[?9999h\x1b[99h\x1b[?h\x1b[>1h\x1b[?1$h", ""},
		{"hyperlink", "\x1b]8;id=1;https://a/\x1b\\x", "\x1b]8;;\x1b\\"},
		{"hyperlink, BEL", "\x1b]8;;https://a/\ax", "\x1b]8;;\x1b\\"},
		{"hyperlink and its end", "\x1b]8;;https://a/\ax\x1b]8;;\a\x1b]8;;https://b/\x1b\\\x1b]8;;\x1b\\", ""},
		{"other strings", "\x1b]0;8;;\a\x1b]88;;x\a\x1bPq8;;x\x1b\\\x1b_8;;x\x1b\\\x1b]8x;;y\a", ""},
		{"reset", "\x1b[?1049h\x1b[31m\x1b[?25l\x1bc", ""},
		{"soft reset", "\x1b[?1000h\x1b[31m\x1b[?25l\x1b[?1h\x1b=\x1b[2;3r\x1b(0\x1b[!p", "\x1b[?1000l"},
		{"tmux passes it on", "\x1bPtmux;\x1b\x1b[?1000h\x1b\\", "\x1b[?1000l"},

		// What was cut.
		{"ESC", "a\x1b", "\x18"},
		{"CSI", "a\x1b[?100", "\x18"},
		{"charset", "a\x1b(", "\x18"},
		{"string", "a\x1b]52;c;QUJD", "\x18\x1b\\"},
		{"string's end", "a\x1bPx\x1b", "\x18\x1b\\"},
		{"CSI with modes", "\x1b[?25l\x1b[?1000", "\x18\x1b[?25h"},
		{"mode in a string is none", "\x1b]0;[?25l", "\x18\x1b\\"},
		{"hyperlink that may have begun", "\x1b]8;;https://a/\x1b", "\x18\x1b\\\x1b]8;;\x1b\\"},
		{"cancelled", "\x1b[?25\x18l\x1b]0;x\x1a", ""},

		// How bytes come.
		{"control inside", "\x1b[?2\n5l\x1b\r[31\tm", "\x1b[?25h\x1b[0m"},
		{"DEL inside", "\x1b[?2\x7f5l", "\x1b[?25h"},
		{"8-bit", "\x9b?25l", "\x1b[?25h"},
		{"8-bit as UTF-8", "\u009b?25l", "\x1b[?25h"},
		{"8-bit inside a character", "\u011b?25l ě[?25l", ""},
		{"8-bit in a string", "\x1b]0;\x9c\u009c[x", "\x18\x1b\\"},
		{"marks that are none", "\x1b[?25?l\x1b[2?5l\x1b[?25 1l\x1b[?25!!l", ""},
		{"many numbers", "\x1b[?" + strings.Repeat("1;", 40) + "25l", ""},
		{"large number", "\x1b[?" + strings.Repeat("9", 40) + "h\x1b[?0000000025l", "\x1b[?25h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(watch(tt.in).Undo())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			checkModes(t, tt.in)
		})
	}
}

func TestModesRedo(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"text", ""},
		{"\x1b[31m\x1b]8;;https://a/\a", ""},
		{"\x1b[?25l\x1b[?1049h\x1b[?1000h\x1b=", "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b="},
		{"\x1b[>1u\x1b[?1049h\x1b[>3u\x1b[=1;2u", "\x1b[>1u\x1b[?1049h\x1b[>3u"},
		{"\x1b[3;7r\x1b[?6h\x1b[4h\x1b[12l", "\x1b7\x1b[3;7r\x1b8\x1b[?6h\x1b[4h\x1b[12l"},
		{"\x1b[>4;2m\x1b[4 q\x1b(0\x0e\x1b%@\x1b[=5u", "\x1b[=5u\x1b[>4;2m\x1b[4 q\x1b%@\x1b(0\x0e"},
		{"\x1bo", "\x1bo"},
		{"\x1b[?7l\x1b[", "\x1b[?7l"},
	} {
		if diff := cmp.Diff(tt.want, string(watch(tt.in).Redo())); diff != "" {
			t.Errorf("%q: -want +got:\n%s", tt.in, diff)
		}
	}
}

// undoes is all that Undo may ever say, written independently of it.
var undoes = regexp.MustCompile(`^\x18?(?:\x1b\\)?(?:\x1b\]8;;\x1b\\)?(?:\x1b\[\?6l)?(?:\x1b7\x1b\[r\x1b8|\x1b\[r)?(?:\x1b\[999;1H)?` +
	`(?:\x1b\[<[0-9]{1,5}u)?(?:\x1b\[=0u)?(?:\x1b\[\?(?:47|1047|1049)l){0,3}(?:\x1b\[<[0-9]{1,5}u)?(?:\x1b\[=0u)?` +
	`(?:\x1b\[\?[0-9]{1,4}[hl])*(?:\x1b\[[0-9]{1,2}[hl])*(?:\x1b>)?(?:\x1b\[>4m)?(?:\x1b\[0 q)?(?:\x1b%G)?(?:\x1b\(B)?\x0f?(?:\x1b\[0m)?$`)

// checkModes holds Modes against what must be true of any output.
func checkModes(t *testing.T, in string) {
	t.Helper()
	m := watch(in)
	again := *m
	undo := m.Undo()
	if !undoes.Match(undo) || len(undo) > 400 {
		t.Errorf("Undo after %q is %q", in, undo)
	}
	// Where the stream was cut into pieces does not matter.
	for i := range min(len(in), 200) {
		if got := watch(in[:i], in[i:]).Undo(); !bytes.Equal(got, undo) {
			t.Errorf("cut at %d: Undo after %q is %q, whole %q", i, in, got, undo)
		}
	}
	// A terminal that has seen it has nothing left to undo.
	_, _ = again.Write(undo)
	if rest := again.Undo(); len(rest) != 0 {
		t.Errorf("after %q and %q there is still %q to undo", in, undo, rest)
	}
	// What Redo brings back is all but what it says it leaves out.
	redone := watch(string(m.Redo()))
	want := m.on
	want.pen, want.linked = false, false
	if got := redone.Undo(); !bytes.Equal(got, (&Modes{on: limited8(want)}).Undo()) {
		t.Errorf("after %q, Redo %q is undone by %q", in, m.Redo(), got)
	}
	if !strings.ContainsAny(in, "\x1b\x0e\u009b\u009d\u0090\u0098\u009e\u009f") && !bytes.ContainsAny([]byte(in), "\x90\x98\x9b\x9d\x9e\x9f") && len(undo) > 0 {
		t.Errorf("plain %q gives %q", in, undo)
	}
}

// limited8 takes off what Redo does not bring back of a deep stack.
func limited8(l lasting) lasting {
	for i := range l.keyboards {
		l.keyboards[i].depth = min(l.keyboards[i].depth, len(l.keyboards[i].flags))
	}
	if l.alternate == 0 {
		l.keyboards[1] = keyboard{}
	}
	return l
}

func FuzzModes(f *testing.F) {
	for _, s := range []string{
		"plain\r\n", "\x1b[1;31mred\x1b[0m", "\x1b]8;;https://a/\x1b\\x\x1b]8;;\a", "\x1bPtmux;\x1b\x1b[?1000h\x1b\\", "\x1b[?1049h\x1b[?25l\x1b[2;5r",
		"\x1b[>1u\x1b[<u\x1b[=1;2u", "\x1b(0\x0e\x0f\x1b%@", "\x1b[4h\x1b[12l\x1b[20h\x1b[!p", "\xc2\x9b?25l\x9b\u009d", "\x1bc\x1b=\x1b>\x1b[0 q\x1b[>4;2m",
	} {
		f.Add(s)
	}
	f.Fuzz(checkModes)
}

func TestModesConstantMemory(t *testing.T) {
	chunk := bytes.Repeat([]byte("x\x1b[?1049h\x1b[>1u\x1b]8;;a\ab\x1b[1;2;3;4:5m\xc3\xbc\x9b"), 2000)
	m := &Modes{}
	if n := testing.AllocsPerRun(10, func() { _, _ = m.Write(chunk) }); n != 0 {
		t.Errorf("%v allocations for each Write, want none", n)
	}
	if undo := m.Undo(); !undoes.Match(undo) {
		t.Errorf("Undo is %q", undo)
	}
}

func BenchmarkModes(b *testing.B) {
	for name, piece := range map[string]string{
		"ascii":  "ok  \tgithub.com/someone/something/package\t0.123s and some more words\n",
		"colour": "\x1b[32mok\x1b[0m \x1b[1;34mpackage/name\x1b[0m took \x1b[2m0.123s\x1b[0m\n",
		"utf8":   "Größe über straße – 日本語テキスト und noch etwas mehr\n",
	} {
		b.Run(name, func(b *testing.B) {
			chunk := []byte(strings.Repeat(piece, 1+32<<10/len(piece)))
			m := &Modes{}
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				_, _ = m.Write(chunk)
			}
		})
	}
}
