package main

import (
	"context"
	"io"
	"strconv"
	"strings"

	"bivy/exec/file"
)

// FsGrepCmd is `bivy fs grep`.
type FsGrepCmd struct {
	Path    string `arg:"" name:"ws:path" help:"A file, or a directory with all below; WS: alone is the workspace's."`
	Pattern string `arg:"" name:"pattern" help:"A POSIX extended regular expression."`
	FilePlace
	IgnoreCase bool `name:"ignore-case" short:"i" help:"Take upper and lower case for the same."`
	Context    int  `name:"context" short:"C" placeholder:"N" help:"Show N lines around each that matches."`
	Max        int  `name:"max" placeholder:"N" help:"Show so many lines that match at most; default 1000."`
}

// Help is the long help.
func (*FsGrepCmd) Help() string {
	return `Prints PATH:LINE:TEXT, and PATH-LINE-TEXT for lines around a match. Binary files and
.git are left out, and what git ignores where rg or git is there. That nothing
matches is no failure (0).

  bivy fs grep fix-1:src 'func (Open|Close)' -C 2`
}

type grepFields struct {
	Format int `json:"format"`
	file.Name
	Lines      []grepLine `json:"lines"`
	Count      int        `json:"count"`
	Truncated  bool       `json:"truncated"`
	Incomplete bool       `json:"incomplete"`
	// Tool is what searched there: rg, git or grep.
	Tool string `json:"tool"`
}

type grepLine struct {
	file.Name
	Number     int64   `json:"line"`
	Text       *string `json:"text,omitempty"`
	TextBase64 *string `json:"text_base64,omitempty"`
	Context    bool    `json:"context"`
	Cut        bool    `json:"cut"`
}

// Run prints the lines.
func (c *FsGrepCmd) Run(ctx context.Context, app *App) error {
	switch {
	case c.Context < 0 || c.Max < 0:
		return usagef("-C and --max are numbers of lines")
	case c.Pattern == "":
		return usagef("the pattern is empty; \"^\" matches every line")
	case strings.Contains(c.Pattern, "\n"):
		return usagef("the pattern has a line break; lines are searched one by one")
	}
	files, paths, err := c.open(app, c.Path)
	if err != nil {
		return err
	}
	m, err := files.Grep(ctx, paths[0], c.Pattern, file.GrepOptions{IgnoreCase: c.IgnoreCase, Context: c.Context, Max: c.Max})
	if err != nil {
		return err
	}
	for i, l := range m.Lines {
		if l.Cut { // perhaps within a character
			m.Lines[i].Text = l.Text[:len(l.Text)-unfinished([]byte(l.Text))]
		}
		if l.Path != paths[0] {
			m.Lines[i].Path = within(paths[0], l.Path)
		}
	}
	if app.UI.JSON {
		return app.UI.object(grepJSON(paths[0], m))
	}
	out, end := app.UI.safe(app.UI.Out, false)
	_, err = io.WriteString(out, grepText(m, c.Context > 0))
	end()
	tellPartial(app.UI, m.Truncated, m.Incomplete, m.Count, "lines that match")
	return err
}

// grepText is what grep prints; groups of lines that are apart have -- between
// them.
func grepText(m file.Matches, groups bool) string {
	var b strings.Builder
	for i, l := range m.Lines {
		if groups && i > 0 && (m.Lines[i-1].Path != l.Path || m.Lines[i-1].Number+1 != l.Number) {
			b.WriteString("--\n")
		}
		sign := ":"
		if l.Context {
			sign = "-"
		}
		b.WriteString(shown(l.Path) + sign + strconv.FormatInt(l.Number, 10) + sign + l.Text)
		if l.Cut {
			b.WriteString("…")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func grepJSON(path string, m file.Matches) grepFields {
	f := grepFields{
		Format: 1, Name: named(path), Lines: []grepLine{}, Count: m.Count, Truncated: m.Truncated, Incomplete: m.Incomplete, Tool: m.Tool,
	}
	for _, l := range m.Lines {
		line := grepLine{Name: named(l.Path), Number: l.Number, Context: l.Context, Cut: l.Cut}
		line.Text, line.TextBase64 = inText([]byte(l.Text))
		f.Lines = append(f.Lines, line)
	}
	return f
}
