package termsafe

// Control characters with a meaning of their own here (ECMA-48).
const (
	bel = 0x07
	can = 0x18
	sub = 0x1a
	esc = 0x1b
	del = 0x7f
)

const (
	// maxParams bounds what stands between ESC [ and the final byte. The
	// longest honest sequence, which sets three 24-bit colours and a few
	// attributes, has about 60 bytes.
	maxParams = 64
	// maxDigits bounds one number. No screen has 100,000 columns, and some
	// terminals have overflowed on larger numbers.
	maxDigits = 5
)

// allowed says whether ESC [ params final may reach a terminal. The list is
// in the package comment. Private sequences (ESC [ ? …) and those with
// intermediate bytes are not on it: their marks are neither digit nor
// separator.
func allowed(params []byte, final byte) bool {
	switch final {
	case 'm':
		return numbers(params, true)
	case 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'd', 'f':
		return numbers(params, false)
	case 'J', 'K':
		// ESC [ 3 J would erase the scrollback, which holds more than what
		// this host printed.
		return len(params) == 0 || len(params) == 1 && params[0] >= '0' && params[0] <= '2'
	}
	return false
}

// numbers accepts numbers and empty places between semicolons, and between
// colons where those are allowed.
func numbers(params []byte, colons bool) bool {
	if len(params) > maxParams {
		return false
	}
	digits := 0
	for _, c := range params {
		switch {
		case c >= '0' && c <= '9':
			digits++
			if digits > maxDigits {
				return false
			}
		case c == ';', c == ':' && colons:
			digits = 0
		default:
			return false
		}
	}
	return true
}

// keptSequence returns the length of the allowed sequence at the start of p,
// or 0 if there is none or its end is not in p. It is the short way round the
// state machine for sequences that arrive in one piece.
func keptSequence(p []byte) int {
	if len(p) < 3 || p[0] != esc || p[1] != '[' {
		return 0
	}
	for i, c := range p[2:min(len(p), 3+maxParams)] {
		if c < '0' || c > ';' {
			if allowed(p[2:2+i], c) { //nolint:gosec // i counts what stands behind these two
				return 3 + i
			}
			return 0
		}
	}
	return 0
}

type state uint8

const (
	ground  state = iota // outside of any sequence
	escape               // after ESC
	charset              // after ESC and bytes 0x20-0x2F: one final byte follows
	control              // in ESC [ …
	text                 // in a control string: OSC, DCS, APC, PM, SOS, title
)

type verdict uint8

const (
	inside  verdict = iota // the byte belongs to the sequence, which goes on
	dropped                // the byte ends a sequence that is not allowed
	kept                   // the byte ends an allowed sequence, see bytes
	linked                 // the byte ends what may be a hyperlink, see link
	aborted                // the sequence ended before this byte, which is not part of it
)

// sequence recognises one escape sequence byte by byte, in constant memory.
type sequence struct {
	state state
	// raw is ESC [ and what follows it up to the limit, n its length.
	raw [2 + maxParams + 1]byte
	n   int
	// long is set where raw did not hold all of it.
	long bool
	// link is what a control string may be, also behind an ESC that may
	// begin its end; it then waits for the \.
	link hyperlink
}

// begin starts a sequence; the ESC itself has been seen.
func (s *sequence) begin() {
	if s.state != text {
		s.link.part = noLink
	}
	s.state = escape
}

// bytes is the sequence that next called kept, valid until the next begin.
func (s *sequence) bytes() []byte { return s.raw[:s.n] }

func (s *sequence) end(v verdict) verdict {
	s.state = ground
	return v
}

// next takes the byte after those seen so far.
func (s *sequence) next(c byte) verdict {
	switch {
	case c == esc:
		// A new sequence begins, whatever the old one was. For a control
		// string this is the first half of its end, ESC \.
		s.begin()
		return inside
	case c == can || c == sub:
		return s.end(dropped)
	case s.state == text:
		return s.nextText(c)
	case c < 0x20 || c >= del:
		return s.end(aborted)
	case s.state == control:
		return s.nextControl(c)
	case c < 0x30:
		s.state = charset
		return inside
	case s.state == charset:
		return s.end(dropped)
	}
	switch c {
	case '\\':
		if s.link.part != noLink {
			return s.end(linked)
		}
	case '[':
		s.link.part = noLink
		s.state, s.long = control, false
		s.n = copy(s.raw[:], "\x1b[")
		return inside
	case ']', 'P', 'X', '^', '_', 'k':
		// ESC k is the title string of screen(1) and its kin.
		s.state = text
		s.link.part = noLink
		if c == ']' {
			s.link.begin()
		}
		return inside
	}
	return s.end(dropped)
}

// skip returns a length up to which p is within a control string and says
// nothing: a string may be the whole output.
func (s *sequence) skip(p []byte) int {
	if s.state == text && (s.link.part == noLink || s.link.odd) {
		return printable(p)
	}
	return 0
}

// nextText passes over a control string. BEL ends it, as in xterm; so does
// the end of a line, unlike in a terminal: a stray ESC ] must not hide all
// that a command prints afterwards, and what follows is plain text to a
// terminal that has not seen the beginning.
func (s *sequence) nextText(c byte) verdict {
	switch c {
	case bel:
		if s.link.part != noLink {
			return s.end(linked)
		}
		return s.end(dropped)
	case '\n', '\r':
		return s.end(aborted)
	}
	s.link.give(c)
	return inside
}

func (s *sequence) nextControl(c byte) verdict {
	if s.n < len(s.raw) {
		s.raw[s.n] = c
		s.n++
	} else {
		s.long = true
	}
	switch {
	case c < 0x40:
		return inside
	case s.long || !allowed(s.raw[2:s.n-1], c):
		return s.end(dropped)
	}
	return s.end(kept)
}
