package termsafe

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Line makes host text fit for one line of an error message. Escape
// sequences and bidirectional overrides (U+202A-U+202E, U+2066-U+2069) are
// removed; line breaks become one space between words and nothing at either
// end; a TAB becomes a space; other control characters and bytes that are not
// UTF-8 become \xNN. The result has at most limit runes; where that cuts
// something off, the last one is "…".
func Line(s string, limit int) string {
	if limit <= 0 {
		return ""
	}
	var out []byte
	// cut is where "…" goes if not all fits: behind the last whole unit.
	runes, cut, broken := 0, 0, false
	for len(s) > 0 {
		u, size := unit(s)
		s = s[size:]
		switch u {
		case "":
			continue
		case "\n":
			broken = len(out) > 0
			continue
		case "\t":
			u = " "
		}
		if broken {
			// Written only now, so that there is none at the end.
			u, broken = " "+u, false
		}
		runes += utf8.RuneCountInString(u)
		if runes > limit {
			return string(append(out[:cut], "…"...))
		}
		out = append(out, u...)
		if runes < limit {
			cut = len(out)
		}
	}
	return string(out)
}

// Text makes host text fit for several lines of an error message. It is Line
// without a limit, except that TABs and line breaks stay; CR LF and CR alone,
// with which a host could overwrite a line, become LF.
func Text(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		u, size := unit(s)
		out.WriteString(u)
		s = s[size:]
	}
	return out.String()
}

// unit returns what to show for the first thing in s, and its length in s.
func unit(s string) (show string, size int) {
	switch c := s[0]; {
	case c == esc:
		return "", sequenceIn(s)
	case c == '\n':
		return "\n", 1
	case c == '\r':
		// A terminal's line discipline turns CR LF into CR CR LF.
		rest := strings.TrimPrefix(strings.TrimLeft(s, "\r"), "\n")
		return "\n", len(s) - len(rest)
	case c == '\t', c >= ' ' && c < del:
		return s[:1], 1
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r < firstText, r == utf8.RuneError && size == 1:
		return hex(s[:size]), size
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return "", size
	case r == 0x2028, r == 0x2029:
		// The line and the paragraph separator.
		return "\n", size
	}
	return s[:size], size
}

// hex shows each byte as \xNN.
func hex(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&out, `\x%02x`, c)
	}
	return out.String()
}

// sequenceIn returns the length of the escape sequence at the start of s.
func sequenceIn(s string) int {
	var seq sequence
	seq.begin()
	for i := 1; i < len(s); i++ {
		switch seq.next(s[i]) {
		case kept, dropped, linked:
			return i + 1
		case aborted:
			return i
		case inside:
		}
	}
	return len(s)
}

// LastLine returns the last line of s that is not blank, without the space
// around it; nothing else is changed.
func LastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
