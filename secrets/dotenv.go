package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDotenv is as much as a file of variables should have, in bytes.
const MaxDotenv = 8 << 20

// SyntaxError says where a file of variables is wrong. It holds no value.
type SyntaxError struct {
	File string
	// Line and Column are counted from 1, the latter in characters.
	Line, Column int
	Why          string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Why)
}

// Import is what a file of variables holds.
type Import struct {
	Secrets []Secret
	// Literal are the names whose values hold a $ or a backquote that a shell
	// would expand. They are taken as they are.
	Literal []string
}

// ParseDotenv reads a file of variables, as docker, direnv and many libraries
// know them:
//
//	# a comment
//	export NAME=value            # the word export may stand there
//	NAME = 'as it is, $ too'
//	NAME="with \n, \t, \" and \\, and of several
//	lines"
//
// A value without quotes goes to the end of the line, or to a # behind a space.
// Nothing is ever expanded. name is the file's, for errors, which are
// *SyntaxError and *NameError.
func ParseDotenv(name string, data []byte, dangerous bool) (Import, error) {
	var all Import
	p := &dotenv{file: name, text: bytes.TrimPrefix(data, []byte("\ufeff")), line: 1, column: 1}
	seen := map[string]int{}
	for p.toEntry() {
		at := *p
		s, literal, err := p.entry()
		if err != nil {
			return Import{}, err
		}
		if line := seen[s.Name]; line > 0 {
			return Import{}, at.fail("%s is set on line %d already", s.Name, line)
		}
		seen[s.Name] = at.line
		if err := s.check(dangerous); err != nil {
			return Import{}, at.wrap(err)
		}
		all.Secrets = append(all.Secrets, s)
		if literal {
			all.Literal = append(all.Literal, s.Name)
		}
	}
	return all, nil
}

// dotenv is a place in a file of variables.
type dotenv struct {
	file         string
	text         []byte // what is left
	line, column int
}

func (p *dotenv) fail(format string, args ...any) error {
	return &SyntaxError{p.file, p.line, p.column, fmt.Sprintf(format, args...)}
}

// wrap gives an error about an entry its place.
func (p *dotenv) wrap(err error) error {
	var name *NameError
	if errors.As(err, &name) && name.Dangerous {
		return err
	}
	return p.fail("%s", err.Error())
}

// peek is the next byte, a newline at the end of the file. CR LF counts as LF.
func (p *dotenv) peek() byte {
	if len(p.text) == 0 || bytes.HasPrefix(p.text, []byte("\r\n")) {
		return '\n'
	}
	return p.text[0]
}

// next takes that byte.
func (p *dotenv) next() byte {
	c := p.peek()
	if len(p.text) > 0 && p.text[0] == '\r' && c == '\n' {
		p.text = p.text[1:]
	}
	p.text = p.text[min(1, len(p.text)):]
	switch {
	case c == '\n':
		p.line, p.column = p.line+1, 1
	case utf8.RuneStart(c):
		p.column++
	}
	return c
}

func (p *dotenv) skip(set string) {
	for len(p.text) > 0 && strings.IndexByte(set, p.peek()) >= 0 {
		p.next()
	}
}

func (p *dotenv) skipComment() {
	for len(p.text) > 0 && p.peek() != '\n' {
		p.next()
	}
}

// toEntry goes to the next entry, if there is one.
func (p *dotenv) toEntry() bool {
	for p.skip(" \t\n"); len(p.text) > 0 && p.peek() == '#'; p.skip(" \t\n") {
		p.skipComment()
	}
	return len(p.text) > 0
}

// entry takes one, with the rest of its last line.
func (p *dotenv) entry() (s Secret, literal bool, err error) {
	if rest, ok := bytes.CutPrefix(p.text, []byte("export")); ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		for range "export" {
			p.next()
		}
		p.skip(" \t")
	}
	for len(p.text) > 0 && isName(p.peek()) {
		s.Name += string(rune(p.next()))
	}
	if s.Name == "" {
		return s, false, p.fail("a name is expected here, of letters, digits and _")
	}
	p.skip(" \t")
	if p.peek() != '=' {
		return s, false, p.fail("= is expected here, behind a name")
	}
	before := p.next()
	for len(p.text) > 0 && (p.peek() == ' ' || p.peek() == '\t') {
		before = p.next()
	}
	switch quote := p.peek(); quote {
	case '\'', '"':
		s.Value, literal, err = p.quoted(quote)
	default:
		s.Value, err = p.bare(before)
		literal = expands(s.Value)
	}
	return s, literal, err
}

func isName(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// expands reports whether a shell would change a value.
func expands(value []byte) bool {
	for i, c := range value {
		if c == '`' || c == '$' && i+1 < len(value) && (isName(value[i+1]) || value[i+1] == '{' || value[i+1] == '(') {
			return true
		}
	}
	return false
}

// bare takes a value without quotes, which begins behind that byte.
func (p *dotenv) bare(before byte) ([]byte, error) {
	var value []byte
	for p.peek() != '\n' {
		c := p.peek()
		switch {
		case c == '#' && (before == ' ' || before == '\t'):
			p.skipComment()
			continue
		case c == '"' || c == '\'':
			if len(value) == 0 || before == ' ' || before == '\t' {
				return nil, p.fail("a quote within a value; put all of the value in quotes")
			}
		}
		before = c
		value = append(value, p.next())
	}
	return bytes.TrimRight(value, " \t"), nil
}

// quoted takes a value in quotes, and the rest of the line, which holds nothing
// else.
func (p *dotenv) quoted(quote byte) (value []byte, literal bool, err error) {
	begin := *p
	var plain []byte // without what a backslash protects
	for p.next(); ; {
		if len(p.text) == 0 {
			return nil, false, begin.fail("the quote that begins here has no end")
		}
		c := p.next()
		switch {
		case c == quote:
			literal = quote == '"' && expands(plain)
			return value, literal, p.endOfLine()
		case c == '\\' && quote == '"' && len(p.text) > 0:
			if c, err = p.escape(); err != nil {
				return nil, false, err
			}
			plain = append(plain, ' ')
		default:
			plain = append(plain, c)
		}
		value = append(value, c)
	}
}

// endOfLine wants nothing more on a line but a comment.
func (p *dotenv) endOfLine() error {
	p.skip(" \t")
	if p.peek() == '#' {
		p.skipComment()
	}
	if p.peek() != '\n' {
		return p.fail("something stands behind the closing quote; quotes within a value take a backslash, in double quotes")
	}
	return nil
}

// escape takes what stands behind a backslash in double quotes.
func (p *dotenv) escape() (byte, error) {
	switch c := p.peek(); c {
	case 'n', 'r', 't':
		p.next()
		return map[byte]byte{'n': '\n', 'r': '\r', 't': '\t'}[c], nil
	case '\\', '"', '\'', '$', '`':
		return p.next(), nil
	}
	return 0, p.fail(`after a backslash comes n, r, t, ", ', $, ` + "` or another backslash; in single quotes it stands for itself")
}
