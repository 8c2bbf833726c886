package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"bivy/integration/sshdtest"
)

// allowed is what may pass to a terminal of all that begins with ESC: colours,
// plain cursor movement, erasing, links to the web.
var allowed = regexp.MustCompile(`\x1b\[[0-9;:]*m|\x1b\[[0-9;]*[A-Hdf]|\x1b\[[012]?[JK]|\x1b\]8;;(?:(?:https?://|mailto:)[!-~]+)?\x1b\\`)

// harmless checks that nothing else reached the terminal.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	rest := allowed.ReplaceAllString(text, "")
	bad := func(r rune) bool {
		return r < ' ' && !strings.ContainsRune("\t\n\r\b", r) || r >= 0x7f && r < 0xa0
	}
	if i := strings.IndexFunc(rest, bad); i >= 0 || !utf8.ValidString(rest) {
		t.Errorf("%s: the terminal gets %q", what, text)
	}
}

// attacks are sequences that do something to a terminal, or make it type.
var attacks = []string{
	`\033]52;c;Y2FuYXJ5\007`, `\033]52;c;?\007`, `\033]0;title\007`, `\033]2;title\033\\`, `\033]8;;file:///etc/passwd\033\\`,
	`\033]1337;File=x\007`, `\033]777;notify;a;b\007`, `\033P$q"p\033\\`, `\033P+q544e\033\\`, `\033Ptmux;\033\033]0;x\007\033\\`,
	`\033_apc\033\\`, `\033^pm\033\\`, `\033Xsos\033\\`, `\033[6n`, `\033[5n`, `\033[c`, `\033[>c`, `\033[=c`, `\033[x`, `\033[18t`, `\033[21t`,
	`\033[?1049h`, `\033[?47h`, `\033[?1000h`, `\033[?1003;1006h`, `\033[?2004h`, `\033[?25l`, `\033[?1$p`, `\033[!p`, `\033[4i`, `\033[>4;2m`, `\033[3J`,
	`\033c`, `\033(0`, `\033#8`, `\033=`, `\033Z`, `\016`, `\005`, `\007`, `\177`,
	`\233c`, `\233?1049h`, `\2350;title\234`, `\220$qm\234`, `\237apc\234`, `\302\2336n`, `\302\2350;t\302\234`,
}

// TestHostileOutput: of a command's output only text and looks reach a
// terminal; what is no sequence stays.
func TestHostileOutput(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		script, want := "", ""
		for i, attack := range attacks {
			mark := "<" + string(rune('A'+i%26)) + ">"
			script += "printf '" + mark + attack + "'; printf '" + attack + "' >&2\n"
			want += mark
		}
		partial := []string{`\033`, `\033[`, `\033[31`, `\033]0;half`, `\033Phalf`, `\302`, `\342\202`, `\235half`}
		for _, end := range partial {
			sc := w.onTerminal(w.spec("exec", "--host", "gpu1", "-c", script+"printf 'end"+end+"'"))
			code := sc.wait()
			if text := allowed.ReplaceAllString(sc.text(), ""); code != 0 || !strings.Contains(text, "end") {
				t.Errorf("%s: code %d, %q", end, code, text)
			}
			harmless(t, "an end in "+end, sc.text())
			for _, mark := range strings.SplitAfter(want, ">") {
				if !strings.Contains(sc.text(), mark) {
					t.Errorf("%s swallows %s: %q", end, mark, sc.text())
				}
			}
		}
		// Colours, movement and letters stay as they are.
		plain := "\x1b[1;31mred\x1b[0m\x1b[2Kgröße €\x1b[3D \x1b]8;;https://example.org/\x1b\\link\x1b]8;;\x1b\\"
		sc := w.onTerminal(w.spec("exec", "--host", "gpu1", "--env", "TEXT="+plain, "-c", `printf '%s' "$TEXT"`))
		if code := sc.wait(); code != 0 || !strings.HasPrefix(sc.text(), plain) {
			t.Errorf("looks: code %d, %q, want %q", code, sc.text(), plain)
		}
		// A pipe, and a terminal with --raw, get every byte.
		raw := w.bivy("exec", "--host", "gpu1", "-c", script)
		s := w.spec("exec", "--host", "gpu1", "--raw", "-c", script)
		s.Stderr, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		sc = w.onTerminal(s)
		if code := sc.wait(); code != 0 || sc.text() != raw.stdout || !strings.Contains(raw.stdout, "\x1b]52;c;Y2FuYXJ5\a") || !strings.Contains(raw.stdout, "\x9bc") {
			t.Errorf("--raw: code %d, %q, want %q", code, sc.text(), raw.stdout)
		}
	})
}

const (
	// evil is text as a host may say it, and printEvil what says it there.
	evil      = "evil\x1b]0;owned\a\x1b[31m\x9b31m\xc2\x9bx"
	printEvil = `printf 'evil\033]0;owned\007\033[31m\2333\302\233x\n'`
)

// told runs bivy on a terminal and checks that what it says of a hostile host
// is harmless, and still says it.
func (w *world) told(t *testing.T, code int, word string, args ...string) {
	t.Helper()
	for _, flag := range []string{"-v", "--batch"} {
		sc := w.onTerminal(w.spec(append([]string{args[0], flag}, args[1:]...)...))
		if got := sc.wait(); got != code || !strings.Contains(sc.text(), word) {
			t.Errorf("%q gives code %d, %q; want %d and %q", args, got, sc.text(), code, word)
		}
		harmless(t, strings.Join(args, " "), sc.text())
		if strings.Contains(sc.text(), "\x1b[31mx") {
			t.Errorf("%q lets the host colour our words: %q", args, sc.text())
		}
	}
	got := w.bivy(append([]string{args[0], "--json"}, args[1:]...)...)
	if strings.ContainsAny(got.stderr, "\x1b\a") {
		t.Errorf("%q as JSON gives %v", args, got)
	}
}

// TestHostileWords: what a host says instead of starting our shell, before the
// login, and in its proxy's words.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]sshdtest.Options{
		"forced":        {ForceCommand: printEvil + "; exit 3"},
		"forced stderr": {ForceCommand: printEvil + " >&2; exit 3"},
		"rc":            {LoginShell: "bash", RC: printEvil + "; exit 3"},
	} {
		t.Run(name, func(t *testing.T) {
			onServer(t, sshdtest.Start, o, func(t *testing.T, w *world) {
				w.told(t, 93, "evil", "exec", "--host", "gpu1", "--", "true")
				w.told(t, 93, "evil", "exec", "-t", "--host", "gpu1", "--", "true")
				w.told(t, 93, "evil", "new", "ws", "--host", "gpu1")
			})
		})
	}
	t.Run("banner", func(t *testing.T) {
		t.Parallel()
		file := t.TempDir() + "/banner"
		if err := os.WriteFile(file, []byte(evil+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		withServer(t, sshdtest.Start, sshdtest.Options{Extra: []string{"Banner " + file}}, func(t *testing.T, w *world) {
			w.hostBlock("stranger", "IdentityFile "+w.server.NewKey(t))
			w.told(t, 91, "Permission denied", "exec", "--host", "stranger", "--", "true")
			w.told(t, 91, "Permission denied", "host", "connect", "stranger")
			w.told(t, 0, "", "exec", "--host", "gpu1", "--", "true")
		})
	})
	t.Run("proxy", func(t *testing.T) {
		onServer(t, sshdtest.Start, sshdtest.Options{}, func(t *testing.T, w *world) {
			w.script(w.root+"/proxy", printEvil+" >&2; exit 1")
			w.script(w.root+"/http", printEvil)
			w.hostBlock("stopped", "ProxyCommand "+w.root+"/proxy")
			w.hostBlock("nossh", "ProxyCommand "+w.root+"/http")
			w.told(t, 90, "evil", "exec", "--host", "stopped", "--", "true")
			w.told(t, 90, "evil", "host", "connect", "stopped")
			w.told(t, 90, "", "exec", "--host", "nossh", "--", "true")
		})
	})
}

// TestHostileNames: noise before a command, and files, branches, commits and
// processes whose names are attacks.
func TestHostileNames(t *testing.T) {
	onServer(t, sshdtest.Start, sshdtest.Options{LoginShell: "bash", RC: printEvil + "; " + printEvil + " >&2"}, func(t *testing.T, w *world) {
		w.told(t, 0, "", "exec", "--host", "gpu1", "--", "true")
		w.told(t, 82, "evil", "exec", "--host", "gpu1", "--dir", "no/"+evil, "--", "true")
		w.told(t, 127, "", "exec", "--host", "gpu1", "--", evil)
		w.wants(0, "new", "ws", "--host", "gpu1")
		w.told(t, 82, "evil", "exec", "ws", "--dir", evil, "--", "true")
		w.wants(0, "exec", "ws", "--env", "EVIL="+evil, "-c", `: >"$EVIL"; echo x >>README; git add README
git -c user.name="$EVIL" commit -qm "$EVIL"; git config core.quotePath false; mkdir "dir$EVIL"; : >"dir$EVIL/f"; git checkout -qb "h`+"\u202e"+`x" 2>/dev/null; echo "$EVIL" >>src/main.txt`)
		stop := w.start(w.spec("exec", "ws", "--env", "EVIL="+evil, "-c", `: >~/up; sh -c 'until [ -e ~/go ]; do sleep 0.05; done' "$EVIL"; :`))
		w.eventually("it runs", func() bool { return exists(w.remote + "/up") })
		w.told(t, 0, "evil", "status", "ws")
		w.told(t, 0, "ws", "ls", "--check")
		w.told(t, 83, "evil", "rm", "ws")
		w.write(w.remote+"/go", "")
		if got := stop.wait(); got.code != 0 {
			t.Errorf("the command gives %v", got)
		}
	})
}
