package mcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/exec/file"
	"bivy/secrets"
)

const readText = "Reads a text file. The content is returned without line numbers, with LF line ends and without a byte order mark; " +
	"edit_file keeps those as they are. Of a long file a part is returned; next_offset says where to go on. " +
	"The server remembers what it has read: an edit_file after it takes one round trip, and fails if the file has changed since."

const (
	// readMax is how much of a file is read at once, in bytes.
	readMax = 1 << 20
	// rangeMax is how large a file may be of which all is read where lines of
	// it were asked for: an edit may follow.
	rangeMax = 256 << 10
)

type readIn struct {
	Where
	Path   string `json:"file_path" jsonschema:"The file, relative to the workspace."`
	Offset int64  `json:"offset,omitempty" jsonschema:"The first line to read; lines are counted from 1."`
	Limit  int64  `json:"limit,omitempty" jsonschema:"How many lines to read; default: as many as one result takes."`
}

type readOut struct {
	file.Name
	Content    string  `json:"content" jsonschema:"The lines that were read. Empty for a file that is no text."`
	Base64     string  `json:"content_base64,omitempty" jsonschema:"The same bytes as they are, where content cannot show them (escaped, binary)."`
	FirstLine  int64   `json:"first_line" jsonschema:"The number of the first line in content; 0 where there is none."`
	LastLine   int64   `json:"last_line" jsonschema:"The number of the last line in content; 0 where there is none."`
	TotalLines *int64  `json:"total_lines" jsonschema:"How many lines the file has; null where not known."`
	NextOffset *int64  `json:"next_offset" jsonschema:"The offset to go on with; null where content goes to the end of what was asked for."`
	Size       int64   `json:"size" jsonschema:"The file's length in bytes."`
	SHA256     *string `json:"sha256" jsonschema:"The SHA-256 of the whole file; null where not known."`
	LineEnds   string  `json:"line_ends" jsonschema:"lf, crlf or mixed. Those of crlf are shown as LF."`
	BOM        bool    `json:"bom" jsonschema:"The file begins with a byte order mark, which is not shown."`
	Escaped    bool    `json:"escaped" jsonschema:"Control characters, or bytes that are not UTF-8, are shown as \\xNN or \\uNNNN."`
	Binary     bool    `json:"binary" jsonschema:"The file is no text."`
	LineCut    bool    `json:"line_cut" jsonschema:"The last line in content is too long, and its end is left out."`
}

func (o readOut) blocks() []string {
	blocks := []string{o.Content}
	if o.Binary {
		blocks[0] = fmt.Sprintf("%s is no text: %d bytes, of which the first are in content_base64.", shown(o.String()), o.Size)
	}
	var notes []string
	of := ""
	if o.TotalLines != nil {
		of = fmt.Sprintf(" of %d", *o.TotalLines)
	}
	switch {
	case o.NextOffset != nil:
		notes = append(notes, fmt.Sprintf("lines %d to %d%s; go on with offset %d", o.FirstLine, o.LastLine, of, *o.NextOffset))
	case o.Size == 0 && o.Content == "":
		notes = append(notes, "the file is empty")
	case o.FirstLine == 0 && !o.Binary:
		notes = append(notes, "there are no such lines"+of)
	case o.FirstLine > 1, o.TotalLines != nil && o.LastLine < *o.TotalLines && !o.Binary:
		notes = append(notes, fmt.Sprintf("lines %d to %d%s", o.FirstLine, o.LastLine, of))
	}
	if o.LineCut {
		notes = append(notes, fmt.Sprintf("the end of line %d is left out", o.LastLine))
	}
	if o.LineEnds != "lf" {
		notes = append(notes, "its line ends are "+o.LineEnds)
	}
	if o.Escaped {
		notes = append(notes, `what is no text is shown as \xNN or \uNNNN; the bytes are in content_base64`)
	}
	if len(notes) > 0 {
		blocks = append(blocks, "["+strings.Join(notes, "; ")+"]")
	}
	return blocks
}

// read is the tool read_file.
func (s *server) read(ctx context.Context, _ *sdk.CallToolRequest, in readIn) (*readOut, error) {
	if in.Offset < 0 || in.Limit < 0 {
		return nil, usage("offset and limit are counts of lines; they cannot be negative")
	}
	p, err := s.place(in.Workspace)
	if err != nil {
		return nil, err
	}
	c, err := s.content(ctx, p, in)
	if err != nil {
		return nil, err
	}
	o := readOut{Name: named(in.Path), Size: c.Size, Binary: c.Binary}
	if c.SHA256 != "" {
		o.SHA256 = &c.SHA256
	}
	if c.Lines >= 0 {
		o.TotalLines = &c.Lines
	}
	if c.Binary {
		o.LineEnds = "lf"
		data := s.Redactor.Bytes(c.Data)
		o.Base64 = encoded(data[:min(len(data), s.MaxOutput*3/4)])
		return &o, nil
	}
	for most := s.MaxOutput; ; most = most * s.MaxOutput / len(o.Content) {
		// What is shown as \xNN takes more than it is.
		if o.fill(s.Redactor, c, max(in.Offset, 1), in.Limit, most); len(o.Content) <= s.MaxOutput {
			return &o, nil
		}
	}
}

// content reads a file: all of it, which is then remembered, unless it is too
// large for that.
func (s *server) content(ctx context.Context, p Place, in readIn) (file.Content, error) {
	files, err := s.fsToRead(p, in.Path)
	if err != nil {
		return file.Content{}, err
	}
	key := fileKey(p, in.Path)
	most, part := max(readMax, int64(s.MaxOutput)+1), in.Offset > 1 || in.Limit > 0
	if part {
		most = rangeMax
	}
	known, ok := s.memory.recall(key)
	if !part || !ok || known.Size <= rangeMax {
		c, err := files.Read(ctx, in.Path, file.ReadOptions{Max: most})
		if err != nil {
			if isKind(err, file.NotFound) {
				s.memory.forget(key)
			}
			return c, err
		}
		s.memory.remember(key, c)
		if c.Whole || c.Binary || !part || in.Limit > 0 && int64(bytes.Count(c.Data, []byte("\n"))) >= max(in.Offset, 1)+in.Limit-1 {
			return c, nil
		}
	}
	from := max(in.Offset, 1)
	lines := file.LineRange{From: from}
	if in.Limit > 0 {
		lines.To = from + in.Limit - 1
	}
	c, err := files.Read(ctx, in.Path, file.ReadOptions{Lines: &lines, Max: int64(s.MaxOutput) + 1})
	if err == nil {
		s.memory.remember(key, c)
	}
	return c, err
}

func isKind(err error, kind file.Kind) bool {
	var e *file.Error
	return errors.As(err, &e) && e.Kind == kind
}

// fill takes lines of what was read, as many as fit, and shows them without
// secrets.
func (o *readOut) fill(r *secrets.Redactor, c file.Content, from, limit int64, most int) {
	data := c.Data
	if c.FirstLine == 1 {
		data, o.BOM = bytes.CutPrefix(data, []byte("\ufeff"))
	}
	o.LineEnds = lineEnds(data)
	first := max(c.FirstLine, 1)
	for ; first < from && len(data) > 0; first++ {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	taken, count := takeLines(data, limit, most, c.Omitted == 0)
	shown := r.Bytes(data[:taken])
	if o.LineCut = count == 0 && len(data) > 0; o.LineCut {
		// A value must not be cut before it is known.
		shown = wholeFront(r.Bytes(data), most)
		taken, count = min(len(data), len(shown)), 1
	}
	o.FirstLine, o.LastLine, o.NextOffset = 0, 0, nil
	if count > 0 {
		o.FirstLine, o.LastLine = first, first+count-1
	}
	text := string(shown)
	if o.LineEnds == "crlf" {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	if o.Content, o.Escaped = visible(text); o.Escaped {
		o.Base64 = encoded(shown)
	}
	// There is more: in what was read, or behind it.
	if (taken < len(data) || c.Omitted != 0) && count > 0 && (limit == 0 || count < limit) {
		next := o.LastLine + 1
		o.NextOffset = &next
	}
}

// takeLines is how many bytes of data are whole lines, at most limit lines and
// most bytes. The last one may lack its newline where data is whole.
func takeLines(data []byte, limit int64, most int, whole bool) (taken int, count int64) {
	for taken < len(data) && (limit == 0 || count < limit) {
		next := len(data)
		if i := bytes.IndexByte(data[taken:], '\n'); i >= 0 {
			next = taken + i + 1
		} else if !whole {
			break
		}
		if next > most {
			break
		}
		taken, count = next, count+1
	}
	return taken, count
}

// lineEnds says how the lines of a text end.
func lineEnds(data []byte) string {
	all, crlf := bytes.Count(data, []byte("\n")), bytes.Count(data, []byte("\r\n"))
	switch crlf {
	case 0:
		return "lf"
	case all:
		return "crlf"
	}
	return "mixed"
}
