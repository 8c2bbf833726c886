// Package mcp offers the operations on workspaces as tools of the Model Context
// Protocol, to any agent that starts us: commands, and files that are read,
// written, edited and found, on hosts where nothing is installed.
//
// Each tool is in a file of its own. What it says is a value with a schema, and
// the same as text. Text of a host is made safe first, and is cut where it is
// long.
package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec"
	"bivy/exec/file"
	"bivy/exec/mux"
	"bivy/secrets"
	"bivy/workspace"
)

const (
	// DefaultMaxOutput is how much text one result holds, in bytes.
	DefaultMaxOutput = 32 << 10
	// MinMaxOutput is the least that makes sense.
	MinMaxOutput = 1 << 10
	// maxMessage bounds what a client sends at once, in bytes: the largest
	// content to write, and as much again for its escapes.
	maxMessage = 64 << 20
	// lastGrace is how long commands may clean up when the server ends. Clients
	// kill a server that takes much longer.
	lastGrace = time.Second
)

// Place is where tools act: a workspace, or a directory of a host.
type Place struct {
	// Name is the workspace's, empty for a host.
	Name   string
	Target mux.Target
	// Dir is absolute, ~, ~/… or empty for the home directory.
	Dir string
	// Env is what commands there see.
	Env []exec.EnvVar
	// Secrets, when set, gives what they see besides; it is asked for each.
	Secrets func(context.Context) ([]exec.EnvVar, error)
}

// Trouble is an error as the agent gets it.
type Trouble struct {
	// Class is one of those of `bivy help json`.
	Class   string
	Message string
	// Hint says what to do, where the message does not; it may be empty.
	Hint string
}

// Config says what a server offers.
type Config struct {
	Version string
	Masters *mux.Masters
	// Files gives the files of a target. It is called once for each; a Runner
	// with a method Close is closed at the end.
	Files func(mux.Target) file.Runner
	// Place is the one place of this server. Where it is nil, each tool takes
	// the name of a workspace, which Find looks up and List lists.
	Place *Place
	Find  func(name string) (Place, error)
	List  func() ([]workspace.Record, []error)
	// Redactor knows the values that no result shows; nil knows none.
	Redactor *secrets.Redactor
	// Explain gives errors their class.
	Explain func(error) Trouble
	// ReadOnly offers only tools that change nothing.
	ReadOnly bool
	// AllowOutside takes paths that leave the workspace.
	AllowOutside bool
	// MaxOutput is how much text one result holds, in bytes; zero means
	// DefaultMaxOutput.
	MaxOutput int
	// Hurry ends commands without a grace, when it is closed after the end of
	// the context.
	Hurry <-chan struct{}
}

// ProtocolError says that the client did not keep to the protocol, and the
// conversation is over.
type ProtocolError struct{ Err error }

func (e *ProtocolError) Error() string {
	return "the client sent what is no message of the Model Context Protocol: " + e.Err.Error()
}

// Unwrap returns what was wrong with it.
func (e *ProtocolError) Unwrap() error { return e.Err }

// server is one conversation with one client.
type server struct {
	Config
	sdk *sdk.Server
	// life ends with the server, and all that runs for it ends with that.
	life context.Context
	// hurry is closed when what runs must end without a grace.
	hurry  chan struct{}
	ending sync.Once
	over   chan struct{} // closed when all has ended
	tasks  sync.WaitGroup

	memory     *memory
	background *backgrounds

	mu    sync.Mutex // guards the rest, and calls of Find and Files
	files map[string]file.Runner
	logs  map[string]bool
}

// Serve talks to a client on two streams until the first one ends, or the
// context does. Commands that still run are ended then. A stream that ends
// between two messages is no error; others are a *ProtocolError, the context's,
// or the stream's own.
func Serve(ctx context.Context, c Config, in io.ReadCloser, out io.WriteCloser) error {
	s, end := newServer(ctx, c)
	defer end()
	return s.talk(ctx, &sdk.IOTransport{Reader: &tellEnd{in, s.end}, Writer: out, MaxLineLength: maxMessage})
}

// newServer makes a server with its tools. The second value ends what it runs,
// and waits for that.
func newServer(ctx context.Context, c Config) (*server, func()) {
	if c.MaxOutput == 0 {
		c.MaxOutput = DefaultMaxOutput
	}
	life, stop := context.WithCancelCause(ctx)
	s := &server{
		Config: c, life: life, hurry: make(chan struct{}), over: make(chan struct{}), memory: newMemory(),
		background: newBackgrounds(), files: map[string]file.Runner{}, logs: map[string]bool{},
	}
	s.sdk = sdk.NewServer(&sdk.Implementation{Name: "bivy", Title: "bivy", Version: c.Version}, &sdk.ServerOptions{
		Instructions: s.instructions(), Logger: slog.New(slog.DiscardHandler),
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}},
	})
	s.addTools()
	// A signal cuts the grace short as the client's end does.
	unwatch := context.AfterFunc(ctx, s.end)
	return s, func() {
		unwatch()
		s.end()
		stop(errServerEnded)
		s.background.wait()
		close(s.over)
		s.tasks.Wait()
		s.closeFiles()
	}
}

var errServerEnded = errors.New("the tool server ended")

// talk serves one client.
func (s *server) talk(ctx context.Context, t sdk.Transport) error {
	err := s.sdk.Run(ctx, t)
	var file *fs.PathError
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &file):
		return fmt.Errorf("talk to the client: %w", err)
	}
	return &ProtocolError{err}
}

// end has what runs end soon, since nobody will ask for it any more. Where that
// takes longer than we live, the host does the rest.
func (s *server) end() {
	s.ending.Do(func() { s.tasks.Go(s.hasten) })
}

func (s *server) hasten() {
	select {
	case <-s.over:
		return
	case <-time.After(lastGrace):
	case <-s.Hurry:
	}
	close(s.hurry)
	s.background.kill()
}

// tellEnd tells when a stream has ended.
type tellEnd struct {
	io.ReadCloser
	ended func()
}

func (t *tellEnd) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		t.ended()
	}
	return n, err
}

// call is the context of one call: it ends with the server, too.
func (s *server) call(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// place finds where a call acts.
func (s *server) place(name string) (Place, error) {
	if s.Place != nil {
		return *s.Place, nil
	}
	if name == "" {
		return Place{}, usage(`argument "workspace" is empty; list_workspaces lists them`)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Find(name)
}

// fs is the files of a place, for one path in it. A path that leaves it by its
// words is not shown to the host, which decides on all others.
func (s *server) fs(p Place, name string) (*file.FS, error) {
	if !s.AllowOutside && climbs(name) {
		return nil, &file.Error{Host: string(p.Target.Host), Op: "use", Path: name, Kind: file.Outside}
	}
	key := p.key()
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.files[key]
	if !ok {
		r = s.Files(p.Target)
		s.files[key] = r
	}
	return &file.FS{Runner: r, Root: p.Dir, Inside: !s.AllowOutside}, nil
}

// fsToRead is fs for who changes nothing: logs of ours lie outside.
func (s *server) fsToRead(p Place, name string) (*file.FS, error) {
	files, err := s.fs(p, name)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		files.Inside = files.Inside && !s.logs[p.key()+name]
	}
	return files, err
}

// climbs reports whether a relative path leads out of where it begins.
func climbs(name string) bool {
	clean := path.Clean(name)
	return clean == ".." || strings.HasPrefix(clean, "../")
}

// key names a place's host with all that is asked of it.
func (p Place) key() string {
	return strings.Join(append([]string{string(p.Target.Host), p.Target.User.ConfigFile}, p.Target.User.Options...), "\x00") + "\x00\x00"
}

// maxLogs bounds how many logs may be read from outside of a workspace.
const maxLogs = 1000

// allowLog lets read_file read a log that was named in a result.
func (s *server) allowLog(p Place, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" && len(s.logs) < maxLogs {
		s.logs[p.key()+name] = true
	}
}

func (s *server) closeFiles() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.files {
		if c, ok := r.(interface{ Close() }); ok {
			c.Close()
		}
	}
}
