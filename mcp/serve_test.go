package mcp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/mux"
	"bivy/sshcmd"
	"bivy/workspace"
)

// raw is a client that writes what it likes.
type raw struct {
	in    *io.PipeWriter
	lines *bufio.Scanner
	done  chan error
}

func (w *world) raw() *raw {
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	r := &raw{in: toServer, lines: bufio.NewScanner(fromServer), done: make(chan error, 1)}
	c := Config{
		Masters: w.masters, Files: w.sessions(), Place: &Place{Target: w.target, Dir: w.dir},
		Explain: func(err error) Trouble { return Trouble{Class: "explained", Message: err.Error()} },
	}
	go func() {
		r.done <- Serve(w.t.Context(), c, in, out)
		_ = out.Close()
	}()
	w.t.Cleanup(func() {
		_ = toServer.Close()
		_ = fromServer.Close()
	})
	return r
}

func (r *raw) say(t testing.TB, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(r.in, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

// end waits for the end of the server.
func (r *raw) end(t testing.TB) error {
	t.Helper()
	go func() {
		for r.lines.Scan() { // what it still says must be read
			continue
		}
	}()
	select {
	case err := <-r.done:
		return err
	case <-time.After(patience):
		t.Fatal("the server does not end")
		return nil
	}
}

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

// What runs ends with the client, which may be gone without a word.
func TestClientGoes(t *testing.T) {
	t.Parallel()
	needProc(t)
	const word = "4711.4"
	w := newWorld(t)
	r := w.raw()
	r.say(t, hello)
	if !r.lines.Scan() || !strings.Contains(r.lines.Text(), `"name":"bivy"`) {
		t.Fatalf("the server says %q", r.lines.Text())
	}
	r.say(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	for id, more := range []string{"", `,"background":true`} {
		r.say(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"run_shell_command","arguments":{"command":"sleep %s; true"%s}}}`, id+2, word, more))
	}
	eventually(t, "both run", func() bool { return len(living("sleep\x00"+word)) == 2 })
	if err := r.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.end(t); err != nil {
		t.Errorf("the server ends with %v", err)
	}
	if left := living("sleep\x00" + word); len(left) != 0 {
		t.Errorf("%q run although the client is gone", left)
	}
}

func TestNonsense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, line := range map[string]string{"no JSON": "hello", "no message": `[1,2]`, "half": `{"jsonrpc":"2.0","id":1,`} {
		r := w.raw()
		r.say(t, line)
		_ = r.in.Close()
		err := r.end(t)
		var wrong *ProtocolError
		if name == "half" { // the client went in the middle of a word
			continue
		}
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Error(), "no message of the Model Context Protocol") {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	for _, c := range []struct {
		words, tool string
		in          any
	}{
		{`read_file has no argument "path"; it takes file_path, limit, offset`, "read_file", args{"path": "x"}},
		{`read_file has no argument "File_Path"`, "read_file", args{"File_Path": "x"}},
		{`read_file needs the argument "file_path"`, "read_file", nil},
		{`read_file needs the argument "file_path"`, "read_file", args{"file_path": nil}},
		{`argument "file_path" of read_file is a number; it must be a string`, "read_file", args{"file_path": 3}},
		{`argument "offset" of read_file is a string; it must be an integer`, "read_file", args{"file_path": "a", "offset": "1"}},
		{`argument "offset" of read_file is a number 1.5; it must be an integer`, "read_file", args{"file_path": "a", "offset": 1.5}},
		{`argument "background" of run_shell_command is a string; it must be a boolean`, "run_shell_command", args{"command": "a", "background": "yes"}},
		{`argument "content" of write_file is an array; it must be a string`, "write_file", args{"file_path": "a", "content": []int{1}}},
		{`the arguments of glob are no JSON object`, "glob", []string{"*"}},
		{`list_directory has no argument "workspace"`, "list_directory", args{"workspace": "w"}},
	} {
		a.fails("usage", c.words, c.tool, c.in)
	}
	if _, err := a.session.CallTool(t.Context(), &sdk.CallToolParams{Name: "no_such_tool"}); err == nil || !strings.Contains(err.Error(), "no_such_tool") {
		t.Errorf("a tool that is not there: %v", err)
	}
}

// tools are those that a server offers, by name.
func (a *agent) tools() map[string]*sdk.Tool {
	a.t.Helper()
	list, err := a.session.ListTools(a.t.Context(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	found := map[string]*sdk.Tool{}
	for _, tool := range list.Tools {
		found[tool.Name] = tool
	}
	return found
}

func TestTools(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reading := []string{"glob", "list_directory", "read_file", "search_file_content"}
	all := append([]string{"command_kill", "command_output", "edit_file", "run_shell_command", "write_file"}, reading...)
	slices.Sort(all)
	tools := w.serve().tools()
	if names := slices.Sorted(maps.Keys(tools)); !slices.Equal(names, all) {
		t.Errorf("the tools are %q", names)
	}
	for name, tool := range tools {
		reads := slices.Contains(reading, name) || name == "command_output"
		if h := tool.Annotations; h.ReadOnlyHint != reads || h.DestructiveHint == nil || *h.DestructiveHint == reads || *h.OpenWorldHint != (name == "run_shell_command") {
			t.Errorf("the hints of %s are %+v", name, h)
		}
		text, err := json.Marshal(tool)
		if err != nil || tool.Description == "" || tool.OutputSchema == nil || !strings.Contains(string(text), `"additionalProperties":false`) || strings.Contains(string(text), `"workspace":`) {
			t.Errorf("%s is %s, %v", name, text, err)
		}
	}
	if names := slices.Sorted(maps.Keys(w.serve(func(c *Config) { c.ReadOnly = true }).tools())); !slices.Equal(names, reading) {
		t.Errorf("the tools with --read-only are %q", names)
	}
}

// Without a place of its own a server takes the workspace by name.
func TestWorkspaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a", "one\n")
	a := w.serve(func(c *Config) {
		place := *c.Place
		c.Place = nil
		c.Find = func(name string) (Place, error) {
			if name != "proj/ws" {
				return Place{}, fmt.Errorf("there is no workspace %s", name)
			}
			return place, nil
		}
		c.List = func() ([]workspace.Record, []error) {
			return []workspace.Record{{Project: "proj", Name: "ws", Host: "gpu1", Dir: w.dir, State: workspace.Ready}}, []error{errors.New("one is unreadable")}
		}
	})
	o, text := call[workspacesOut](a, "list_workspaces", args{})
	if len(o.Workspaces) != 1 || o.Workspaces[0].Name != "proj/ws" || !o.Workspaces[0].Ready || len(o.Unreadable) != 1 || !strings.Contains(text, "proj/ws  on gpu1 in "+w.dir) {
		t.Errorf("list_workspaces gives %+v, %q", o, text)
	}
	if r, _ := call[readOut](a, "read_file", args{"workspace": "proj/ws", "file_path": "a"}); r.Content != "one\n" {
		t.Errorf("the file holds %q", r.Content)
	}
	a.fails("explained", "there is no workspace none", "read_file", args{"workspace": "none", "file_path": "a"})
	a.fails("usage", `needs the argument "workspace"`, "read_file", args{"file_path": "a"})
	for name, tool := range a.tools() {
		text, _ := json.Marshal(tool.InputSchema)
		takes := strings.Contains(string(text), `"required":["workspace"`)
		if free := slices.Contains([]string{"list_workspaces", "command_output", "command_kill"}, name); takes == free {
			t.Errorf("%s takes %s", name, text)
		}
	}
}

// Two hosts with other flags are two.
func TestPlaceKey(t *testing.T) {
	t.Parallel()
	seen := map[string]mux.Target{}
	for _, target := range []mux.Target{
		{Host: "a"},
		{Host: "b"},
		{Host: "a", User: sshcmd.User{ConfigFile: "b"}},
		{Host: "a", User: sshcmd.User{Options: []string{"b"}}},
		{Host: "a", User: sshcmd.User{Options: []string{"b", "c"}}},
	} {
		key := Place{Target: target}.key()
		if other, ok := seen[key]; ok {
			t.Errorf("%+v and %+v have one key", other, target)
		}
		seen[key] = target
	}
}
