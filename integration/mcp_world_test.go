package integration

import (
	"context"
	"encoding/json"
	"io"
	"os"
	osexec "os/exec" //nolint:depguard // the SDK's transport takes a command of that package, and starts it
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// agent is the SDK's client of a bivy that was started as a tool server.
type agent struct {
	w       *world
	session *mcp.ClientSession
	process *os.Process
	notes   chan string
	stderr  *lockedBuffer
	once    sync.Once
}

// agent starts `bivy mcp` with flags.
func (w *world) agent(flags ...string) *agent {
	w.tb.Helper()
	return w.agentOf(os.Getenv(binaryVariable), flags...)
}

// agentOf is agent with another binary.
func (w *world) agentOf(binary string, flags ...string) *agent {
	w.tb.Helper()
	a := &agent{w: w, notes: make(chan string, 100), stderr: &lockedBuffer{}}
	cmd := &osexec.Cmd{Path: binary, Args: append([]string{binary, "mcp"}, flags...), Dir: w.proj, Env: w.env, Stderr: a.stderr}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			select {
			case a.notes <- r.Params.Message:
			default:
			}
		},
	})
	var err error
	a.session, err = client.Connect(w.tb.Context(), &mcp.CommandTransport{Command: cmd, TerminateDuration: patience}, nil)
	if err != nil {
		w.tb.Fatalf("%v: %s", err, a.stderr)
	}
	a.process = cmd.Process
	w.tb.Cleanup(a.end)
	return a
}

// end closes the server's stdin and waits for its end, which must be a good one.
func (a *agent) end() {
	a.once.Do(func() {
		if err := a.session.Close(); err != nil {
			a.w.tb.Errorf("the server ends with %v: %s", err, a.stderr)
		}
	})
}

type args map[string]any

// said is a result as the tests look at it.
type said struct {
	*mcp.CallToolResult
	text   string
	fields map[string]any
}

// call calls a tool.
func (a *agent) call(tool string, in args) said {
	a.w.tb.Helper()
	ctx, cancel := context.WithTimeout(a.w.tb.Context(), 2*patience)
	defer cancel()
	result, err := a.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		a.w.tb.Fatalf("%s %v: %v; %s", tool, in, err, a.stderr)
	}
	s := said{CallToolResult: result}
	for _, c := range result.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			s.text += text.Text
		}
	}
	data, err := json.Marshal(result.StructuredContent)
	if err == nil {
		err = json.Unmarshal(data, &s.fields)
	}
	a.w.must(err)
	return s
}

// wants calls a tool that must not fail and must say something.
func (a *agent) wants(words, tool string, in args) said {
	a.w.tb.Helper()
	s := a.call(tool, in)
	if s.IsError || !strings.Contains(s.text, words) || s.fields == nil {
		a.w.tb.Fatalf("%s %v gives %v, %q, %v; want %q", tool, in, s.IsError, s.text, s.fields, words)
	}
	return s
}

// fails calls a tool that must fail with that class and these words.
func (a *agent) fails(class, words, tool string, in args) {
	a.w.tb.Helper()
	if s := a.call(tool, in); !s.IsError || !strings.Contains(s.text, words) || !strings.Contains(s.text, "(class: "+class+")") {
		a.w.tb.Errorf("%s %v gives %v, %q; want an error of class %s with %q", tool, in, s.IsError, s.text, class, words)
	}
}

// tools are the names of what the server offers.
func (a *agent) tools() []string {
	a.w.tb.Helper()
	list, err := a.session.ListTools(a.w.tb.Context(), nil)
	a.w.must(err)
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names
}

// lockedBuffer is a buffer for the goroutine of a command's stderr and the test's.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// mcpTool skips a test that needs a program.
func mcpTool(t *testing.T, name string) string {
	t.Helper()
	path, err := osexec.LookPath(name)
	if err != nil {
		// It comes with node, which not every machine has.
		t.Skipf("%s is not installed", name)
	}
	return path
}
