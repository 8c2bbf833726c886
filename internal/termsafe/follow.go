package termsafe

const (
	shiftOut = 0x0e
	shiftIn  = 0x0f
	// maxNumbers and maxNumber bound what is remembered of one sequence. A
	// terminal ignores further numbers, too (30 in xterm), and has no use for
	// larger ones.
	maxNumbers = 32
	maxNumber  = 65535
)

// csi is what was seen of one ESC [ sequence.
type csi struct {
	mark    byte // one of < = > ?, or 0
	inter   byte // a byte 0x20-0x2F before the last one, or 0
	numbers [maxNumbers]int
	n       int  // the place of the number that is being read
	colons  bool // a number has parts
	odd     bool // it is none that a terminal knows
}

// number returns the i-th number, where none and 0 are the same.
func (c *csi) number(i int) int {
	if i > c.n || i >= maxNumbers {
		return 0
	}
	return c.numbers[i]
}

// Write takes the next bytes of the output. It never fails.
func (m *Modes) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i++ {
		if m.more == 0 && (m.state == ground || m.state == text && (m.link == noLink || m.link == linkBegins)) {
			i += printable(p[i:])
			if i == len(p) {
				break
			}
		}
		m.follow(p[i])
	}
	return len(p), nil
}

// follow takes one byte. A UTF-8 character is decoded first, as a terminal
// does it; a byte 0x80-0x9F that belongs to none, or that character alone, is
// an 8-bit control to some terminals.
func (m *Modes) follow(c byte) {
	switch {
	case c < 0x80:
		m.more = 0
		m.control(c)
	case c < 0xc0 && m.more > 0:
		m.more--
		if m.latin && c < firstText {
			m.control8(c)
		}
		m.latin = false
	case c < firstText:
		m.control8(c)
	case c >= 0xf5, c < 0xc2:
		m.more = 0
	default:
		m.latin = c == 0xc2
		m.more = 1
		if c >= 0xe0 {
			m.more = 2
		}
		if c >= 0xf0 {
			m.more = 3
		}
	}
}

// control8 takes the 8-bit form of ESC and a byte 0x40-0x5F. Not in a string:
// a terminal that does not know these would read on there.
func (m *Modes) control8(c byte) {
	if m.state == text || m.stringOpen {
		return
	}
	switch c - 0x40 {
	case '[', ']', 'P', 'X', '^', '_':
		m.state = escape
		m.escaped(c - 0x40)
	}
}

// control takes a byte below 0x80.
func (m *Modes) control(c byte) {
	switch {
	case c == esc:
		if m.stringOpen && m.link == linkBegins {
			// Some terminals end the string here, some only at ESC \.
			m.on.linked = true
		}
		m.state = escape
		return
	case c == can, c == sub:
		m.state, m.stringOpen, m.oscOpen = ground, false, false
		return
	case m.state == text:
		m.inText(c)
		return
	case c == shiftOut:
		m.on.shift = shiftOut
		return
	case c == shiftIn:
		m.on.shift = 0
		return
	case c < ' ', c == del:
		return // obeyed in the middle of a sequence, which goes on
	}
	switch m.state {
	case escape:
		m.escaped(c)
	case charset:
		m.inCharset(c)
	case control:
		m.inControl(c)
	case ground, text:
	}
}

// escaped takes the byte after ESC.
func (m *Modes) escaped(c byte) {
	if c == '\\' && m.stringOpen {
		m.endText()
		return
	}
	m.stringOpen, m.oscOpen = false, false
	m.state = ground
	switch c {
	case '[':
		m.state, m.csi = control, csi{}
	case ']', 'P', 'X', '^', '_', 'k':
		m.state, m.stringOpen, m.oscOpen = text, true, c == ']'
		m.link = noLink
		if m.oscOpen {
			m.link = linkNumber
		}
	case '=':
		m.on.keypad = true
	case '>':
		m.on.keypad = false
	case 'n', 'o':
		m.on.shift = c // LS2 and LS3
	case 'c':
		m.on = lasting{}
	default:
		if c < 0x30 {
			m.state, m.csi = charset, csi{inter: c}
		}
	}
}

func (m *Modes) endText() {
	switch m.link {
	case linkEnds:
		m.on.linked = false
	case linkBegins:
		m.on.linked = true
	case noLink, linkNumber, linkSemicolon, linkParameters:
	}
	m.state, m.stringOpen, m.oscOpen = ground, false, false
}

// inText follows a control string; only hyperlinks last.
func (m *Modes) inText(c byte) {
	if c == bel && m.oscOpen {
		m.endText()
		return
	}
	m.link = m.link.next(c)
}

// inCharset takes what follows ESC and a byte 0x20-0x2F.
func (m *Modes) inCharset(c byte) {
	if c < 0x30 {
		m.csi.odd = true
		return
	}
	m.state = ground
	switch {
	case m.csi.odd:
	case m.csi.inter == '(':
		m.on.g0 = unless(c, 'B')
	case m.csi.inter == '%':
		m.on.charset = unless(c, 'G')
	}
}

func unless(c, usual byte) byte {
	if c == usual {
		return 0
	}
	return c
}

// inControl takes what follows ESC [.
func (m *Modes) inControl(c byte) {
	s := &m.csi
	switch {
	case c >= 0x40:
		m.state = ground
		if !s.odd {
			m.obey(c)
		}
	case c < 0x30:
		s.odd = s.odd || s.inter != 0
		s.inter = c
	case s.inter != 0:
		s.odd = true // a number behind it
	case c >= '<':
		s.odd = s.odd || s.mark != 0 || s.n > 0 || s.numbers[0] > 0
		s.mark = c
	case c == ';', c == ':':
		s.n++
		s.colons = s.colons || c == ':'
	case s.n < maxNumbers:
		s.numbers[s.n] = min(10*s.numbers[s.n]+int(c-'0'), maxNumber)
	}
}

// obey does what the whole sequence says.
func (m *Modes) obey(final byte) {
	s, l := &m.csi, &m.on
	switch [3]byte{s.mark, s.inter, final} {
	case [3]byte{'?', 0, 'h'}, [3]byte{'?', 0, 'l'}, [3]byte{0, 0, 'h'}, [3]byte{0, 0, 'l'}:
		for i := range min(s.n+1, maxNumbers) {
			l.setMode(s.mark != 0, s.numbers[i], final == 'h')
		}
	case [3]byte{0, 0, 'm'}:
		l.pen = s.colons
		for i := range min(s.n+1, maxNumbers) {
			l.pen = l.pen || s.numbers[i] != 0
		}
	case [3]byte{0, 0, 'r'}:
		l.top, l.bottom = s.number(0), s.number(1)
		l.margins = l.top > 1 || l.bottom > 0
	case [3]byte{'>', 0, 'm'}:
		if s.number(0) == 4 || s.number(0) == 0 {
			l.keys = s.number(1)
		}
	case [3]byte{0, ' ', 'q'}:
		l.cursor = s.number(0)
	case [3]byte{0, '!', 'p'}:
		l.softReset()
	case [3]byte{'>', 0, 'u'}:
		l.keyboard().push(s.number(0))
	case [3]byte{'<', 0, 'u'}:
		k := l.keyboard()
		k.depth -= min(k.depth, max(s.number(0), 1))
	case [3]byte{'=', 0, 'u'}:
		l.keyboard().assign(s.number(0), s.number(1))
	}
}
