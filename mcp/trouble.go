package mcp

import (
	"errors"
	"fmt"
	"regexp"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/file"
	"bivy/internal/termsafe"
)

// callError is an error of the tools themselves. Nothing was done.
type callError struct{ class, text, hint string }

func (e *callError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &callError{class: "usage", text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &callError{class: "not_found", text: fmt.Sprintf(format, args...)}
}

// trouble is an error as the agent gets it. Hints that name flags of the command
// line are of no use to it.
func (s *server) trouble(err error) Trouble {
	var own *callError
	if errors.As(err, &own) {
		return Trouble{own.class, own.text, own.hint}
	}
	t := s.Explain(err)
	if t.Class == "usage" || t.Class == "not_found" {
		t.Hint = ""
	}
	var (
		failed  *file.Error
		edit    *file.EditError
		changed *file.PreconditionError
		large   *file.TooLargeError
	)
	switch {
	case errors.As(err, &failed):
		t.Hint = fileHint(failed)
	case errors.As(err, &edit):
		t.Hint = editHint(edit)
	case errors.As(err, &changed):
		t.Hint = "read it again, and repeat the change in what it holds then"
		if changed.Have == "" {
			t.Hint = "look for it, or write it anew"
		}
	case errors.As(err, &large):
		t.Hint = "use a command there"
	}
	return t
}

func fileHint(e *file.Error) string {
	switch e.Kind {
	case file.Outside:
		return "give a path inside of it; this server was started without --allow-outside"
	case file.IsDir:
		return "list it with list_directory"
	case file.Binary:
		return "use a command there"
	default:
		return ""
	}
}

func editHint(e *file.EditError) string {
	switch {
	case e.Count == 0:
		return "read it again; the text must be there letter by letter, spaces too"
	case e.Count > 0:
		return "or set replace_all"
	}
	return ""
}

// failed is the result of a call that failed.
func (s *server) failed(err error) *sdk.CallToolResult {
	t := s.trouble(err)
	t.Message, t.Hint = s.Redactor.Text(t.Message), s.Redactor.Text(t.Hint)
	text := t.Message + " (class: " + t.Class + ")"
	fields := map[string]any{"class": t.Class, "message": t.Message}
	if t.Hint != "" {
		text += "\n" + t.Hint
		fields["hint"] = t.Hint
	}
	return &sdk.CallToolResult{
		IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: termsafe.Text(text)}}, Meta: sdk.Meta{"bivy/error": fields},
	}
}

// refuseSecrets keeps what stands for a secret out of files: agents are shown
// [secret NAME] in place of a value, and would write that over it.
func refuseSecrets(path string, texts ...string) error {
	shown := regexp.MustCompile(`\[secret [A-Za-z0-9_][A-Za-z0-9_.-]*\]`)
	for _, text := range texts {
		if found := shown.FindString(text); found != "" {
			return &callError{
				class: "precondition",
				text:  fmt.Sprintf("the new text for %s holds %s, which stands for a value that is not shown; nothing was written", termsafe.Line(path, 300), found),
				hint:  "leave that part of the file as it is, or have the command read the value from its environment",
			}
		}
	}
	return nil
}
