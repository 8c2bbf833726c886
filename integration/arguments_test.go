package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// loginShells are those that an account may have.
var loginShells = []string{"sh", "bash", "zsh", "fish", "tcsh"}

// oddArguments must arrive as they were sent.
var oddArguments = []string{
	"two words", "it's", `say "so"`, "$HOME", "`id`", "$(id)", "%s %n %%", "!!", "!", "one\ntwo\n\n", "\ttab\r",
	"\xff\xfe\x80", "é 日本", "-n", "--", "-c", "", "*", "~", "~root", "a;b|c&d>e<f", "#no", `\`, `\\n`, "{a,b}", "[x]", "^x", "=x", "\x01\x7f\x1b[31m",
}

// TestArguments is for sshd only: a login shell with startup files that print
// is what sshd starts; the sandbox passes -c to its own shell alike.
func TestArguments(t *testing.T) {
	for _, shell := range loginShells {
		t.Run(shell, func(t *testing.T) {
			if os.Getenv("BIVY_REQUIRE_SSHD") != "1" && !installed(shell) {
				// .ci/run installs all of them.
				t.Skipf("%s is not installed", shell)
			}
			onSSHD(t, hostOptions{Shell: shell, RC: "echo NOISE-OUT\nsh -c 'echo NOISE-ERR >&2'"}, testArguments)
		})
	}
}

func installed(program string) bool {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if exists(filepath.Join(dir, program)) {
			return true
		}
	}
	return false
}

func testArguments(t *testing.T, w *world) {
	t.Helper()
	exact := func(what string, got, want result) {
		t.Helper()
		if got != want {
			t.Errorf("%s: code %d, stdout %.300q, stderr %.300q; want code %d, stdout %.300q, stderr %q",
				what, got.code, got.stdout, got.stderr, want.code, want.stdout, want.stderr)
		}
	}
	args := append([]string{"exec", "--host", "gpu1", "--", "printf", `[%s]\n`}, oddArguments...)
	want := "[" + strings.Join(oddArguments, "]\n[") + "]\n"
	exact("arguments", w.bivy(args...), result{0, want, ""})

	// The kernel takes 128 KiB for one argument and a few MiB for all.
	args = []string{"exec", "--host", "gpu1", "--", "printf", "%s"}
	long := strings.Repeat("0123456789abcde'", 6400)
	for range 11 {
		args = append(args, long)
	}
	exact("1.1 MiB of arguments", w.bivy(args...), result{0, strings.Repeat(long, 11), ""})

	script := "# '\"$!%`\n: '" + strings.Repeat("x $HOME \\ ! % \" \n", 7500) + "'\nprintf '%s' \"end\"; echo err >&2; exit 3"
	exact("a long script", w.bivy("exec", "--host", "gpu1", "-c", script), result{3, "end", "err\n"})

	// One mebibyte does not fit into one argument here; on stdin it does.
	body := strings.Repeat("# 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", 16384)
	w.write(w.root+"/script", body+"echo end; exit 4\n")
	file, err := os.Open(w.root + "/script")
	w.must(err)
	defer file.Close() //nolint:errcheck // it was only read
	s := w.spec("exec", "--host", "gpu1", "-i", "--", "sh")
	s.Stdin = file
	exact("a script on stdin", w.run(s), result{4, "end\n", ""})

	env := "it's $HOME `x` \"%\" !\nline"
	exact("a variable", w.bivy("exec", "--host", "gpu1", "--env", "V="+env, "--", "sh", "-c", `printf %s "$V"`), result{0, env, ""})
	w.must(os.MkdirAll(w.remote+"/odd dir's $x", 0o700))
	exact("a directory", w.bivy("exec", "--host", "gpu1", "--dir", "odd dir's $x", "--", "pwd"),
		result{0, w.remote + "/odd dir's $x\n", ""})

	exact("255", w.bivy("exec", "--host", "gpu1", "--", "sh", "-c", "exit 255"), result{255, "", ""})
	for name, c := range map[string]struct {
		script string
		fields map[string]any
	}{
		"exit": {"exit 137", map[string]any{"state": "exited", "code": 137.0}},
		"kill": {"kill -9 $$", map[string]any{"state": "signaled", "code": nil, "signal": "KILL"}},
	} {
		receipt := w.root + "/receipt-" + name
		exact(c.script, w.bivy("exec", "--host", "gpu1", "--result", receipt, "--", "sh", "-c", c.script), result{137, "", ""})
		w.wantReceipt(receipt, c.fields)
	}
	if got := w.wants(0, "new", "ws", "--host", "gpu1"); got.stdout != "ws\n" || strings.Contains(got.stderr, "NOISE") {
		t.Errorf("bivy new gives %v", got)
	}
	if got := w.wants(0, "status", "ws", "--json"); !strings.Contains(got.stdout, `"clean":true`) {
		t.Errorf("bivy status gives %v", got)
	}
}

// TestLoginPath: what a login finds, a command finds.
func TestLoginPath(t *testing.T) {
	for _, shell := range loginShells {
		t.Run(shell, func(t *testing.T) {
			if os.Getenv("BIVY_REQUIRE_SSHD") != "1" && !installed(shell) {
				// .ci/run installs all of them.
				t.Skipf("%s is not installed", shell)
			}
			onSSHD(t, hostOptions{Shell: shell}, func(t *testing.T, w *world) {
				w.script(w.remote+"/tools/only-there", "echo found")
				line := "export PATH=\"$HOME/tools:$PATH\"\n"
				switch shell {
				case "fish":
					w.write(w.remote+"/.config/fish/config.fish", "if status is-login\nset -gx PATH $HOME/tools $PATH\nend\n")
				case "tcsh":
					w.write(w.remote+"/.login", "setenv PATH \"$HOME/tools:$PATH\"\n")
				case "zsh":
					w.write(w.remote+"/.zprofile", line)
				default:
					w.write(w.remote+"/.profile", line)
				}
				if got := w.bivy("exec", "--host", "gpu1", "--", "only-there"); got.stdout != "found\n" {
					t.Errorf("a program of the login PATH gives %v", got)
				}
				w.wants(127, "exec", "--host", "gpu1", "--login-env", "off", "--", "only-there")
			})
		})
	}
}

// TestStdinHint says once, and only to a terminal, that stdin is not read.
func TestStdinHint(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		r, stdin, err := os.Pipe()
		w.must(err)
		defer r.Close()     //nolint:errcheck // nothing was read
		defer stdin.Close() //nolint:errcheck // nothing was written
		s := w.spec("exec", "--host", "gpu1", "--", "true")
		s.Stdin = r
		if got := w.run(s); got.code != 0 || got.stderr != "" {
			t.Errorf("without a terminal: %v", got)
		}
		screen := w.onTerminal(proc.Spec{Args: s.Args, Dir: s.Dir, Env: s.Env, Stdin: r})
		if code := screen.wait(); code != 0 || strings.Count(screen.text(), "-i") != 1 {
			t.Errorf("at a terminal: code %d, %q", code, screen.text())
		}
		if fmt.Sprint(w.logins()) != "1" {
			t.Errorf("%d logins, want 1", w.logins())
		}
	})
}
