package file

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"slices"
	"strings"

	"bivy/exec/frame"
)

var (
	//go:embed grep.sh
	grepScript string
	//go:embed grepbatch.sh
	grepBatchScript string
)

const (
	// DefaultMaxMatches is how many lines that match Grep returns at most.
	DefaultMaxMatches = 1000
	// DefaultMaxLine is how much of a line it returns, in bytes.
	DefaultMaxLine = 1000
	// maxGrep bounds what a host may send, in bytes.
	maxGrep = 8 << 20
)

// GrepOptions choose what is searched for, and where.
type GrepOptions struct {
	// Fixed takes the pattern as it is; otherwise it is a POSIX extended
	// regular expression. A host with rg takes more than those, so that a
	// pattern may do on one host what it does not on another.
	Fixed, IgnoreCase bool
	// Context is how many lines are shown around each match.
	Context int
	// Ignored searches what git ignores, too.
	Ignored bool
	// Max and MaxLine are in place of DefaultMaxMatches and DefaultMaxLine.
	Max, MaxLine int
}

// Line is a line of a file that matches, or stands next to one that does.
type Line struct {
	// Path is relative to the directory; of a single file it is as given.
	Path   string
	Number int64
	Text   string
	// Context says that the line itself does not match; Cut, that the end of
	// it is left out.
	Context, Cut bool
}

// Matches is what a search has found.
type Matches struct {
	// Lines are sorted by path, byte by byte, and number.
	Lines []Line
	// Count is how many of them match.
	Count int
	// Truncated says that there are more. Which ones came is then by chance.
	Truncated bool
	// Incomplete says that something could not be read.
	Incomplete bool
	// Tool is what searched: rg, git or grep. The first two leave out what
	// git ignores.
	Tool string
}

// Grep searches a file, or all files below a directory. Binary files, .git and
// what is no regular file are left out; links are not followed.
func (f *FS) Grep(ctx context.Context, path, pattern string, o GrepOptions) (Matches, error) {
	if o.Max <= 0 {
		o.Max = DefaultMaxMatches
	}
	if o.MaxLine <= 0 {
		o.MaxLine = DefaultMaxLine
	}
	bad := &Error{Host: f.Runner.Host(), Op: "grep", Path: pattern, Kind: BadPattern}
	if pattern == "" || strings.ContainsAny(pattern, "\x00\n") || o.Context < 0 {
		return Matches{}, bad
	}
	body := &gathered{limit: maxGrep}
	known, err := f.call(ctx, Call{
		Op: "grep", Function: "bivy_grep", Script: frame.Strip(gitScript) + frame.Strip(grepScript), Tools: true, Long: true,
		Args: []string{
			path, itoa(body.limit), pattern, flag(o.Fixed), flag(o.IgnoreCase), itoa(int64(o.Context)), flag(o.Ignored),
			frame.Strip(grepBatchScript),
		},
	}, path, body)
	if err != nil {
		return Matches{}, err
	}
	tool, text, ok := strings.Cut(body.String(), "\x00")
	code, isNumber := number(known["code"])
	if !isNumber || ok && tool != "rg" && tool != "git" && tool != "grep" {
		return Matches{}, f.odd("grep", "it does not say who answers")
	}
	if code >= 2 && text == "" {
		return Matches{}, bad
	}
	cut := int64(body.Len()) >= body.limit
	m := parseMatches(tool, text, cut, o)
	m.Incomplete = m.Incomplete || code >= 2 && !cut
	if known["single"] == "1" {
		for i := range m.Lines {
			m.Lines[i].Path = path
		}
	}
	return m, nil
}

// parseMatches reads what rg, git or grep print. What is no line of theirs is
// left out.
func parseMatches(tool, text string, cut bool, o GrepOptions) Matches {
	m := Matches{Tool: tool, Truncated: cut}
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "--\n"); ok && o.Context > 0 {
			text = rest
			continue
		}
		line, rest, err := parseLine(tool, text)
		if errors.Is(err, errPartial) && cut {
			if line.Number == 0 || line.Context || m.Count == o.Max {
				break
			}
			// A line may be longer than all that is taken.
			line.Cut, err = true, nil
		}
		text = rest
		if err != nil {
			m.Incomplete = true
			continue
		}
		if !line.Context {
			if m.Count == o.Max {
				m.Truncated = true
				break
			}
			m.Count++
		}
		if len(line.Text) > o.MaxLine {
			line.Text, line.Cut = line.Text[:o.MaxLine], true
		}
		line.Text = strings.Clone(line.Text) // not all of the answer with it
		m.Lines = append(m.Lines, line)
	}
	slices.SortStableFunc(m.Lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Number, b.Number))
	})
	return m
}

var (
	errPartial = errors.New("the line ends too early")
	errNoLine  = errors.New("that is no line of a file")
)

// parseLine reads one line: NAME NUL NUMBER, a sign, the text. It returns what
// follows it also with an error, and with errPartial what there is of the line.
func parseLine(tool, text string) (l Line, rest string, err error) {
	name, behind, ok := strings.Cut(text, "\x00")
	if tool != "git" && ok && !strings.HasPrefix(name, "./") {
		// A message stands in front, such as rg's about a binary file.
		_, rest, _ = strings.Cut(text, "\n")
		return l, rest, errNoLine
	}
	body, rest, whole := strings.Cut(behind, "\n")
	if !ok {
		return l, "", errPartial
	}
	if !whole {
		err = errPartial
	}
	digits := len(body) - len(strings.TrimLeft(body, "0123456789"))
	n, isNumber := number(body[:digits])
	if !isNumber || n < 1 || digits == len(body) {
		return l, rest, cmp.Or(err, errNoLine)
	}
	l = Line{Path: strings.Clone(strings.TrimPrefix(name, "./")), Number: n, Text: body[digits+1:]}
	switch body[digits] {
	case ':':
	case '-', '=':
		l.Context = true
	case 0:
		l.Context = !cutColumn(&l.Text)
	default:
		return Line{}, rest, errNoLine
	}
	return l, rest, err
}

// cutColumn takes the column off the text of a match, which only those have.
func cutColumn(text *string) bool {
	column, rest, ok := strings.Cut(*text, "\x00")
	if _, isNumber := number(column); !ok || !isNumber {
		return false
	}
	*text = rest
	return true
}
