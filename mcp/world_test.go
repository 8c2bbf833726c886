package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec"
	"bivy/exec/file"
	"bivy/exec/mux"
	"bivy/integration/mastertest"
	"bivy/integration/sshdtest"
)

// patience is the deadline of everything that a test waits for.
const patience = 60 * time.Second

func TestMain(m *testing.M) { mastertest.Main(m) }

// world is a real sshd, our masters for it, and a directory on it.
type world struct {
	t       testing.TB
	dir     string
	masters *mux.Masters
	target  mux.Target
	calls   *counter
}

// counter counts what goes to the host for files.
type counter struct {
	file.Runner
	mu  sync.Mutex
	ops []string
}

func (c *counter) Run(ctx context.Context, call file.Call) (file.Ending, error) {
	c.mu.Lock()
	c.ops = append(c.ops, call.Op)
	c.mu.Unlock()
	return c.Runner.Run(ctx, call)
}

// taken returns what went to the host since it was asked last.
func (c *counter) taken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ops := strings.Join(c.ops, " ")
	c.ops = nil
	return ops
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, sshdtest.Options{})
}

func newWorldOf(t testing.TB, o sshdtest.Options) *world {
	t.Helper()
	server := sshdtest.Start(t, o)
	masters, target := mastertest.Open(t, server)
	w := &world{t: t, dir: filepath.Join(server.Home, "ws"), masters: masters, target: target}
	if err := os.Mkdir(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// put makes a file in the workspace.
func (w *world) put(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

// want checks a file in the workspace.
func (w *world) want(name, content string) {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil || string(data) != content {
		w.t.Errorf("%s holds %.100q, %v; want %.100q", name, data, err, content)
	}
}

// agent is a client of a server of ours.
type agent struct {
	t       testing.TB
	session *sdk.ClientSession
	// notes are the progress notifications.
	notes chan *sdk.ProgressNotificationParams
	// end ends the server, as a signal does; done is closed when it has ended.
	end  context.CancelFunc
	done chan struct{}
}

// sessions opens a session for each operation.
func (w *world) sessions() func(mux.Target) file.Runner {
	return func(target mux.Target) file.Runner { return &file.Session{Masters: w.masters, Target: target} }
}

// serve starts a server, and a client that talks to it.
func (w *world) serve(change ...func(*Config)) *agent {
	w.t.Helper()
	w.calls = &counter{Runner: &file.Session{Masters: w.masters, Target: w.target}}
	c := Config{
		Version: "test", Masters: w.masters, Files: func(mux.Target) file.Runner { return w.calls },
		Place: &Place{Target: w.target, Dir: w.dir, Env: []exec.EnvVar{{Name: "BIVY_WORKSPACE", Value: "ws"}}},
		Explain: func(err error) Trouble {
			return Trouble{Class: "explained", Message: err.Error()}
		},
	}
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	a := &agent{t: w.t, end: cancel, done: make(chan struct{}), notes: make(chan *sdk.ProgressNotificationParams, 100)}
	ours, theirs := sdk.NewInMemoryTransports()
	s, finish := newServer(ctx, c)
	go func() {
		defer close(a.done)
		_ = s.talk(ctx, ours)
		finish()
	}()
	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			select {
			case a.notes <- r.Params:
			default:
			}
		},
	})
	var err error
	if a.session, err = client.Connect(w.t.Context(), theirs, nil); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(a.close)
	return a
}

// close ends client and server.
func (a *agent) close() {
	_ = a.session.Close()
	select {
	case <-a.done:
	case <-time.After(patience):
		a.t.Error("the server does not end")
	}
	a.end()
}

type args map[string]any

// try calls a tool.
func (a *agent) try(tool string, in any) *sdk.CallToolResult {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	result, err := a.session.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		a.t.Fatalf("%s %v: %v", tool, in, err)
	}
	return result
}

// call calls a tool that must not fail, and returns what it says as text and as
// a value.
func call[Out any](a *agent, tool string, in args) (out Out, text string) {
	a.t.Helper()
	result := a.try(tool, in)
	if text = textOf(result); result.IsError {
		a.t.Fatalf("%s %v fails: %s", tool, in, text)
	}
	return structured[Out](a.t, result), text
}

func structured[Out any](t testing.TB, result *sdk.CallToolResult) (out Out) {
	t.Helper()
	data, err := json.Marshal(result.StructuredContent)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatalf("the result %s: %v", data, err)
	}
	return out
}

// fails calls a tool that must fail with that class, and with those words.
func (a *agent) fails(class, words, tool string, in any) {
	a.t.Helper()
	result := a.try(tool, in)
	text := textOf(result)
	fields, _ := result.Meta["bivy/error"].(map[string]any)
	if !result.IsError || fields["class"] != class || !strings.Contains(text, words) || !strings.Contains(text, "(class: "+class+")") {
		a.t.Errorf("%s %v gives %v, %q; want an error of class %s with %q", tool, in, fields, text, class, words)
	}
}

func textOf(result *sdk.CallToolResult) string {
	var all []string
	for _, c := range result.Content {
		if text, ok := c.(*sdk.TextContent); ok {
			all = append(all, text.Text)
		}
	}
	return strings.Join(all, "\n")
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it does not hold that %s", patience, what)
		}
	}
}
