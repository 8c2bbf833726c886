package mcp

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/file"
)

const listText = "Lists a directory: names, types, sizes and times. Symbolic links are not followed. " +
	"Paths in the result are relative to the workspace, as other tools take them."

// perEntry is about what an entry takes in a result beside its path, in bytes.
const perEntry = 120

type listIn struct {
	Where
	Path  string `json:"path,omitempty" jsonschema:"The directory, relative to the workspace; default: the workspace itself."`
	Depth int    `json:"depth,omitempty" jsonschema:"How many levels to list; default: 1, -1 for all."`
}

type listOut struct {
	file.Name
	Entries    []entry `json:"entries" jsonschema:"Sorted by path, byte by byte."`
	Truncated  bool    `json:"truncated" jsonschema:"There are more than are shown."`
	Incomplete bool    `json:"incomplete" jsonschema:"Some directories could not be read."`
}

type entry struct {
	file.Name
	Type       file.Type  `json:"type" jsonschema:"file, dir, symlink or other."`
	Size       int64      `json:"size" jsonschema:"In bytes; of a directory it means nothing."`
	ModifiedAt *string    `json:"modified_at" jsonschema:"RFC 3339; null where not known."`
	Target     *file.Name `json:"target,omitempty" jsonschema:"What a symbolic link says."`
}

func (o listOut) blocks() []string {
	var b strings.Builder
	for _, e := range o.Entries {
		name := shown(e.String())
		switch e.Type {
		case file.Dir:
			name += "/"
		case file.Symlink:
			name += " -> " + shown(e.Target.String())
		case file.Regular, file.Other:
			name += fmt.Sprintf("  (%d bytes)", e.Size)
		}
		b.WriteString(name + "\n")
	}
	if len(o.Entries) == 0 {
		b.WriteString("the directory is empty\n")
	}
	return append([]string{b.String()}, omissions(o.Truncated, o.Incomplete)...)
}

// omissions are said behind a list.
func omissions(truncated, incomplete bool) []string {
	var said []string
	if truncated {
		said = append(said, "[there are more than are shown; ask for less at once]")
	}
	if incomplete {
		said = append(said, "[some directories or files could not be read]")
	}
	return said
}

// list is the tool list_directory.
func (s *server) list(ctx context.Context, _ *sdk.CallToolRequest, in listIn) (*listOut, error) {
	p, err := s.place(in.Workspace)
	if err != nil {
		return nil, err
	}
	files, err := s.fs(p, in.Path)
	if err != nil {
		return nil, err
	}
	l, err := files.List(ctx, in.Path, file.ListOptions{Depth: max(in.Depth, -1)})
	if err != nil {
		return nil, err
	}
	o := listOut{Name: named(in.Path), Entries: []entry{}, Truncated: l.Truncated, Incomplete: l.Incomplete}
	room := s.MaxOutput
	for _, i := range l.Entries {
		if room -= len(i.Path) + len(i.Target) + len(in.Path) + perEntry; room < 0 {
			o.Truncated = true
			break
		}
		e := entry{Name: file.NameOf(within(in.Path, i.Path)), Type: i.Type, Size: i.Size}
		if !i.ModTime.IsZero() {
			at := i.ModTime.UTC().Format(time.RFC3339)
			e.ModifiedAt = &at
		}
		if i.Type == file.Symlink {
			target := file.NameOf(i.Target)
			e.Target = &target
		}
		o.Entries = append(o.Entries, e)
	}
	return &o, nil
}

// within puts the path of what was searched in front of a path that was found.
func within(dir, found string) string {
	if dir == "" || dir == "." {
		return found
	}
	return path.Clean(dir) + "/" + found
}
