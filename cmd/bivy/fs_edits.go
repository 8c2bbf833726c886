package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"bivy/exec/file"
	"bivy/internal/humane"
	"bivy/internal/termsafe"
)

const (
	// maxEdits is how much --edits takes, in bytes.
	maxEdits = 8 << 20
	// maxChanges is how many replacements it takes.
	maxChanges = 10_000
)

// editsReader reads a list of replacements word by word: encoding/json alone
// takes names in any case, and of two the last, and gives what is half of a
// character another meaning. None of that may decide what becomes of a file.
type editsReader struct {
	data []byte
	dec  *json.Decoder
	n    int // the number of the change that is read, from 1
}

// parseEdits reads [{"old":…,"new":…,"all":…},…].
func parseEdits(data []byte) ([]file.Replacement, error) {
	if !utf8.Valid(data) {
		return nil, usagef("--edits is not UTF-8; texts that are not go with --old and --new")
	}
	r := &editsReader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	if err := r.opens('[', "--edits is %s, not a list of {\"old\":…,\"new\":…}"); err != nil {
		return nil, err
	}
	var changes []file.Replacement
	for r.dec.More() {
		if r.n++; r.n > maxChanges {
			return nil, usagef("--edits has more than %d changes", maxChanges)
		}
		change, err := r.change()
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	if _, err := r.token(); err != nil {
		return nil, err
	}
	switch _, err := r.dec.Token(); {
	case !errors.Is(err, io.EOF):
		return nil, usagef("--edits goes on behind its list")
	case len(changes) == 0:
		return nil, usagef("--edits is an empty list")
	}
	return changes, nil
}

// change reads one object.
func (r *editsReader) change() (c file.Replacement, err error) {
	if err := r.opens('{', "--edits: "+r.which()+" is %s, not {\"old\":…,\"new\":…}"); err != nil {
		return c, err
	}
	seen := map[string]bool{}
	for r.dec.More() {
		name, err := r.token()
		if err != nil {
			return c, err
		}
		key, _ := name.(string)
		switch {
		case key != "old" && key != "new" && key != "all":
			return c, usagef("--edits: %s has %q; it may have \"old\", \"new\" and \"all\"", r.which(), termsafe.Line(key, 60))
		case seen[key]:
			return c, usagef("--edits: %s has %q twice", r.which(), key)
		}
		seen[key] = true
		if key == "all" {
			c.All, err = r.truth()
		} else {
			err = r.text(key, map[string]*string{"old": &c.Old, "new": &c.New}[key])
		}
		if err != nil {
			return c, err
		}
	}
	if _, err := r.token(); err != nil {
		return c, err
	}
	for _, key := range []string{"old", "new"} {
		if !seen[key] {
			return c, usagef("--edits: %s has no %q", r.which(), key)
		}
	}
	return c, nil
}

func (r *editsReader) which() string { return "change " + strconv.Itoa(r.n) }

// opens reads the beginning of a list or an object. The format is that of the
// error, for the name of what is there.
func (r *editsReader) opens(want json.Delim, format string) error {
	t, err := r.token()
	if err == nil && t != want {
		err = usagef(format, kindOfJSON(t))
	}
	return err
}

func (r *editsReader) truth() (bool, error) {
	t, err := r.token()
	value, ok := t.(bool)
	if err == nil && !ok {
		err = usagef("--edits: \"all\" of %s is %s, not true or false", r.which(), kindOfJSON(t))
	}
	return value, err
}

func (r *editsReader) text(key string, value *string) error {
	begin := r.dec.InputOffset()
	t, err := r.token()
	if err != nil {
		return err
	}
	text, ok := t.(string)
	if !ok {
		return usagef("--edits: %q of %s is %s, not a text", key, r.which(), kindOfJSON(t))
	}
	if halfCharacter(r.data[begin:r.dec.InputOffset()]) {
		return usagef("--edits: %q of %s has half of a character: a \\uD800 to \\uDFFF alone", key, r.which())
	}
	*value = text
	return nil
}

func (r *editsReader) token() (json.Token, error) {
	t, err := r.dec.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, usagef("--edits is no JSON: it ends too early, after %s", humane.Plural(len(r.data), "byte", "bytes"))
	case errors.As(err, &syntax):
		return nil, usagef("--edits is no JSON: %w, at byte %d", err, syntax.Offset)
	default:
		return nil, fmt.Errorf("read --edits: %w", err)
	}
}

// kindOfJSON names what a value is.
func kindOfJSON(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return "a text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	default:
		return "null"
	}
}

// halfCharacter reports whether a JSON string has an escape for a half of a
// surrogate pair whose other half is not beside it.
func halfCharacter(literal []byte) bool {
	for i := 0; i+1 < len(literal); i++ {
		if literal[i] != '\\' {
			continue
		}
		if i++; literal[i] != 'u' {
			continue
		}
		unit, next := utf16At(literal, i-1), utf16At(literal, i+5)
		switch {
		case unit >= 0xdc00 && unit < 0xe000:
			return true
		case unit < 0xd800 || unit >= 0xdc00:
		case next >= 0xdc00 && next < 0xe000:
			i += 6
		default:
			return true
		}
	}
	return false
}

// utf16At reads \uXXXX, or gives 0 where there is none.
func utf16At(literal []byte, i int) uint64 {
	if i+6 > len(literal) || literal[i] != '\\' || literal[i+1] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(literal[i+2:i+6]), 16, 16)
	return unit
}
