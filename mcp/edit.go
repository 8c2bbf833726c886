package mcp

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/file"
)

const editText = "Replaces a text in a file by another one. old_string must be there exactly once, unless replace_all is set. " +
	"Line ends and a byte order mark are kept. If the file has changed since it was read, nothing is written and the error has its new SHA-256. " +
	"Returns a unified diff."

type editIn struct {
	Where
	Path string `json:"file_path" jsonschema:"The file, relative to the workspace."`
	Old  string `json:"old_string" jsonschema:"The text to replace, letter by letter, spaces too."`
	New  string `json:"new_string" jsonschema:"What replaces it; may be empty."`
	All  bool   `json:"replace_all,omitempty" jsonschema:"Replace every occurrence; default: false."`
}

type editOut struct {
	file.Name
	Replaced int    `json:"replaced" jsonschema:"How many occurrences were replaced."`
	Before   string `json:"sha256_before" jsonschema:"The SHA-256 of what the file held."`
	SHA256   string `json:"sha256" jsonschema:"The SHA-256 of what the file holds now."`
	Length   int64  `json:"length" jsonschema:"In bytes."`
	Diff     string `json:"diff" jsonschema:"A unified diff. Its middle is left out where it is long."`
	remarks
}

func (o editOut) blocks() []string {
	return []string{fmt.Sprintf("made %d replacements in %s; sha256 %s", o.Replaced, shown(o.String()), o.SHA256) + o.text(), o.Diff}
}

// edit is the tool edit_file.
func (s *server) edit(ctx context.Context, _ *sdk.CallToolRequest, in editIn) (*editOut, error) {
	switch {
	case in.Path == "":
		return nil, usage("file_path is empty")
	case in.Old == "":
		return nil, usage("old_string is empty; give the text that is to be replaced, or use write_file")
	case in.Old == in.New:
		return nil, usage("old_string and new_string are the same")
	}
	if err := refuseSecrets(in.Path, in.New); err != nil {
		return nil, err
	}
	p, err := s.place(in.Workspace)
	if err != nil {
		return nil, err
	}
	files, err := s.fs(p, in.Path)
	if err != nil {
		return nil, err
	}
	key := fileKey(p, in.Path)
	release, err := s.memory.hold(ctx, key)
	if err != nil {
		return nil, err
	}
	defer release()
	done, err := s.change(ctx, files, key, in)
	if err != nil {
		s.gone(key, err)
		return nil, err
	}
	s.remember(key, done.Content)
	diff, _ := visible(done.Diff)
	if cut := excerptOf([]byte(diff), 0, nil, s.MaxOutput); cut.omitted > 0 {
		diff = cut.text
	}
	return &editOut{named(in.Path), done.Replaced[0], done.Before, done.SHA256, done.Length, diff, remarks{done.OwnerChanged, done.LinksBroken}}, nil
}

// change makes an edit in what is remembered of the file, which the host then
// compares with what it has: one round trip. Where the text is not in what is
// remembered, the file may have changed since, and is looked at once more.
func (s *server) change(ctx context.Context, files *file.FS, key string, in editIn) (file.Edited, error) {
	changes := []file.Replacement{{Old: in.Old, New: in.New, All: in.All}}
	options := file.EditOptions{}
	known, ok := s.memory.recall(key)
	if ok {
		options.IfMatch = known.SHA256
	}
	if known.Whole {
		options.Known = &known
	}
	done, err := files.Edit(ctx, in.Path, changes, options)
	var unfit *file.EditError
	if options.Known == nil || !errors.As(err, &unfit) {
		return done, err
	}
	c, readErr := files.Read(ctx, in.Path, file.ReadOptions{Max: file.MaxEdit})
	if readErr != nil {
		return done, readErr
	}
	if c.SHA256 != known.SHA256 {
		return done, &file.PreconditionError{Host: files.Runner.Host(), Path: in.Path, Want: known.SHA256, Have: c.SHA256}
	}
	return done, err
}
