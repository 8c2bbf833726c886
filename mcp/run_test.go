package mcp

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestRunShellCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	w.put("sub/x", "")
	o, text := call[runOut](a, "run_shell_command", args{"command": "pwd; echo $BIVY_WORKSPACE; echo err >&2; exit 3"})
	if o.State != "exited" || o.ExitCode == nil || *o.ExitCode != 3 || o.Stdout != w.dir+"\nws\n" || o.Stderr != "err\n" || o.StderrLen != 4 {
		t.Errorf("the result is %+v", o)
	}
	if want := w.dir + "\nws\n[stderr]\nerr\n[exit code 3, "; !strings.HasPrefix(text, want) {
		t.Errorf("the text is %q, want it to begin with %q", text, want)
	}
	if o, _ = call[runOut](a, "run_shell_command", args{"command": "ls; cat", "directory": "sub"}); o.Stdout != "x\n" || *o.ExitCode != 0 {
		t.Errorf("in a directory: %+v", o)
	}
	if o, _ = call[runOut](a, "run_shell_command", args{"command": "kill -KILL $$"}); o.State != "signaled" || o.Signal == nil || *o.Signal != "KILL" || o.ExitCode != nil {
		t.Errorf("killed: %+v", o)
	}
	o, text = call[runOut](a, "run_shell_command", args{"command": `printf '\033[31mred\033[0m caf\351 \007\n'`})
	if want := `red caf\xe9 \x07` + "\n"; o.Stdout != want || !o.Cleaned || !strings.HasPrefix(text, want) {
		t.Errorf("escapes: %+v, %q", o, text)
	}
	a.fails("explained", "has no directory", "run_shell_command", args{"command": "true", "directory": "none"})
	a.fails("usage", "command is empty", "run_shell_command", args{"command": " "})
	a.fails("usage", "timeout is -1 seconds", "run_shell_command", args{"command": "true", "timeout": -1})
}

// A command that was ended is an error, and says what it wrote until then.
func TestTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	result := a.try("run_shell_command", args{"command": "echo before; sleep 1000", "timeout": 0.5})
	o, text := structured[runOut](t, result), textOf(result)
	if !result.IsError || o.State != "timed_out" || o.Stdout != "before\n" || o.Class != "explained" || !strings.Contains(text, "before\n[timed_out") ||
		!strings.Contains(text, "was ended (class: explained)") {
		t.Errorf("%v, %+v, %q", result.IsError, o, text)
	}
}

// The middle of long output is left out, and all of it is in a file there, which
// read_file may read although it lies outside.
func TestLongOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const budget = 8 << 10
	a := w.serve(func(c *Config) { c.MaxOutput = budget })
	o, text := call[runOut](a, "run_shell_command", args{"command": "i=0; while [ $i -lt 4000 ]; do echo \"zeile $i äöü\"; i=$((i+1)); done; echo e >&2"})
	if o.StdoutGone < 50_000 || len(o.Stdout) > budget+100 || !utf8.ValidString(o.Stdout) || o.Stderr != "e\n" || o.StderrFile != "" {
		t.Fatalf("%d bytes, %d are left out, stderr %q in %q", len(o.Stdout), o.StdoutGone, o.Stderr, o.StderrFile)
	}
	left := fmt.Sprintf("[… %d of %d bytes are left out here …]", o.StdoutGone, o.StdoutLen)
	if !strings.HasPrefix(o.Stdout, "zeile 0 äöü\n") || !strings.HasSuffix(o.Stdout, "zeile 3999 äöü\n") || !strings.Contains(text, left) ||
		!strings.Contains(text, "[all of stdout is in "+o.StdoutFile+" on the host]") {
		t.Errorf("the text is %q", text)
	}
	front, back, _ := strings.Cut(o.Stdout, "\n"+left+"\n")
	if int64(len(front)+1+len(back))+o.StdoutGone != o.StdoutLen || !strings.HasPrefix(back, "zeile ") {
		t.Errorf("%d and %d bytes are shown, %d left out of %d", len(front)+1, len(back), o.StdoutGone, o.StdoutLen)
	}
	r, _ := call[readOut](a, "read_file", args{"file_path": o.StdoutFile, "offset": 2000, "limit": 1})
	if r.Content != "zeile 1999 äöü\n" {
		t.Errorf("line 2000 of %s is %q", o.StdoutFile, r.Content)
	}
	a.fails("explained", "outside", "write_file", args{"file_path": o.StdoutFile, "content": "x"})
	a.fails("explained", "outside", "read_file", args{"file_path": "~/.bivy/log/other.out"})
	if o, _ = call[runOut](a, "run_shell_command", args{"command": "printf '%8000s' x"}); o.StdoutGone != 0 || o.StdoutFile != "" || len(o.Stdout) != 8000 {
		t.Errorf("output that fits: %d bytes, %d left out, file %q", len(o.Stdout), o.StdoutGone, o.StdoutFile)
	}
	if logs, _ := filepath.Glob(filepath.Dir(w.dir) + "/.bivy/log/*"); len(logs) > 2 {
		t.Errorf("logs %q are left", logs)
	}
}

// living are the processes on the host with a word in their command line.
func living(word string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err == nil && bytes.Contains(data, []byte(word)) && filepath.Dir(f) != fmt.Sprintf("/proc/%d", os.Getpid()) {
			found = append(found, string(data))
		}
	}
	return found
}

func needProc(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		// macOS has none; what is tested there is the same.
		t.Skip("there is no /proc to look for processes in")
	}
}

// A call that the client cancels leaves nothing on the host.
func TestCancel(t *testing.T) {
	t.Parallel()
	needProc(t)
	w := newWorld(t)
	a := w.serve()
	const word = "4711.1"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := a.session.CallTool(ctx, &sdk.CallToolParams{Name: "run_shell_command", Arguments: args{"command": "sleep " + word + " & sleep " + word}})
		done <- err
	}()
	eventually(t, "the command runs", func() bool { return len(living("sleep\x00"+word)) == 2 })
	cancel()
	if err := <-done; err == nil {
		t.Error("a call that was canceled succeeds")
	}
	eventually(t, "nothing is left", func() bool { return len(living("sleep\x00"+word)) == 0 })
	call[runOut](a, "run_shell_command", args{"command": "true"})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	params := &sdk.CallToolParams{Name: "run_shell_command", Arguments: args{
		"command": `printf 'first\n\033[1mstep one\033[0m\n'; while [ ! -e go ]; do sleep 0.05; done; echo step two >&2; while [ ! -e on ]; do sleep 0.05; done`,
	}}
	params.SetProgressToken("token")
	done := make(chan error, 1)
	go func() {
		_, err := a.session.CallTool(t.Context(), params)
		done <- err
	}()
	last := 0.0
	for _, step := range []struct{ message, next string }{{"step one", "go"}, {"step two", "on"}} {
		for {
			var note *sdk.ProgressNotificationParams
			select {
			case note = <-a.notes:
			case <-time.After(patience):
				t.Fatalf("no note on %q", step.message)
			}
			if note.ProgressToken != "token" || note.Progress <= last {
				t.Errorf("the note %+v comes after %g", note, last)
			}
			last = note.Progress
			if note.Message == step.message {
				break
			}
		}
		w.put(step.next, "")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := len(a.notes); n > 2 {
		t.Errorf("%d notes are left; they are too many", n)
	}
}

// What runs ends with the server, when it gets a signal.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	needProc(t)
	const word = "4711.3"
	w := newWorld(t)
	a := w.serve()
	command := "trap '' TERM; sleep " + word + "; sleep " + word
	call[runOut](a, "run_shell_command", args{"command": command, "background": true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It is answered, or the connection is gone.
		_, _ = a.session.CallTool(t.Context(), &sdk.CallToolParams{Name: "run_shell_command", Arguments: args{"command": command}})
	}()
	eventually(t, "both run", func() bool { return len(living("sleep\x00"+word)) == 2 })
	a.end()
	<-a.done
	<-done
	if left := living("sleep\x00" + word); len(left) != 0 {
		t.Errorf("%q run although the server ended", left)
	}
}

// A link that is lost is said, and the next call makes a new one.
func TestLostLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	w.put("a", "one\n")
	call[readOut](a, "read_file", args{"file_path": "a"})
	o, _ := call[runOut](a, "run_shell_command", args{"command": "echo back; sleep 1000", "background": true})
	done := make(chan *sdk.CallToolResult, 1)
	go func() { done <- a.try("run_shell_command", args{"command": "touch runs; echo front; sleep 1000"}) }()
	eventually(t, "the command runs", func() bool { _, err := os.Stat(filepath.Join(w.dir, "runs")); return err == nil })
	list, err := w.masters.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("masters %v, %v", list, err)
	}
	if err := syscall.Kill(list[0].SSH, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	result := <-done
	lost := structured[runOut](t, result)
	if !result.IsError || lost.State != "unknown" || lost.ExitCode != nil || !strings.HasPrefix("front\n", lost.Stdout) || !strings.Contains(textOf(result), "lost") {
		t.Errorf("%+v, %q", lost, textOf(result))
	}
	result = a.try("command_output", args{"command_id": o.CommandID, "wait": 60})
	for structured[runOut](t, result).State == "running" {
		result = a.try("command_output", args{"command_id": o.CommandID, "wait": 60})
	}
	if lost = structured[runOut](t, result); !result.IsError || lost.State != "unknown" {
		t.Errorf("%+v, %q", lost, textOf(result))
	}
	call[editOut](a, "edit_file", args{"file_path": "a", "old_string": "one", "new_string": "two"})
	w.want("a", "two\n")
	if o, _ := call[runOut](a, "run_shell_command", args{"command": "echo again"}); o.Stdout != "again\n" {
		t.Errorf("after the new login: %+v", o)
	}
}
