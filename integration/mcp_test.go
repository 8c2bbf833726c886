package integration

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// readers are the tools that change nothing on a host, writers the others.
var (
	readers = []string{"glob", "list_directory", "read_file", "search_file_content"}
	writers = []string{"command_kill", "command_output", "edit_file", "run_shell_command", "write_file"}
)

// TestMCP: every tool, on both kinds of host, in a workspace.
func TestMCP(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "ws", "--host", "gpu1")
		a := w.agent("ws")
		if names := a.tools(); !slices.Equal(names, slices.Sorted(slices.Values(append(readers[:len(readers):len(readers)], writers...)))) {
			t.Errorf("the tools are %q", names)
		}
		a.wants("a small project\n", "read_file", args{"file_path": "README"})
		s := a.wants("+a large project", "edit_file", args{"file_path": "README", "old_string": "small", "new_string": "large"})
		if s.fields["sha256"] == s.fields["sha256_before"] || s.fields["path"] != "README" {
			t.Errorf("edit_file says %v", s.fields)
		}
		a.wants("created new/a.txt", "write_file", args{"file_path": "new/a.txt", "content": "needle\n"})
		a.wants("new/\n", "list_directory", args{})
		a.wants("new/a.txt\nsrc/main.txt\n", "glob", args{"pattern": "**/*.txt"})
		a.wants("new/a.txt:1:needle", "search_file_content", args{"pattern": "ne+dle"})
		s = a.wants("[exit code 7, ", "run_shell_command", args{"command": "git status --short; exit 7"})
		if s.fields["stdout"] != " M README\n?? new/\n" || s.fields["exit_code"] != 7.0 || s.fields["state"] != "exited" {
			t.Errorf("run_shell_command says %v", s.fields)
		}
		// What a command sees is what bivy exec gives it.
		const script = "pwd; env | grep -E '^(BIVY_|GIT_|PATH|PAGER|EDITOR|VISUAL|LANG|HOME)' | grep -v BIVY_RUN | sort"
		if s, want := a.wants("BIVY_WORKSPACE=ws", "run_shell_command", args{"command": script}), w.wants(0, "exec", "ws", "-c", script); s.fields["stdout"] != want.stdout {
			t.Errorf("a command sees %q, with bivy exec %q", s.fields["stdout"], want.stdout)
		}
		id := a.wants("running as command_id", "run_shell_command", args{"command": "echo up; sleep 1000", "background": true}).fields["command_id"]
		for said := ""; said != "up\n"; {
			text, _ := a.wants("", "command_output", args{"command_id": id, "wait": 30}).fields["stdout"].(string)
			said += text
		}
		a.wants("[canceled, ", "command_kill", args{"command_id": id})
		w.goneThere()
	})
}

// TestMCPFailures: errors have the class of the contract.
func TestMCPFailures(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		a := w.agent("--host", "gpu1", "--dir", "dir")
		a.fails("not_found", "has no directory ~/dir", "run_shell_command", args{"command": "true"})
		w.write(w.remote+"/dir/a", "one\n")
		w.write(w.remote+"/dir/sub/b", "")
		w.write(w.remote+"/out", "out\n")
		a.fails("not_found", "it does not exist", "read_file", args{"file_path": "none"})
		a.fails("remote_denied", "it is a directory", "read_file", args{"file_path": "sub"})
		a.fails("protected", "outside", "read_file", args{"file_path": "../out"})
		a.fails("protected", "outside", "read_file", args{"file_path": w.remote + "/out"})
		a.fails("protected", "outside", "run_shell_command", args{"command": "true", "directory": "/"})
		a.fails("usage", "the pattern is not one", "glob", args{"pattern": "[a"})
		a.fails("usage", `needs the argument "file_path"`, "read_file", args{})
		a.fails("precondition", "[secret TOKEN]", "write_file", args{"file_path": "a", "content": "T=[secret TOKEN]"})
		a.fails("precondition", "[secret TOKEN]", "edit_file", args{"file_path": "a", "old_string": "one", "new_string": "[secret TOKEN]"})
		a.fails("precondition", "is not there", "edit_file", args{"file_path": "a", "old_string": "two", "new_string": "three"})
		a.wants("one\n", "read_file", args{"file_path": "a"})
		w.write(w.remote+"/dir/a", "changed\n")
		// sha256sum of it.
		a.fails("precondition", "7f8b1dfc466b6249f06cbe55c9174df2578e7754da793fded244ef5cba2a38f1", "edit_file", args{"file_path": "a", "old_string": "one", "new_string": "two"})
		if got := w.read(w.remote + "/dir/a"); got != "changed\n" {
			t.Errorf("the file holds %q", got)
		}
		a.fails("timed_out", "before\n[timed_out, ", "run_shell_command", args{"command": "echo before; sleep 1000", "timeout": 0.5})
		w.goneThere()
	})
}

// TestMCPUnreachable: a host that is not there is told at the call, not before.
func TestMCPUnreachable(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.hostBlock("gone", "Port 1", "ProxyCommand none")
		a := w.agent("--host", "gone")
		a.fails("unreachable", "gone", "read_file", args{"file_path": "a"})
		a.fails("unreachable", "gone", "run_shell_command", args{"command": "true"})
		for code, flags := range map[int][]string{82: {"none"}, 80: {"--dir", "x"}} {
			if got := w.bivy(append([]string{"mcp"}, flags...)...); got.code != code || got.stdout != "" || got.stderr == "" {
				t.Errorf("bivy mcp %q gives %v, want %d", flags, got, code)
			}
		}
		for _, flags := range [][]string{{"--max-output", "10"}, {"ws", "--host", "gone"}} {
			if got := w.bivy(append([]string{"mcp"}, flags...)...); got.code != 80 {
				t.Errorf("bivy mcp %q gives %v", flags, got)
			}
		}
	})
}

// TestMCPReadOnly: only what changes nothing is offered.
func TestMCPReadOnly(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.remote+"/a", "one\n")
		a := w.agent("--host", "gpu1", "--read-only")
		if names := a.tools(); !slices.Equal(names, readers) {
			t.Errorf("the tools are %q", names)
		}
		a.wants("one\n", "read_file", args{"file_path": "a"})
		for _, tool := range writers {
			if _, err := a.session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args{"file_path": "a", "content": "x"}}); err == nil {
				t.Errorf("%s can be called", tool)
			}
		}
		if got := w.read(w.remote + "/a"); got != "one\n" {
			t.Errorf("the file holds %q", got)
		}
	})
}

// TestMCPWorkspaces: one server for all workspaces.
func TestMCPWorkspaces(t *testing.T) {
	onSSHD(t, hostOptions{}, func(_ *testing.T, w *world) {
		a := w.agent()
		a.wants("there are no workspaces", "list_workspaces", args{})
		for _, name := range []string{"one", "two"} {
			w.wants(0, "new", name, "--host", "gpu1")
			a.wants("created", "write_file", args{"workspace": name, "file_path": "name", "content": name})
		}
		a.wants("proj/one  on gpu1 in ", "list_workspaces", args{})
		for _, name := range []string{"one", "two"} {
			a.wants(name, "read_file", args{"workspace": "proj/" + name, "file_path": "name"})
			a.wants("BIVY_WORKSPACE="+name, "run_shell_command", args{"workspace": name, "command": "env"})
			a.wants("name  (3 bytes)", "list_directory", args{"workspace": name})
			a.wants("name\n", "glob", args{"workspace": name, "pattern": "na*"})
			a.wants("name:1:"+name, "search_file_content", args{"workspace": name, "pattern": name, "include": "name"})
			a.wants("+3", "edit_file", args{"workspace": name, "file_path": "name", "old_string": name, "new_string": "3"})
		}
		a.fails("not_found", "three", "read_file", args{"workspace": "three", "file_path": "a"})
		a.fails("usage", `".."`, "read_file", args{"workspace": "../x", "file_path": "a"})
		w.wants(0, "rm", "--force", "two")
		a.fails("not_found", "two", "read_file", args{"workspace": "two", "file_path": "name"})
	})
}

// TestMCPCancel: a call that the client cancels leaves nothing on the host, and
// while it runs the client is told the last line.
func TestMCPCancel(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		a := w.agent("--host", "gpu1")
		ctx, cancel := context.WithCancel(t.Context())
		params := &mcp.CallToolParams{Name: "run_shell_command", Arguments: args{"command": "echo first; echo last line; sleep 1000 & sleep 1000"}}
		params.SetProgressToken(1)
		done := make(chan error, 1)
		go func() {
			_, err := a.session.CallTool(ctx, params)
			done <- err
		}()
		w.eventually("the last line is told", func() bool { return len(a.notes) > 0 && <-a.notes == "last line" })
		cancel()
		if err := <-done; err == nil {
			t.Error("a call that was canceled succeeds")
		}
		w.goneThere()
		a.wants("here", "run_shell_command", args{"command": "echo here"})
	})
}

// TestMCPLostLink: the result says that the link was lost, and the next call
// logs in again.
func TestMCPLostLink(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		a := w.agent("--host", "gpu1")
		w.write(w.remote+"/a", "one\n")
		a.wants("one\n", "read_file", args{"file_path": "a"})
		done := make(chan said, 1)
		go func() { done <- a.call("run_shell_command", args{"command": ": >up; sleep 1000; :"}) }()
		w.eventually("the command runs", func() bool { return exists(w.remote + "/up") })
		w.killMaster()
		if s := <-done; !s.IsError || s.fields["state"] != "unknown" || s.fields["class"] != "link_lost" || !strings.Contains(s.text, "(class: link_lost)") {
			t.Errorf("the result is %q, %v", s.text, s.fields)
		}
		// What only reads is asked again where a lane turns out to be lost. A change
		// that came first might be told that nobody knows.
		a.wants("one\n", "read_file", args{"file_path": "a"})
		a.wants("+two", "edit_file", args{"file_path": "a", "old_string": "one", "new_string": "two"})
		a.wants("here", "run_shell_command", args{"command": "echo here"})
		w.goneThere()
	})
}

// TestMCPLongOutput: the middle is left out, and the whole is in a file there.
func TestMCPLongOutput(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		a := w.agent("--host", "gpu1", "--max-output", "2000")
		s := a.wants("bytes are left out here", "run_shell_command", args{"command": "i=1; while [ $i -le 2000 ]; do echo zeile $i ä; i=$((i+1)); done"})
		out, _ := s.fields["stdout"].(string)
		file, _ := s.fields["stdout_file"].(string)
		if len(out) > 2100 || !strings.HasPrefix(out, "zeile 1 ä\n") || !strings.HasSuffix(out, "zeile 2000 ä\n") || file == "" {
			t.Fatalf("%d bytes, file %q: %q", len(out), file, out)
		}
		a.wants("zeile 1234 ä\n", "read_file", args{"file_path": file, "offset": 1234, "limit": 1})
		a.wants(":1777:zeile 1777", "search_file_content", args{"path": file, "pattern": "e 1777 "})
		if got := w.wants(0, "fs", "read", "--host", "gpu1", file); !strings.HasPrefix(got.stdout, "zeile 1 ä\n") || strings.Count(got.stdout, "\n") != 2000 {
			t.Errorf("%s holds %d lines", file, strings.Count(got.stdout, "\n"))
		}
	})
}

// TestMCPEnds: what runs in the background ends with the server, whether its
// stdin ends or it gets a signal, and its stdout is the protocol alone.
func TestMCPEnds(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		for name, end := range map[string]func(*agent){
			"stdin": func(a *agent) { a.end() },
			"TERM": func(a *agent) {
				w.must(a.process.Signal(syscall.SIGTERM))
				a.once.Do(func() { _ = a.session.Wait() }) // it ends with 96
			},
		} {
			a := w.agent("-v", "--host", "gpu1")
			a.wants("running", "run_shell_command", args{"command": "trap '' TERM; while :; do sleep 0.1; done", "background": true})
			end(a)
			w.goneThere()
			if !strings.Contains(a.stderr.String(), "command") {
				t.Errorf("%s: with -v it says %q on stderr", name, a.stderr)
			}
		}
		spec := w.spec("mcp", "--host", "gpu1")
		spec.Stdin = strings.NewReader("this is no JSON\n")
		if got := w.run(spec); got.code != 81 || got.stdout != "" || !strings.Contains(got.stderr, "no message of the Model Context Protocol") {
			t.Errorf("nonsense on stdin gives %v", got)
		}
	})
}
