package integration

import (
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/internal/leak"
)

// watch looks at all processes of the machine, which is both sides, for words
// that must be in no argument, and in no environment but where allowed.
type watch struct {
	words   []string
	allowed func(leak.Process) bool

	looks sync.WaitGroup
	stop  context.CancelFunc
	mu    sync.Mutex
	found map[string]bool
	seen  int // processes that had a word where it is allowed
}

func watchProcesses(t *testing.T, allowed func(leak.Process) bool, words ...string) *watch {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	v := &watch{words: words, allowed: allowed, stop: stop, found: map[string]bool{}}
	v.looks.Go(func() {
		for ctx.Err() == nil {
			v.look()
			runtime.Gosched()
		}
	})
	t.Cleanup(v.end)
	return v
}

func (v *watch) end() {
	v.stop()
	v.looks.Wait()
}

func (v *watch) look() {
	for _, p := range leak.All() {
		for _, word := range v.words {
			if strings.Contains(strings.Join(p.Args, "\x00"), word) {
				v.note("the arguments of "+p.String(), false)
			}
			if strings.Contains(strings.Join(p.Env, "\x00"), word) {
				v.note("the environment of "+strings.Join(p.Args, " "), v.allowed(p))
			}
		}
	}
}

func (v *watch) note(where string, allowed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if allowed {
		v.seen++
		return
	}
	v.found[where] = true
}

// filesWith are the files below a directory that hold a word.
func filesWith(t *testing.T, root string, words ...string) []string {
	t.Helper()
	var found []string
	looked := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // it has gone meanwhile, or is a socket
		}
		data, err := os.ReadFile(path) //nolint:gosec // the directory is the test's own
		if err != nil {
			return nil
		}
		looked++
		for _, word := range words {
			if strings.Contains(string(data), word) {
				found = append(found, path)
			}
		}
		return nil
	})
	if err != nil || looked < 10 {
		t.Errorf("%d files were looked at, %v", looked, err)
	}
	return found
}

// TestCanary: secrets reach the command and what is to see them, and nothing
// else.
func TestCanary(t *testing.T) {
	if runtime.GOOS != "linux" {
		// Only there can one see the environment of others.
		t.Skip("environments are to be seen in /proc only")
	}
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		if w.kind == kindSSHD {
			sshdtest.RequireTerminal(t)
		}
		stored, variable, token := "canary-s-"+rand.Text(), "canary-v-"+rand.Text(), "canary-t-"+rand.Text()
		words := []string{stored, variable, token}
		plain := w.env
		w.env = append(slices.Clip(plain), "CANARY_VARIABLE="+variable, "CANARY_TOKEN="+token)
		v := watchProcesses(t, func(p leak.Process) bool {
			if slices.ContainsFunc(p.Env, func(s string) bool { return strings.HasPrefix(s, "BIVY_RUN=") }) {
				return true // a command there
			}
			// Who has variables has given them to bivy itself, which starts git
			// with all that the user has set; what reaches others goes without.
			ours := len(p.Args) > 1 && p.Args[0] == os.Getenv(binaryVariable) && !slices.Contains([]string{"holder", "sandbox"}, p.Args[1])
			return (ours || len(p.Args) > 0 && filepath.Base(p.Args[0]) == "git") && !strings.Contains(strings.Join(p.Env, "\x00"), stored)
		}, words...)

		set := w.spec("secret", "set", "STORED", "-vvv")
		set.Stdin = strings.NewReader(stored + "\n")
		said := []result{w.run(set), w.wants(0, "secret", "set", "VARIABLE", "--from", "env:CANARY_VARIABLE", "-vvv")}
		said = append(said, w.wants(0, "secret", "git-identity", "Ann", "a@b", "--token-from", "env:CANARY_TOKEN", "--token-host", "h.example.com", "-vvv"),
			w.wants(0, "secret", "ls", "--json", "-vvv"), w.wants(0, "new", "ws", "--host", "gpu1", "-vvv"))

		// The command sees them; a pipe gets them as they are.
		got := w.wants(0, "exec", "ws", "-c", `printf %s "$STORED $VARIABLE $BIVY_GIT_TOKEN"`)
		if got.stdout != strings.Join(words, " ") {
			t.Errorf("the command sees %v", got)
		}
		fill := `printf 'url=https://h.example.com\n\n' | git credential fill | tail -n 1`
		if got := w.wants(0, "exec", "ws", "-c", fill); got.stdout != "password="+token+"\n" {
			t.Errorf("git gets %v", got)
		}
		// Nothing else shows them.
		show := `printf '%s %s\n' "$STORED" "$VARIABLE"; printf "%s" "$BIVY_GIT_TOKEN" >&2; `
		hidden := "[secret STORED] [secret VARIABLE]"
		said = append(said, w.wants(3, "exec", "ws", "--json", "-vvv", "-c", show+"exit 3"), w.bivy("exec", "ws", "-vvv", "--", "true"))
		if shown := said[len(said)-2].stdout; !strings.Contains(shown, hidden) {
			t.Errorf("JSON shows %q", shown)
		}
		for _, flags := range [][]string{{"-vvv"}, {"-t", "-vvv"}, {"--raw", "-vvv"}} {
			sc := w.onTerminal(w.spec(append(append([]string{"exec", "ws"}, flags...), "-c", show)...))
			if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), hidden) || !strings.Contains(sc.text(), "[secret git-identity]") {
				t.Errorf("with %v the terminal shows %d, %q", flags, code, sc.text())
			}
			said = append(said, result{stdout: sc.text()})
		}
		sc := w.onTerminal(w.spec("shell", "ws", "-vvv"))
		sc.answer("", "echo it-has-${#STORED}; echo \"$STORED $VARIABLE\"\r")
		sc.answer(hidden, "exit\r")
		if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "it-has-35") {
			t.Errorf("the shell ends with %d: %q", code, sc.text())
		}
		said = append(said, result{stdout: sc.text()})

		a := w.agent("ws", "-vvv")
		s := a.wants(hidden, "run_shell_command", args{"command": show + `printf %s "$STORED" | head -c 30`})
		said = append(said, result{stdout: s.text})
		a.end()
		said = append(said, result{stderr: a.stderr.String()})

		cut := w.start(w.spec("exec", "ws", "-vvv", "--", "sleep", "1000"))
		w.eventually("sleep runs", func() bool { return strings.Contains(strings.Join(w.there(), "\n"), "sleep 1000") })
		w.must(cut.process.Signal(syscall.SIGINT))
		said = append(said, cut.wait())

		v.end()
		if v.seen == 0 {
			t.Error("no process was seen that has the values; the test does not look")
		}
		for where := range v.found {
			t.Errorf("a value was in %s", where)
		}
		for _, r := range said {
			for _, word := range words {
				if strings.Contains(r.stdout+r.stderr, word) {
					t.Errorf("a value was shown: %v", r)
				}
			}
		}
		if found := filesWith(t, w.root, words...); len(found) > 0 {
			t.Errorf("values are in %q", found)
		}
	})
}

// TestSecretPrompt: the value is asked for without an echo; ^C ends that.
func TestSecretPrompt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	sc := w.onTerminal(w.spec("secret", "set", "TOKEN"))
	sc.answer("value of TOKEN: ", "hunter2 value\r")
	if code := sc.wait(); code != 0 || strings.Contains(sc.text(), "hunter2") {
		t.Errorf("it ends with %d: %q", code, sc.text())
	}
	sc = w.onTerminal(w.spec("secret", "set", "OTHER"))
	sc.answer("value of OTHER: ", "half\x03")
	if code := sc.wait(); code != 96 {
		t.Errorf("after ^C it ends with %d: %q", code, sc.text())
	}
	sc = w.onTerminal(w.spec("secret", "set", "OTHER", "--batch"))
	if code := sc.wait(); code != 80 {
		t.Errorf("with --batch it ends with %d: %q", code, sc.text())
	}
	w.wants(0, "new", "ws", "--host", "gpu1")
	if got := w.wants(0, "exec", "ws", "--", "printenv", "TOKEN"); got.stdout != "hunter2 value\n" {
		t.Errorf("the command sees %v", got)
	}
	if got := w.wants(0, "secret", "ls"); strings.Contains(got.stdout, "OTHER") {
		t.Errorf("there are %v", got)
	}
}

// TestTrustAsks: at a terminal the content is shown and approved there.
func TestTrustAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	w.write(w.proj+"/.bivy/include", "*.pem\n\x1b[2J\n")
	for _, c := range []struct {
		keys string
		code int
	}{{"\r", 83}, {"n\r", 83}, {"y\r", 0}} {
		sc := w.onTerminal(w.spec("trust"))
		sc.answer("[y/N]: ", c.keys)
		if code := sc.wait(); code != c.code || !strings.Contains(sc.text(), `"\x1b[2J"`) || strings.Contains(sc.text(), "\x1b[2J") {
			t.Errorf("after %q it ends with %d: %q", c.keys, code, sc.text())
		}
	}
	sc := w.onTerminal(w.spec("trust"))
	if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "approved already") {
		t.Errorf("the next time it ends with %d: %q", code, sc.text())
	}
}

// TestSecretsOfFiles: what reads files shows no secrets on a terminal and to an
// agent, and gives a pipe what there is.
func TestSecretsOfFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	const value, text = "s3cret \"value\"", "a=s3cret \"value\"\nb=\"s3cret \\\"value\\\"\"\n"
	set := w.spec("secret", "set", "TOKEN")
	set.Stdin = strings.NewReader(value)
	if got := w.run(set); got.code != 0 {
		t.Fatal(got)
	}
	w.wants(0, "new", "ws", "--host", "gpu1")
	w.write(w.remote+"/bivy/proj/ws/f", text)
	w.write(w.remote+"/bivy/proj/ws/long", strings.Repeat("x", 1<<10-15)+value+strings.Repeat("y", 3000)+"\n")
	w.write(w.remote+"/bivy/proj/ws/bin", "\x00"+value+"\x00\x00")
	if got := w.wants(0, "fs", "read", "ws:f"); got.stdout != text {
		t.Errorf("a pipe gets %v", got)
	}
	for _, args := range [][]string{{"fs", "read", "ws:f"}, {"fs", "grep", "ws:f", "s3cret"}, {"exec", "ws", "--no-secrets", "--", "cat", "f"}} {
		sc := w.onTerminal(w.spec(args...))
		if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "a=[secret TOKEN]") || !strings.Contains(sc.text(), `b="[secret TOKEN]"`) || strings.Contains(sc.text(), "s3cret") {
			t.Errorf("%v at a terminal: %d, %q", args, code, sc.text())
		}
	}
	a := w.agent("--max-output", "1024")
	shown := "a=[secret TOKEN]\nb=\"[secret TOKEN]\"\n"
	if s := a.wants(shown, "read_file", args{"workspace": "ws", "file_path": "f"}); s.fields["content"] != shown || s.fields["last_line"] != 2.0 {
		t.Errorf("an agent reads %v", s.fields)
	}
	for _, file := range []string{"long", "bin"} {
		s := a.call("read_file", args{"workspace": "ws", "file_path": file})
		if base, _ := s.fields["content_base64"].(string); s.IsError || strings.Contains(s.text, "s3c") || strings.Contains(base, "czNjcmV0") || strings.Contains(base, "MzY3JldC") {
			t.Errorf("an agent reads %v", s.fields)
		}
	}
	a.wants("f:1:a=[secret TOKEN]", "search_file_content", args{"workspace": "ws", "pattern": "s3cret"})
	// What is shown in place of a value is not written over it.
	a.fails("precondition", "[secret TOKEN]", "edit_file", args{"workspace": "ws", "file_path": "f", "old_string": "a=", "new_string": "a=[secret TOKEN]"})
	if got := w.wants(0, "fs", "read", "ws:f"); got.stdout != text {
		t.Errorf("the file is %v", got)
	}
	// Of a long output the middle is left out after the values.
	s := a.wants("[exit code 0, ", "run_shell_command", args{"workspace": "ws", "command": `i=0; while [ $i -lt 200 ]; do printf '%s|' "$TOKEN"; i=$((i+1)); done`})
	if text, _ := s.fields["stdout"].(string); strings.Contains(text, "s3c") || !strings.Contains(text, "[secret TOKEN]|[secret TOKEN]") {
		t.Errorf("an agent sees %q", text)
	}
	a.end()
	if got, err := proc.Run(t.Context(), proc.Spec{Args: []string{"grep", "-rq", "s3cret", w.root + "/s"}}); err != nil || got.Code != 1 {
		t.Errorf("the value is in our own files: %v, %v", got, err)
	}
}
