package sshcmd

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/exec/proc"
)

// posixShells are those that Quote is made for; loginShells those that
// WrapSh must pass through as well. Each is tried where it is installed.
var (
	posixShells = [][]string{{"sh"}, {"dash"}, {"bash"}, {"busybox", "sh"}, {"zsh"}, {"mksh"}}
	loginShells = append([][]string{{"fish"}, {"tcsh"}, {"nu"}}, posixShells...)
)

// shell runs a command line as a login shell does for sshd, with -c. It
// returns the output, and false if the shell is not installed.
func shell(t *testing.T, shell []string, command string) (string, bool) {
	t.Helper()
	var out, words bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{
		Args: append(append([]string{}, shell...), "-c", command), Stdout: &out, Stderr: &words,
		// No rc file of the person who runs the tests.
		Env: []string{"HOME=" + t.TempDir(), "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8"}, Isolation: proc.Session,
	})
	var missing *proc.NotFoundError
	if errors.As(err, &missing) {
		return "", false
	}
	if err != nil || !exit.OK() {
		t.Fatalf("%s -c %q: %v, %v, stderr %q", shell, command, exit, err, words.String())
	}
	return out.String(), true
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", "a": "a", "a b": "'a b'", "it's": `'it'\''s'`, "-n": "-n", "A=b": "A=b", "=ls": "'=ls'",
		"~": "'~'", "*": "'*'", "$HOME": "'$HOME'", "u@h:/x,y+%_.-": "u@h:/x,y+%_.-", "é": "'é'", "a\nb": "'a\nb'", "{a,b}": "'{a,b}'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
	if got, want := QuoteAll([]string{"a", "", "b c"}), "a '' 'b c'"; got != want {
		t.Errorf("QuoteAll = %s, want %s", got, want)
	}
	if got := QuoteAll(nil); got != "" {
		t.Errorf("QuoteAll(nil) = %q", got)
	}
	if got, want := EscapePercent("50%/%h"), "50%%/%%h"; got != want {
		t.Errorf("EscapePercent = %s, want %s", got, want)
	}
}

// hardWords is every byte but NUL, alone and together, and the traps of each
// shell.
func hardWords() []string {
	list := []string{
		"", " ", "'", "''", "'\\''", `\`, `\\'`, `"`, "$HOME", "${HOME}", "$(id)", "`id`", "!", "!!", "#x", "~", "~root", "=ls", "-n", "--",
		"*", "?", "[a]", "{a,b}", "a\nb\n", "\n", "\r\n", "\t", ";", "&&", "|", "<", ">", "%", "%%", "%s", "\\n", "\\033", "^a", "a=b", "[[", "if",
		"\xff\xfe", "\x80", "é", "\u202e", strings.Repeat("x", 70000),
	}
	var all []byte
	for b := 1; b < 256; b++ {
		all = append(all, byte(b))
		list = append(list, string([]byte{byte(b)}))
	}
	return append(list, string(all))
}

// echo prints its arguments exactly, each ended by a NUL byte. printf reuses
// its format, also for no argument at all.
const echo = `printf '%s\0' `

func TestQuoteInShells(t *testing.T) {
	words := hardWords()
	want := strings.Join(words, "\x00") + "\x00"
	tried := 0
	for _, sh := range posixShells {
		// One argument of execve holds at most 128 KiB, so the long word
		// needs the bytes of the others to fit beside it.
		got, ok := shell(t, sh, echo+QuoteAll(words))
		if !ok {
			continue
		}
		tried++
		if got != want {
			t.Errorf("%s: %s", sh, firstDifference(words, strings.Split(got, "\x00")))
		}
	}
	if tried == 0 {
		t.Error("there is no shell here, not even sh")
	}
}

func firstDifference(want, got []string) string {
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			return cmp.Diff(w, append(got, make([]string, len(want))...)[i])
		}
	}
	return "more words than were sent"
}

func FuzzQuote(f *testing.F) {
	for _, word := range hardWords()[:40] {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.Contains(word, "\x00") {
			return
		}
		for _, sh := range posixShells {
			got, ok := shell(t, sh, echo+Quote(word))
			if ok && got != word+"\x00" {
				t.Errorf("%s turns %q into %q", sh, word, got)
			}
		}
	})
}

// printable is every byte that WrapSh lets through.
func printable() string {
	var s strings.Builder
	for b := byte(' '); b <= '~'; b++ {
		if b != '\'' && b != '!' && b != '\\' {
			s.WriteByte(b)
		}
	}
	return s.String()
}

func TestWrapSh(t *testing.T) {
	for _, tc := range []struct {
		script, name, want string
		err                error
	}{
		{`eval "$(dd bs=1 count=9)"`, "bivy", `exec /bin/sh -c 'eval "$(dd bs=1 count=9)"' bivy`, nil},
		{"", "b", "exec /bin/sh -c '' b", nil},
		{"it's", "b", "", &ScriptError{"script", 2, '\''}},
		{"a!", "b", "", &ScriptError{"script", 1, '!'}},
		{`a\`, "b", "", &ScriptError{"script", 1, '\\'}},
		{"a\nb", "b", "", &ScriptError{"script", 1, '\n'}},
		{"a\x00", "b", "", &ScriptError{"script", 1, 0}},
		{"\tx", "b", "", &ScriptError{"script", 0, '\t'}},
		{"é", "b", "", &ScriptError{"script", 0, 0xc3}},
		{"a", "", "", &ScriptError{"name", 0, 0}},
		{"a", "b c", "", &ScriptError{"name", 1, ' '}},
		{"a", "%1", "", &ScriptError{"name", 0, '%'}},
		{"a", "a=b", "", &ScriptError{"name", 1, '='}},
	} {
		got, err := WrapSh(tc.script, tc.name)
		if diff := cmp.Diff(tc.err, err); diff != "" || got != tc.want {
			t.Errorf("WrapSh(%q, %q) = %q (-want +got):\n%s", tc.script, tc.name, got, diff)
		}
	}
	err := &ScriptError{"script", 2, '\''}
	want := `wrap for /bin/sh: byte '\'' at 2 of the script is not safe in every login shell; send the script on stdin`
	if err.Error() != want {
		t.Errorf("error = %s\nwant    %s", err, want)
	}
}

// Every byte that WrapSh lets through stands once in a double-quoted word,
// where all but " $ and ` are themselves, and once in a comment, where a login
// shell that touched the script would break the quoting around it.
func TestWrapShInLoginShells(t *testing.T) {
	safe := strings.NewReplacer(`"`, "", "$", "", "`", "").Replace(printable())
	script := `printf "%s/%s/%s." "` + safe + `" "$0" "$(echo "a  b")"; # ` + printable() + strings.Repeat("x", 4000)
	command, err := WrapSh(script, "a-name_1")
	if err != nil {
		t.Fatal(err)
	}
	want := safe + "/a-name_1/a  b."
	for _, sh := range loginShells {
		if got, ok := shell(t, sh, command); ok && got != want {
			t.Errorf("%s (-want +got):\n%s", sh, cmp.Diff(want, got))
		}
	}
}

func FuzzWrapSh(f *testing.F) {
	f.Add(`a"$b`, "n")
	f.Add("", "x-1")
	f.Fuzz(func(t *testing.T, text, name string) {
		// The text is data in a double-quoted word of the script.
		safe := strings.NewReplacer(`"`, "", "$", "", "`", "").Replace(text)
		command, err := WrapSh(`printf %s "`+safe+`" "$0"`, name)
		if err != nil {
			return
		}
		for _, sh := range loginShells {
			if got, ok := shell(t, sh, command); ok && got != safe+name {
				t.Errorf("%s turns %q into %q", sh, safe+name, got)
			}
		}
	})
}

func TestWords(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"ssh", []string{"ssh"}},
		{"kitten ssh", []string{"kitten", "ssh"}},
		{`"/opt/my ssh" -v  'a b'`, []string{"/opt/my ssh", "-v", "a b"}},
		{"ssh # my own", []string{"ssh"}},
		{"", nil},
		{"  ", nil},
		{`"" x`, nil},
		{`"unfinished`, nil},
	} {
		got, err := Words(tc.in)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err == nil) != (tc.want != nil) {
			t.Errorf("Words(%q) error %v (-want +got):\n%s", tc.in, err, diff)
		}
	}
}
