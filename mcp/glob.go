package mcp

import (
	"context"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/file"
)

const globText = "Finds files by a glob for their path: * and ? match no slash, ** any number of directories, [a-z] and {a,b} as usual; " +
	"src/**/*.go finds all Go files below src. What git ignores is left out."

type globIn struct {
	Where
	Pattern string `json:"pattern" jsonschema:"The glob, for the path from where the search begins."`
	Path    string `json:"path,omitempty" jsonschema:"Where to search, relative to the workspace; default: the workspace itself."`
	Ignored bool   `json:"include_ignored,omitempty" jsonschema:"Find what git ignores, too; default: false."`
}

type globOut struct {
	Files      []file.Name `json:"files" jsonschema:"Paths relative to the workspace, sorted byte by byte."`
	Truncated  bool        `json:"truncated" jsonschema:"There are more than are shown."`
	Incomplete bool        `json:"incomplete" jsonschema:"Some directories could not be read."`
}

func (o globOut) blocks() []string {
	var b strings.Builder
	for _, f := range o.Files {
		b.WriteString(shown(f.String()) + "\n")
	}
	if len(o.Files) == 0 {
		b.WriteString("no file matches\n")
	}
	return append([]string{b.String()}, omissions(o.Truncated, o.Incomplete)...)
}

// glob is the tool of that name.
func (s *server) glob(ctx context.Context, _ *sdk.CallToolRequest, in globIn) (*globOut, error) {
	p, err := s.place(in.Workspace)
	if err != nil {
		return nil, err
	}
	files, err := s.fs(p, in.Path)
	if err != nil {
		return nil, err
	}
	found, err := files.Find(ctx, in.Path, in.Pattern, file.FindOptions{Ignored: in.Ignored})
	if err != nil {
		return nil, err
	}
	o := globOut{Files: []file.Name{}, Truncated: found.Truncated, Incomplete: found.Incomplete}
	room := s.MaxOutput
	for _, name := range found.Paths {
		name = within(in.Path, name)
		if room -= len(name) + len(`{"path":""},`); room < 0 {
			o.Truncated = true
			break
		}
		o.Files = append(o.Files, file.NameOf(name))
	}
	return &o, nil
}
