package exec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSupervisorReportsExitCodes(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		for _, code := range []int{0, 1, 127, 130, 137, 143, 254, 255} {
			r := sh.run(t, setup{}, Command{Argv: []string{"/bin/sh", "-c", fmt.Sprintf("echo out; echo err >&2; exit %d", code)}})
			r.wantExit(t, code)
			if r.out.signal != 0 || r.err.signal != 0 {
				t.Errorf("exit %d was reported as signal %d", code, r.out.signal)
			}
			if r.stdout != "out\n" || r.stderr != "err\n" {
				t.Errorf("exit %d: stdout %q, stderr %q", code, r.stdout, r.stderr)
			}
			if r.out.pgid != r.out.pid {
				t.Errorf("the leader of a session has group %d, not its own %d", r.out.pgid, r.out.pid)
			}
		}
	})
}

func TestSupervisorReportsSignals(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV, syscall.SIGHUP, syscall.SIGABRT} {
			r := sh.run(t, setup{}, Command{Argv: []string{"/bin/sh", "-c", fmt.Sprintf("kill -%d $$", sig)}})
			r.wantExit(t, 128+int(sig))
			want := int(sig)
			if sh.mute {
				want = 0
			}
			if r.out.signal != want || r.err.signal != want {
				t.Errorf("signal %d was reported as %d on stdout and %d on stderr, want %d", sig, r.out.signal, r.err.signal, want)
			}
			if r.stdout != "" || r.stderr != "" {
				t.Errorf("the supervisor's own words are in the output: stdout %q, stderr %q", r.stdout, r.stderr)
			}
		}
	})
}

// A command that is not there is the command's own failure, as in any shell.
func TestSupervisorCommandNotFound(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		r := sh.run(t, setup{}, Command{Argv: []string{"bivy-no-such-program"}})
		r.wantExit(t, 127)
		if !strings.Contains(r.stderr, "bivy-no-such-program") {
			t.Errorf("stderr does not name the program: %q", r.stderr)
		}
	})
}

// hardWords are the traps of shells, and every byte that an argument can hold.
func hardWords() []string {
	var all []byte
	for b := 1; b < 256; b++ {
		all = append(all, byte(b))
	}
	return []string{
		"", "a b", " ", "'", `"`, `\`, `\\'`, "$HOME", "$(id)", "`id`", "!!", "a!b", "%", "%s%%", "line\nline\n", "\n", "\r\n", "\t",
		"-n", "--", "-", "~", "~/x", "*", "?", "#", "=ls", "A=b", "{a,b}", "\xff\xfe", "\x80", "é", "bivy-end-" + testNonce, "EOF",
		"\x1ebivy:", string(all), strings.Repeat("x", 50_000),
	}
}

func TestSupervisorPassesEveryArgument(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		words := hardWords()
		r := sh.run(t, setup{}, Command{Argv: append([]string{self(t)}, words...), Env: []EnvVar{noSleep, {roleVar, roleArgs}}})
		r.wantExit(t, 0)
		if diff := cmp.Diff(append([]string{""}, words...), strings.Split(r.stdout, "\x00")); diff != "" {
			t.Errorf("arguments (-sent +received):\n%s", diff)
		}
	})
}

func TestSupervisorPassesEveryValue(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		var env []EnvVar
		script := ""
		for i, w := range hardWords() {
			env = append(env, EnvVar{fmt.Sprintf("V%d", i), w})
			script += fmt.Sprintf("printf '%%s\\0' \"$V%d\"\n", i)
		}
		r := sh.run(t, setup{}, Command{Script: script, Env: env})
		r.wantExit(t, 0)
		if diff := cmp.Diff(strings.Join(hardWords(), "\x00")+"\x00", r.stdout); diff != "" {
			t.Errorf("values (-sent +received):\n%s", diff)
		}
	})
}

// exec takes a name with a dash for an option, in every shell another one.
func TestSupervisorRunsProgramNamedLikeAnOption(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, name := range []string{"-prog", "+prog", "-"} {
		writeProgram(t, filepath.Join(bin, name), "printf '<%s>' \"${0##*/}\" \"$@\"")
	}
	eachShell(t, func(t *testing.T, sh shell) {
		for _, name := range []string{"-prog", "+prog", "-"} {
			r := sh.run(t, setup{path: bin}, Command{Argv: []string{name, "-c", "a b"}})
			r.wantExit(t, 0)
			if want := "<" + name + "><-c><a b>"; r.stdout != want {
				t.Errorf("output %q, want %q", r.stdout, want)
			}
			r = sh.run(t, setup{path: bin}, Command{Script: name + " x"})
			r.wantExit(t, 0)
			if want := "<" + name + "><x>"; r.stdout != want {
				t.Errorf("output of the script %q, want %q", r.stdout, want)
			}
		}
	})
}

func writeProgram(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestSupervisorRunsLongScripts(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat("# it's $filler `with` \\ traps \"and\" bivy-end\nbivy_end=1\n", 20_000)
	for name, tail := range map[string]string{
		"newline at the end":    "printf '%s,%s,%s' \"$0\" \"$#\" ok; exit 7\n",
		"no newline at the end": "printf '%s,%s,%s' \"$0\" \"$#\" ok; exit 7",
		"its own here document": "cat <<'bivy-end'\nsh,0,ok\nbivy-end\nprintf 'sh,0,ok'; exit 7",
		"reads descriptor 9":    "(cat <&9) 2>/dev/null; printf 'sh,0,ok'; exit 7",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, sh shell) {
				r := sh.run(t, setup{}, Command{Script: filler + tail})
				r.wantExit(t, 7)
				want := "sh,0,ok"
				if strings.Contains(tail, "<<") {
					want = "sh,0,ok\nsh,0,ok"
				}
				if r.stdout != want || r.stderr != "" {
					t.Errorf("stdout %q, want %q; stderr %.300q", r.stdout, want, r.stderr)
				}
			})
		})
	}
}

// Both forms of a script are the same to it, just below the limit and above.
func TestScriptAroundTheInlineLimit(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		for _, size := range []int{inlineScript - 1, inlineScript, inlineScript + 1} {
			end := "\nprintf '%s' \"$0 $# ${x}\""
			script := "x=1\n#" + strings.Repeat("y", size-len(end)-5) + end
			if len(script) != size {
				t.Fatalf("script of %d bytes, want %d", len(script), size)
			}
			r := sh.run(t, setup{}, Command{Script: script})
			r.wantExit(t, 0)
			if r.stdout != "sh 0 1" {
				t.Errorf("%d bytes: stdout %q, stderr %.200q", size, r.stdout, r.stderr)
			}
		}
	})
}

func TestSupervisorDirectories(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		odd := filepath.Join(home, "with space", "-dash", "$HOME's\nline")
		for _, dir := range []string{filepath.Join(home, "x"), filepath.Join(home, "~"), odd} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		elsewhere := t.TempDir()
		for dir, want := range map[string]string{
			"": home, "~": home, "~/": home, "~/x": home + "/x", "~/with space": home + "/with space", odd: odd, "/": "/",
			"~/~": home + "/~",
		} {
			r := sh.run(t, setup{home: home, dir: elsewhere}, Command{Dir: dir, Script: "printf %s. \"$(/bin/pwd)\""})
			r.wantExit(t, 0)
			if strings.TrimSuffix(r.stdout, ".") != want {
				t.Errorf("dir %q is %q on the host, want %q", dir, r.stdout, want)
			}
		}
		canary := filepath.Join(home, "canary")
		for _, dir := range []string{"/nonexistent/x", "~/missing", "~nobody", canary + "-not"} {
			r := sh.run(t, setup{home: home, dir: elsewhere}, Command{Dir: dir, Argv: []string{"touch", canary}})
			if r.out.failed != "dir" || r.err.failed != "dir" || r.out.started || r.out.exited || r.exit.Code != 1 {
				t.Errorf("dir %q: marks %+v and %+v, %s", dir, r.out, r.err, r.exit)
			}
		}
		if exists(canary) {
			t.Error("a command ran without its directory")
		}
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestSupervisorLeavesUserStdinAlone(t *testing.T) {
	t.Parallel()
	data := make([]byte, 3<<20)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(data)
	sum := sha256.Sum256(data)
	eachShell(t, func(t *testing.T, sh shell) {
		s := sh.start(t, setup{})
		s.feedAll(commandFrame(Command{Argv: []string{"sha256sum"}}, testID(), modeUser), data)
		r := s.wait()
		r.wantExit(t, 0)
		if want := hex.EncodeToString(sum[:]); !strings.HasPrefix(r.stdout, want) {
			t.Errorf("digest %q, want %s", r.stdout, want)
		}
		// The first byte behind the frame is the command's, and so is a stdin
		// that is empty.
		for _, in := range []string{"", "\n", "\n\n x", "no newline"} {
			s := sh.start(t, setup{})
			s.feedAll(commandFrame(Command{Argv: []string{"cat"}}, testID(), modeUser), []byte(in))
			r := s.wait()
			r.wantExit(t, 0)
			if r.stdout != in {
				t.Errorf("stdin %q arrived as %q", in, r.stdout)
			}
		}
	})
}

// Without the user's stdin a command has an empty one, not the lifeline.
func TestSupervisorWithoutStdin(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		r := sh.run(t, setup{}, Command{Script: "cat; echo end; ls /proc/self/fd | wc -l >&2"})
		r.wantExit(t, 0)
		if r.stdout != "end\n" {
			t.Errorf("output %q", r.stdout)
		}
	})
}
