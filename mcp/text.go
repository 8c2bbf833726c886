package mcp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"bivy/exec/file"
	"bivy/internal/termsafe"
)

// clean is a command's output as text: without escape sequences, with \xNN for
// what is no text.
func clean(data []byte) string { return termsafe.Text(string(data)) }

// visible is a file's content as text. What could deceive who looks at it, or
// steer a terminal, is shown as \xNN or \uNNNN; everything else is as it is. It
// reports whether there was any of it.
func visible(data string) (text string, escaped bool) {
	if plain(data) {
		return data, false
	}
	var b strings.Builder
	for len(data) > 0 {
		r, size := utf8.DecodeRuneInString(data)
		switch {
		case r == utf8.RuneError && size == 1, r < 0x20 && !harmless(data), r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, data[0])
			escaped = true
		case deceives(r):
			fmt.Fprintf(&b, `\u%04x`, r)
			escaped = true
		default:
			b.WriteString(data[:size])
		}
		data = data[size:]
	}
	return b.String(), escaped
}

// plain reports whether nothing of it could deceive.
func plain(data string) bool {
	for i := range len(data) {
		if c := data[i]; c < 0x20 && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// harmless reports whether data begins with a control character that text has.
func harmless(data string) bool {
	return data[0] == '\n' || data[0] == '\t' || strings.HasPrefix(data, "\r\n")
}

// deceives reports whether a character controls a terminal (C1), or the
// direction of what is shown.
func deceives(r rune) bool {
	return r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// encoded is what is no text, for JSON.
func encoded(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// shown is a path as people see it: one that could deceive them stands in
// quotes, and so does one that begins with a quote.
func shown(path string) string {
	switch {
	case path == "":
		return "."
	case path[0] == '"' || termsafe.Line(path, len(path)) != path || path != strings.TrimSpace(path):
		return strconv.Quote(path)
	}
	return path
}

// named is a path for JSON; the directory itself has a name, too.
func named(path string) file.Name {
	if path == "" {
		path = "."
	}
	return file.NameOf(path)
}

// wholeFront is the longest beginning of data, of at most n bytes, that ends with
// a whole character; at the end of a line where one is near.
func wholeFront(data []byte, n int) []byte {
	if len(data) <= n {
		return data
	}
	cut := data[:n]
	if i := bytes.LastIndexByte(cut, '\n'); i >= n*3/4 {
		return cut[:i+1]
	}
	for i := 1; i < utf8.UTFMax && i <= len(cut); i++ {
		if tail := cut[len(cut)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return cut[:len(cut)-i]
			}
			break
		}
	}
	return cut
}

// wholeBack is the same from the other end.
func wholeBack(data []byte, n int) []byte {
	if len(data) <= n {
		return data
	}
	cut := data[len(data)-n:]
	if i := bytes.IndexByte(cut, '\n'); i >= 0 && i < n/4 {
		return cut[i+1:]
	}
	for i := 0; i < utf8.UTFMax && i < len(cut); i++ {
		if utf8.RuneStart(cut[i]) {
			return cut[i:]
		}
	}
	return cut
}

// excerpt is a text of which the middle may be left out.
type excerpt struct {
	text string
	// omitted is how many bytes are left out, of total.
	omitted, total int64
	// cleaned says that escape sequences were taken out, or that something is
	// shown as \xNN.
	cleaned bool
}

// excerptOf makes a text of at most about budget bytes of a beginning, a gap,
// and an end.
func excerptOf(front []byte, gap int64, back []byte, budget int) excerpt {
	e := excerpt{total: int64(len(front)) + gap + int64(len(back))}
	if gap == 0 {
		whole := append(front[:len(front):len(front)], back...)
		if text := clean(whole); len(text) <= budget {
			e.text, e.cleaned = text, text != string(whole)
			return e
		}
		front, back = whole, whole
	}
	head, first := fit(front, budget/2, wholeFront)
	tail, last := fit(back, budget/2, wholeBack)
	e.omitted = e.total - int64(len(head)) - int64(len(tail))
	e.cleaned = first != string(head) || last != string(tail)
	e.text = fmt.Sprintf("%s\n[… %d of %d bytes are left out here …]\n%s", strings.TrimSuffix(first, "\n"), e.omitted, e.total, last)
	return e
}

// fit takes so much of data that its text has at most n bytes.
func fit(data []byte, n int, cut func([]byte, int) []byte) (taken []byte, text string) {
	size := n
	for {
		taken = cut(data, size)
		if text = clean(taken); len(text) <= n || size == 0 {
			return taken, text
		}
		// What is shown as \xNN takes four times its length, at most.
		size = min(size-1, size*n/len(text))
	}
}
