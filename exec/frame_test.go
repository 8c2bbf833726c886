package exec

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bivy/exec/frame"
	"bivy/sshcmd"
)

// The command lines hold for every login shell.
func TestBootLinesAreSafeEverywhere(t *testing.T) {
	t.Parallel()
	for _, boot := range []string{frame.Boot, frame.BootAlone, frame.BootSpare, bootTTY} {
		if _, err := sshcmd.WrapSh(boot, "sh"); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(bootTTY, readyMark) {
		t.Error("the ready mark is not what the host prints")
	}
}

func TestFrameSaysItsLength(t *testing.T) {
	t.Parallel()
	for name, f := range map[string][]byte{
		"command": commandFrame(Command{Argv: []string{"true"}, Dir: "it's"}, testID(), modeWatch),
		"long":    commandFrame(Command{Script: strings.Repeat("x\n", inlineScript)}, testID(), modeUser),
	} {
		length, rest, ok := bytes.Cut(f, []byte("\n"))
		if n, err := strconv.Atoi(string(length)); !ok || err != nil || n != len(rest) {
			t.Errorf("%s: length %q of %d bytes", name, length, len(rest))
		}
		if !bytes.HasPrefix(rest, []byte("{\n")) || !bytes.HasSuffix(rest, []byte("\n}\n")) {
			t.Errorf("%s: not between braces", name)
		}
	}
}

func TestWithoutComments(t *testing.T) {
	t.Parallel()
	got := frame.Strip("# a\n\na # b\n  # c\n\tb '#'\n   \n  c")
	if want := "a # b\nb '#'\nc"; got != want && got != "a # b\nb '#'\n\nc" {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := len(frame.Strip(supervisor)); n == 0 || n > 4<<10 {
		t.Errorf("the supervisor has %d bytes on its way, want at most 4 KiB", n)
	}
}

// Grace travels in whole seconds, and never as none.
func TestFrameGrace(t *testing.T) {
	t.Parallel()
	for grace, want := range map[time.Duration]string{0: "B_grace=5 ", time.Millisecond: "B_grace=1 ", 2500 * time.Millisecond: "B_grace=2 "} {
		if f := commandFrame(Command{Argv: []string{"true"}, Grace: grace}, testID(), modeWatch); !bytes.Contains(f, []byte(want)) {
			t.Errorf("grace of %s: no %q in the frame", grace, want)
		}
	}
}

// FuzzFrame sends arguments, values and scripts through the first of our
// shells that is there.
func FuzzFrame(f *testing.F) {
	words := hardWords()
	f.Add(words[len(words)-2], "it's", true)
	f.Add("it's", words[len(words)-2], false)
	path := self(f)
	f.Fuzz(func(t *testing.T, word, value string, long bool) {
		script := `exec "$PROGRAM" "$WORD"`
		if long {
			script += strings.Repeat("\n#", inlineScript/2)
		}
		env := []EnvVar{noSleep, {roleVar, roleArgs}, {"VALUE", value}, {"WORD", word}, {"PROGRAM", path}}
		for _, c := range []Command{{Argv: []string{path, word}, Env: env[:3]}, {Script: script, Env: env}} {
			if c.check() != nil {
				continue // a NUL
			}
			if len(word) > inlineScript || len(value) > inlineScript {
				continue // the system's bound for one argument
			}
			r := shell{name: "sh", argv: []string{"/bin/sh"}}.run(t, setup{}, c)
			r.wantExit(t, 0)
			if want := value + "\x00" + word; r.stdout != want {
				t.Errorf("got %q, want %q", r.stdout, want)
			}
		}
	})
}

// Nothing of log.sh travels with a command that has no log.
func TestFrameWithoutLog(t *testing.T) {
	t.Parallel()
	for c, want := range map[*Command]bool{{Argv: []string{"true"}}: false, {Argv: []string{"true"}, Log: 1}: true} {
		text := string(commandFrame(*c, testID(), modeWatch))
		if slices.ContainsFunc([]string{"bivy_trim", "B_log=", "ulimit"}, func(s string) bool { return strings.Contains(text, s) != want }) {
			t.Errorf("a log of %d: parts of log.sh in the frame, or not; want %v", c.Log, want)
		}
	}
}
