package main

import (
	"context"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"bivy/exec/file"
)

// FsReadCmd is `bivy fs read`.
type FsReadCmd struct {
	Path string `arg:"" name:"ws:path" help:"The file."`
	FilePlace
	Lines string `name:"lines" placeholder:"A:B" help:"Only these lines; the first is 1, and A: reads to the end."`
	Bytes string `name:"bytes" placeholder:"OFF:LEN" help:"Only LEN bytes from OFF on; OFF: reads to the end."`
	Tail  int64  `name:"tail" placeholder:"N" help:"Only the last N lines."`
	Max   int64  `name:"max" placeholder:"BYTES" help:"Print so many bytes at most, and say what was left out."`
}

// Help is the long help.
func (*FsReadCmd) Help() string {
	return `To a pipe or a file go the bytes as they are; to a terminal what is safe there.
What --max leaves out is said on stderr. Without it a whole file has no limit, a
part may have 8 MiB; --json takes 1 MiB unless --max says more, and its
"omitted" tells.

  bivy fs read fix-1:app.log --tail 50
  bivy fs read --host gpu1 /etc/os-release`
}

// maxPart is how much a part may have in bytes where --max says nothing: it is
// held in memory, more than once.
const maxPart = 8 << 20

type readFields struct {
	Format int `json:"format"`
	fileFields
	Content       *string `json:"content,omitempty"`
	ContentBase64 *string `json:"content_base64,omitempty"`
	Length        int64   `json:"length"`
	Whole         bool    `json:"whole"`
	// Omitted is null where nobody knows how much it is.
	Omitted   *int64  `json:"omitted"`
	SHA256    *string `json:"sha256"`
	Lines     *int64  `json:"lines"`
	FirstLine *int64  `json:"first_line"`
	Binary    bool    `json:"binary"`
}

// Run prints the file.
func (c *FsReadCmd) Run(ctx context.Context, app *App) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	files, paths, err := c.open(app, c.Path)
	if err != nil {
		return err
	}
	if app.UI.JSON {
		content, err := files.Read(ctx, paths[0], options)
		if err != nil {
			return err
		}
		wholeCharacters(&content, c.Tail > 0)
		return app.UI.object(contentJSON(content))
	}
	out, end := app.UI.safe(app.UI.Out, false)
	defer end()
	part := options.Lines != nil || options.Bytes != nil || options.Tail > 0
	if !part && c.Max == 0 {
		_, err := files.ReadTo(ctx, out, paths[0], file.ReadOptions{Bare: true, Max: -1})
		return err
	}
	// A part of a file that changes is asked for again, so none of it is
	// printed before it is there. Its checksum would only take time.
	options.HashMax = -1
	if c.Max == 0 {
		options.Max = maxPart
	}
	content, err := files.Read(ctx, paths[0], options)
	if err != nil {
		return err
	}
	if content.Omitted != 0 && c.Max == 0 {
		return &file.TooLargeError{Host: files.Runner.Host(), Op: "read", Path: paths[0], Size: -1, Limit: maxPart}
	}
	if _, err := out.Write(content.Data); err != nil {
		return err
	}
	c.tellOmitted(app.UI, content)
	return nil
}

// tellOmitted says what --max has left out.
func (c *FsReadCmd) tellOmitted(ui *UI, content file.Content) {
	where := "behind"
	if c.Tail > 0 {
		where = "before"
	}
	switch {
	case content.Omitted > 0:
		ui.Note("bivy: %d more bytes %s these were left out (--max %d)", content.Omitted, where, c.Max)
	case content.Omitted < 0:
		ui.Note("bivy: there is more %s these %d bytes, which was left out (--max %d)", where, content.Length, c.Max)
	}
}

func (c *FsReadCmd) options() (o file.ReadOptions, err error) {
	kinds := 0
	if c.Lines != "" {
		kinds++
		from, to, ok := numbers(c.Lines, 1)
		if !ok || from < 1 || to != 0 && to < from {
			return o, usagef("--lines is %q, which is no A:B with 1 or more for the first line", c.Lines)
		}
		o.Lines = &file.LineRange{From: from, To: to}
	}
	if c.Bytes != "" {
		kinds++
		offset, count, ok := numbers(c.Bytes, 0)
		if !ok {
			return o, usagef("--bytes is %q, which is no OFF:LEN with 1 or more for the length", c.Bytes)
		}
		if count == 0 {
			count = maxNumber
		}
		o.Bytes = &file.ByteRange{Offset: offset, Count: count}
	}
	if c.Tail != 0 {
		kinds++
	}
	// busybox counts no further, and says so where nobody listens.
	o.Tail, o.Max = min(c.Tail, math.MaxInt32), c.Max
	switch {
	case kinds > 1:
		return o, usagef("give one of --lines, --bytes and --tail")
	case c.Tail < 0 || c.Tail > maxNumber:
		return o, usagef("--tail is %d, which is no number of lines", c.Tail)
	case c.Max < 0 || c.Max > maxNumber:
		return o, usagef("--max is %d, which is no number of bytes", c.Max)
	}
	return o, nil
}

// maxNumber is the largest that the host is asked with.
const maxNumber = math.MaxInt64 >> 4

// numbers reads A:B. A that is left out is first, B that is left out is 0.
func numbers(text string, first int64) (a, b int64, ok bool) {
	left, right, ok := strings.Cut(text, ":")
	if !ok {
		return 0, 0, false
	}
	a = first
	if left != "" {
		if a, ok = count(left); !ok {
			return 0, 0, false
		}
	}
	if right != "" {
		if b, ok = count(right); !ok || b == 0 {
			return 0, 0, false
		}
	}
	return a, b, true
}

func count(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && n <= maxNumber
}

// wholeCharacters leaves out what --max has left of a character that it cut, so
// that a text stays one.
func wholeCharacters(c *file.Content, tail bool) {
	if c.Omitted == 0 {
		return
	}
	whole := c.Data[:len(c.Data)-unfinished(c.Data)]
	if tail {
		whole = c.Data
		for n := 0; n < utf8.UTFMax-1 && len(whole) > 0 && !utf8.RuneStart(whole[0]); n++ {
			whole = whole[1:]
		}
	}
	if !utf8.Valid(whole) {
		return
	}
	if c.Omitted > 0 {
		c.Omitted += c.Length - int64(len(whole))
	}
	c.Data, c.Length = whole, int64(len(whole))
}

func contentJSON(c file.Content) readFields {
	f := readFields{
		Format: 1, fileFields: fieldsOfFile(c.Info), Length: c.Length, Whole: c.Whole, Omitted: known(c.Omitted),
		Lines: known(c.Lines), Binary: c.Binary,
	}
	f.Content, f.ContentBase64 = inText(c.Data)
	if c.SHA256 != "" {
		f.SHA256 = &c.SHA256
	}
	if c.FirstLine > 0 {
		f.FirstLine = &c.FirstLine
	}
	return f
}
