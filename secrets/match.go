package secrets

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MinRedacted is the length of the shortest value that is redacted, in
	// bytes: a shorter one stands in too much that is no secret.
	MinRedacted = 4
	// minLine is the same for a line of a value of several lines.
	minLine = 8
)

// Value is a secret that must not be shown, under the name that is shown in its
// place.
type Value struct{ Name, Value string }

// pattern is a text to find, with what is shown instead.
type pattern struct{ text, shown string }

// matcher finds patterns. It is made once and then only read.
type matcher struct {
	// heads are the patterns by their first MinRedacted bytes, longest first,
	// short every beginning that is shorter than that.
	heads map[[MinRedacted]byte][]pattern
	short map[string]bool
	// pairs says which two bytes a pattern begins with: almost nothing that is
	// not a secret has to be looked up.
	pairs *[1 << 16]bool
}

// newMatcher returns nil where there is nothing to find.
func newMatcher(values []Value) *matcher {
	m := &matcher{heads: map[[MinRedacted]byte][]pattern{}, short: map[string]bool{}, pairs: new([1 << 16]bool)}
	known := map[string]bool{}
	for _, v := range values {
		for _, text := range forms(v.Value) {
			if !known[text] {
				known[text] = true
				m.add(pattern{text, "[secret " + v.Name + "]"})
			}
		}
	}
	if len(known) == 0 {
		return nil
	}
	for _, list := range m.heads {
		slices.SortStableFunc(list, func(a, b pattern) int { return len(b.text) - len(a.text) })
	}
	return m
}

func (m *matcher) add(p pattern) {
	head := [MinRedacted]byte([]byte(p.text))
	m.heads[head] = append(m.heads[head], p)
	m.pairs[pair(p.text[0], p.text[1])] = true
	for n := 1; n < MinRedacted; n++ {
		m.short[p.text[:n]] = true
	}
}

func pair(a, b byte) int { return int(a)<<8 | int(b) }

// forms are the texts that a value may be shown as: itself, as it stands in
// JSON, with the line ends of a terminal; and each of its lines, since programs
// print them one by one.
func forms(value string) []string {
	var all []string
	add := func(text string) {
		all = append(all, text)
		if utf8.ValidString(text) {
			all = append(all, escaped(text, true), escaped(text, false))
		}
	}
	if len(value) < MinRedacted {
		return nil
	}
	add(value)
	if strings.Contains(value, "\n") {
		add(strings.ReplaceAll(value, "\n", "\r\n"))
		for line := range strings.Lines(value) {
			// What frames a key is the same in all of them.
			if line = strings.TrimSpace(line); len(line) >= minLine && !strings.HasPrefix(line, "-----") {
				add(line)
			}
		}
	}
	return all
}

// escaped is a text as it stands between the quotes of JSON.
func escaped(text string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if err := enc.Encode(text); err != nil {
		return text // a string can always be encoded
	}
	return string(b.Bytes()[1 : b.Len()-2])
}

// at looks for a pattern at the beginning of data. It returns the longest one;
// more says that a longer one may be there, of which data has only a part.
func (m *matcher) at(data []byte) (found *pattern, more bool) {
	if len(data) < MinRedacted {
		return nil, m.short[string(data)]
	}
	list := m.heads[[MinRedacted]byte(data)]
	for i := range list {
		switch text := list[i].text; {
		case len(text) > len(data):
			more = more || text[:len(data)] == string(data)
		case text == string(data[:len(text)]):
			return &list[i], more
		}
	}
	return nil, more
}

// scan replaces what it finds in data, the leftmost first and of those the
// longest. Unless it is final it stops where the rest may be the beginning of a
// value; used is how much it has taken. The first shown bytes of data were
// passed on before and are not in out, which may be a part of data.
func (m *matcher) scan(data []byte, shown int, final bool) (out []byte, used int) {
	plain := 0 // where what is neither replaced nor taken begins
	for i := 0; i < len(data); {
		if i+1 < len(data) && !m.pairs[pair(data[i], data[i+1])] {
			i++
			continue
		}
		found, more := m.at(data[i:])
		switch {
		case more && !final:
			return join(out, data[max(plain, min(shown, i)):i]), i
		case found == nil:
			i++
		default:
			out = append(join(out, data[max(plain, min(shown, i)):i]), unlessShown(found, i, shown)...)
			i += len(found.text)
			plain = i
		}
	}
	return join(out, data[max(plain, min(shown, len(data))):]), len(data)
}

// join is append that does not copy where there is nothing to append to. What it
// returns never grows into more.
func join(out, more []byte) []byte {
	if len(out) == 0 {
		return slices.Clip(more)
	}
	return append(out, more...)
}

// unlessShown is what stands for a value that begins at i: nothing, where all of
// it was passed on already.
func unlessShown(p *pattern, i, shown int) string {
	if i+len(p.text) <= shown {
		return ""
	}
	return p.shown
}
