package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Where is the argument of tools that choose the workspace. It is there only
// where the server has no place of its own.
type Where struct {
	Workspace string `json:"workspace,omitempty" jsonschema:"The workspace, as [PROJECT/]NAME."`
}

// answer is a result as text: what was asked for, and then what is to be said
// about it, if there is anything.
type answer interface{ blocks() []string }

// kind says what a tool may do.
type kind int

const (
	reads    kind = iota // it changes nothing
	replaces             // it may overwrite, and doing it twice is the same as once
	changes              // it may overwrite
	acts                 // it may do anything, also elsewhere
)

func (k kind) annotations(title string) *sdk.ToolAnnotations {
	destructive, open := k != reads, k == acts
	return &sdk.ToolAnnotations{
		Title: title, ReadOnlyHint: k == reads, IdempotentHint: k == reads || k == replaces,
		DestructiveHint: &destructive, OpenWorldHint: &open,
	}
}

// addTools adds what this server offers.
func (s *server) addTools() {
	add(s, reads, "read_file", "Read file", readText, s.read)
	add(s, reads, "list_directory", "List directory", listText, s.list)
	add(s, reads, "glob", "Find files", globText, s.glob)
	add(s, reads, "search_file_content", "Search files", searchText, s.search)
	if s.Place == nil {
		add(s, reads, "list_workspaces", "List workspaces", workspacesText, s.workspaces)
	}
	if s.ReadOnly {
		return
	}
	add(s, replaces, "write_file", "Write file", writeText, s.write)
	add(s, changes, "edit_file", "Edit file", editText, s.edit)
	add(s, acts, "run_shell_command", "Run command", runText, s.run)
	add(s, reads, "command_output", "Read command output", outputText, s.output)
	add(s, replaces, "command_kill", "End command", killText, s.kill)
}

// instructions are what a client tells its model of the whole server.
func (s *server) instructions() string {
	if s.Place == nil {
		return "Commands run and files are in workspaces on other machines. list_workspaces names them; every other tool takes one as \"workspace\"."
	}
	at := "the home directory"
	if s.Place.Dir != "" {
		at = s.Place.Dir
	}
	return fmt.Sprintf("Commands run and files are in %s on the host %s, not on this machine. Paths are relative to that directory.", at, s.Place.Target.Host)
}

// add adds a tool. Its schemas follow from the types of what it takes and says.
// A call that returns both has done something, and failed.
func add[In any, Out answer](s *server, k kind, name, title, text string, call func(context.Context, *sdk.CallToolRequest, In) (*Out, error)) {
	in, out := schema[In](), schema[Out]()
	if _, ok := in.Properties["workspace"]; ok {
		if s.Place != nil {
			delete(in.Properties, "workspace")
		} else {
			in.Required = append([]string{"workspace"}, in.Required...)
		}
		in.PropertyOrder = nil
	}
	tool := &sdk.Tool{Name: name, Title: title, Description: text, Annotations: k.annotations(title), InputSchema: in, OutputSchema: out}
	s.sdk.AddTool(tool, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		ctx, end := s.call(ctx)
		defer end()
		args, err := parse[In](name, in, req.Params.Arguments)
		if err != nil {
			return s.failed(err), nil
		}
		said, err := call(ctx, req, args)
		if said == nil {
			return s.failed(err), nil
		}
		redact(s.Redactor, reflect.ValueOf(said))
		result := &sdk.CallToolResult{StructuredContent: said}
		if err != nil {
			result = s.failed(err)
			result.StructuredContent = said
		}
		for i, block := range (*said).blocks() {
			// What was asked for stands first, an error behind it.
			result.Content = slices.Insert(result.Content, i, sdk.Content(&sdk.TextContent{Text: block}))
		}
		return result, nil
	})
}

// schema is that of a type of ours, which always has one.
func schema[T any]() *jsonschema.Schema {
	s, err := jsonschema.For[T](nil)
	if err != nil {
		panic(fmt.Sprintf("a tool's type has no schema: %v", err))
	}
	return s
}

// parse reads the arguments of a call, or says precisely what is wrong with
// them. A name that is not known is refused, since a mistyped one must not
// change what is done.
func parse[In any](tool string, in *jsonschema.Schema, data json.RawMessage) (args In, err error) {
	if len(bytes.TrimSpace(data)) == 0 {
		data = json.RawMessage("{}")
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil || given == nil {
		return args, usage("the arguments of %s are no JSON object", tool)
	}
	takes := strings.Join(slices.Sorted(maps.Keys(in.Properties)), ", ")
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := in.Properties[name]; !ok {
			return args, usage("%s has no argument %q; it takes %s", tool, name, takes)
		}
	}
	for _, name := range in.Required {
		if value, ok := given[name]; !ok || string(value) == "null" {
			return args, usage("%s needs the argument %q", tool, name)
		}
	}
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(data, &args); {
	case errors.As(err, &wrong):
		return args, usage("argument %q of %s is %s; it must be %s", wrong.Field, tool, article(wrong.Value), jsonType(in, wrong.Field))
	case err != nil:
		return args, usage("the arguments of %s cannot be read: %v", tool, err)
	}
	return args, nil
}

// jsonType is what an argument must be, in words.
func jsonType(in *jsonschema.Schema, field string) string {
	name, _, _ := strings.Cut(field, ".")
	if p := in.Properties[name]; p != nil && p.Type != "" && name == field {
		return article(p.Type)
	}
	return "of another type"
}

// article puts a or an before a type's name of JSON or of Go's package for it.
func article(word string) string {
	kind, _, _ := strings.Cut(word, " ")
	switch kind {
	case "bool":
		kind = "boolean"
	case "integer":
		return "an integer"
	case "array", "object":
		return "an " + kind
	case "number":
		return "a " + word // with its value, where it is not the type's
	}
	return "a " + kind
}
