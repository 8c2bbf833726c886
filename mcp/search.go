package mcp

import (
	"context"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/file"
)

const searchText = "Searches the content of files for a POSIX extended regular expression, line by line, with rg, git grep or grep, whichever is there. " +
	"Binary files and what git ignores are left out."

const (
	// perMatch is about what a line takes in a result beside its path and its
	// text, in bytes.
	perMatch = 60
	// included is how many matches are asked for where include takes some of
	// them away again.
	included = 20_000
)

type searchIn struct {
	Where
	Pattern    string `json:"pattern" jsonschema:"The regular expression."`
	Path       string `json:"path,omitempty" jsonschema:"A directory or a file, relative to the workspace; default: the workspace itself."`
	Include    string `json:"include,omitempty" jsonschema:"Search only files that this glob matches, such as *.go or src/**; without a slash it is for the name alone."`
	IgnoreCase bool   `json:"ignore_case,omitempty" jsonschema:"Take upper and lower case for the same; default: false."`
	Literal    bool   `json:"literal,omitempty" jsonschema:"Take the pattern as it is, not as a regular expression; default: false."`
	Context    int    `json:"context,omitempty" jsonschema:"How many lines to show around each match; default: 0."`
	Limit      int    `json:"limit,omitempty" jsonschema:"How many matches to return at most; default: 1000."`
	Ignored    bool   `json:"include_ignored,omitempty" jsonschema:"Search what git ignores, too; default: false."`
}

type searchOut struct {
	Lines      []line `json:"lines" jsonschema:"Sorted by path, byte by byte, and number."`
	Count      int    `json:"count" jsonschema:"How many of the lines match."`
	Truncated  bool   `json:"truncated" jsonschema:"There are more than are shown."`
	Incomplete bool   `json:"incomplete" jsonschema:"Something could not be read."`
	Tool       string `json:"tool" jsonschema:"What searched: rg, git or grep."`
}

type line struct {
	file.Name
	Number  int64  `json:"line" jsonschema:"Lines are counted from 1."`
	Text    string `json:"text" jsonschema:"The line; what is no text in it is shown as \\xNN."`
	Context bool   `json:"context" jsonschema:"The line itself does not match."`
	Cut     bool   `json:"cut" jsonschema:"The end of the line is left out."`
}

func (o searchOut) blocks() []string {
	var b strings.Builder
	for i, l := range o.Lines {
		sign, more := ":", ""
		if l.Context {
			sign = "-"
		}
		if l.Cut {
			more = " […]"
		}
		if before := i - 1; before >= 0 && l.Context != o.Lines[before].Context && l.Number > o.Lines[before].Number+1 {
			b.WriteString("--\n")
		}
		fmt.Fprintf(&b, "%s%s%d%s%s%s\n", shown(l.String()), sign, l.Number, sign, l.Text, more)
	}
	if len(o.Lines) == 0 {
		b.WriteString("nothing matches\n")
	}
	return append([]string{b.String()}, omissions(o.Truncated, o.Incomplete)...)
}

// search is the tool search_file_content.
func (s *server) search(ctx context.Context, _ *sdk.CallToolRequest, in searchIn) (*searchOut, error) {
	if in.Limit < 0 || in.Context < 0 {
		return nil, usage("limit and context are counts of lines; they cannot be negative")
	}
	if !doublestar.ValidatePattern(in.Include) {
		return nil, usage("include is %q, which is no glob", in.Include)
	}
	p, err := s.place(in.Workspace)
	if err != nil {
		return nil, err
	}
	limit := in.Limit
	if limit == 0 {
		limit = file.DefaultMaxMatches
	}
	options := file.GrepOptions{Fixed: in.Literal, IgnoreCase: in.IgnoreCase, Context: in.Context, Ignored: in.Ignored, Max: limit}
	if in.Include != "" {
		options.Max = max(limit, included)
	}
	files, err := s.fsToRead(p, in.Path)
	if err != nil {
		return nil, err
	}
	found, err := files.Grep(ctx, in.Path, in.Pattern, options)
	if err != nil {
		return nil, err
	}
	return s.lines(found, in, limit), nil
}

// lines takes what fits of what was found.
func (s *server) lines(found file.Matches, in searchIn, limit int) *searchOut {
	o := searchOut{Lines: []line{}, Truncated: found.Truncated, Incomplete: found.Incomplete, Tool: found.Tool}
	room := s.MaxOutput
	for _, l := range found.Lines {
		if in.Include != "" && !includes(in.Include, l.Path) {
			continue
		}
		text := l.Text
		if l.Cut {
			text = text[:len(wholeFront([]byte(text+"\x80"), len(text)))]
		}
		text, _ = visible(strings.TrimSuffix(text, "\r"))
		name := within(in.Path, l.Path)
		if l.Path == in.Path {
			name = l.Path // it is a single file
		}
		if room -= len(name) + len(text) + perMatch; room < 0 || !l.Context && o.Count == limit {
			o.Truncated = true
			break
		}
		if !l.Context {
			o.Count++
		}
		if !utf8.ValidString(text) {
			text = strings.ToValidUTF8(text, "\ufffd")
		}
		o.Lines = append(o.Lines, line{file.NameOf(name), l.Number, text, l.Context, l.Cut})
	}
	return &o
}

// includes reports whether a glob is for a path, or for its last part.
func includes(glob, name string) bool {
	if !strings.Contains(glob, "/") {
		name = path.Base(name)
	}
	return doublestar.MatchUnvalidated(glob, name)
}
