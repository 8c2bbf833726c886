package termsafe

import "fmt"

// Modes watches what a host writes to a terminal that obeys it, and remembers
// what outlasts the output: modes, the alternate screen, margins, character
// sets, colours. Undo then gives the terminal back as it was, also where the
// output was cut in the middle of a sequence. What a host asks for twice or
// never ended is known by these names of xterm's ctlseqs and of the keyboard
// protocol of kitty; the size of a screen, its title and its palette are not
// followed.
//
// The zero value is a terminal with its defaults. It takes constant memory
// whatever passes, and is for one goroutine at a time.
type Modes struct {
	state state
	// stringOpen is set from the start of a control string to its end, also
	// behind the ESC that may begin that end.
	stringOpen bool
	oscOpen    bool
	link       linkPart
	csi        csi
	// more is how many bytes of a UTF-8 character are to come, latin whether
	// that character is one of U+0080-U+00BF.
	more  int
	latin bool

	on lasting
}

// lasting is what outlasts the output. The zero value is the default.
type lasting struct {
	private, ansi uint32 // sets of modes, by their place in the lists
	// alternates are the modes that switched to the alternate screen, in the
	// order in which they came.
	alternates [3]int
	alternate  int
	keyboards  [2]keyboard // of the main and of the alternate screen
	keys       int         // modifyOtherKeys
	cursor     int         // the cursor's shape
	top        int
	bottom     int
	margins    bool
	keypad     bool
	g0         byte // the final byte of ESC ( unless that is B
	shift      byte // the last byte of the locking shift that is in force
	charset    byte // the final byte of ESC % unless that is G
	linked     bool // a hyperlink is open
	pen        bool // colours or attributes
}

const (
	syncedOutput = 2026
	originMode   = 6
	noMode       = -1
)

// privateModes are those of ESC [ ? that a program may leave behind. The
// first is undone first, so that the rest is seen.
func privateModes() [20]int {
	return [...]int{
		syncedOutput, originMode, 1, 5, 7, 9, 25, 66, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2031,
	}
}

// ansiModes are those of ESC [ without a mark: a locked keyboard, insertion,
// no local echo, line feeds that return.
func ansiModes() [4]int { return [...]int{2, 4, 12, 20} }

// defaultOn says which of them a terminal has by itself: lines that wrap, a
// cursor that shows; and no local echo, where that is the other way round.
func defaultOn(private bool, mode int) bool {
	if private {
		return mode == 7 || mode == 25
	}
	return mode == 12
}

func indexOf(list []int, mode int) int {
	for i, m := range list {
		if m == mode {
			return i
		}
	}
	return noMode
}

// setMode takes note of one parameter of ESC [ … h and ESC [ … l.
func (l *lasting) setMode(private bool, mode int, on bool) {
	if private && (mode == 47 || mode == 1047 || mode == 1049) {
		l.setAlternate(mode, on)
		return
	}
	pm, am := privateModes(), ansiModes()
	list, set := am[:], &l.ansi
	if private {
		list, set = pm[:], &l.private
	}
	i := indexOf(list, mode)
	if i == noMode {
		return
	}
	if on == defaultOn(private, mode) {
		*set &^= 1 << i
	} else {
		*set |= 1 << i
	}
}

// setAlternate follows the alternate screen. Each of its modes leads back to
// the main one, whichever led away from it.
func (l *lasting) setAlternate(mode int, on bool) {
	if !on {
		l.alternate = 0
		l.keyboards[1] = keyboard{}
		return
	}
	if indexOf(l.alternates[:l.alternate], mode) == noMode {
		l.alternates[l.alternate] = mode
		l.alternate++
	}
}

func (l *lasting) keyboard() *keyboard { return &l.keyboards[min(l.alternate, 1)] }

// softReset is ESC [ ! p, which leaves screens, mouse and keyboard alone.
func (l *lasting) softReset() {
	for _, mode := range []int{1, originMode, 7, 25, 66, 69} {
		l.setMode(true, mode, defaultOn(true, mode))
	}
	l.ansi, l.margins, l.keypad = 0, false, false
	l.g0, l.shift, l.pen = 0, 0, false
}

// Alternate reports whether the alternate screen is shown.
func (m *Modes) Alternate() bool { return m.on.alternate > 0 }

// Undo returns what gives the terminal its defaults back: nothing if it has
// them, else one sequence for each thing that differs. A sequence that was cut
// is cancelled first, so that it swallows neither these nor what others write
// next. What is on is remembered, for Redo.
func (m *Modes) Undo() []byte {
	b := m.cancel()
	l := &m.on
	if l.linked {
		b = append(b, "\x1b]8;;\x1b\\"...)
	}
	b = l.undoMargins(b)
	if l.alternate > 0 {
		b = l.keyboards[1].undo(b)
		for i := l.alternate - 1; i >= 0; i-- {
			b = fmt.Appendf(b, "\x1b[?%dl", l.alternates[i])
		}
	}
	b = l.keyboards[0].undo(b)
	b = l.appendModes(b, false)
	if l.keypad {
		b = append(b, "\x1b>"...)
	}
	if l.keys != 0 {
		b = append(b, "\x1b[>4m"...)
	}
	if l.cursor != 0 {
		b = append(b, "\x1b[0 q"...)
	}
	if l.charset != 0 {
		b = append(b, "\x1b%G"...)
	}
	if l.g0 != 0 {
		b = append(b, "\x1b(B"...)
	}
	if l.shift != 0 {
		b = append(b, shiftIn)
	}
	if l.pen {
		b = append(b, "\x1b[0m"...)
	}
	return b
}

// cancel ends what was cut. CAN ends any sequence and does not act on what it
// held; a terminal that goes on reading a string nevertheless knows ESC \.
func (m *Modes) cancel() (b []byte) {
	if m.state != ground {
		b = append(b, can)
	}
	if m.stringOpen {
		b = append(b, "\x1b\\"...)
	}
	m.state, m.stringOpen, m.oscOpen = ground, false, false
	return b
}

// undoMargins opens the margins, which moves the cursor to the first line: it
// is brought back, or, where it was counted from the margin, to the last line.
// The mode 1049 has kept a place of its own.
func (l *lasting) undoMargins(b []byte) []byte {
	pm := privateModes()
	origin := l.private&(1<<indexOf(pm[:], originMode)) != 0
	kept := indexOf(l.alternates[:l.alternate], 1049) != noMode
	if origin {
		b = append(b, "\x1b[?6l"...)
	}
	switch {
	case l.margins && (kept || origin):
		b = append(b, "\x1b[r"...)
	case l.margins:
		b = append(b, "\x1b7\x1b[r\x1b8"...)
	}
	if origin && !kept {
		b = append(b, "\x1b[999;1H"...)
	}
	return b
}

// appendModes switches all modes that differ off, or on again. The origin mode
// goes with the margins.
func (l *lasting) appendModes(b []byte, again bool) []byte {
	letter := func(byDefault bool) byte {
		if byDefault != again {
			return 'h'
		}
		return 'l'
	}
	for i, mode := range privateModes() {
		if l.private&(1<<i) != 0 && mode != originMode {
			b = fmt.Appendf(b, "\x1b[?%d%c", mode, letter(defaultOn(true, mode)))
		}
	}
	for i, mode := range ansiModes() {
		if l.ansi&(1<<i) != 0 {
			b = fmt.Appendf(b, "\x1b[%d%c", mode, letter(defaultOn(false, mode)))
		}
	}
	return b
}

// Redo returns what brings back all that Undo took away, except colours and
// an open hyperlink: whoever draws again sets those.
func (m *Modes) Redo() []byte {
	l := &m.on
	b := l.keyboards[0].redo(nil)
	for _, mode := range l.alternates[:l.alternate] {
		b = fmt.Appendf(b, "\x1b[?%dh", mode)
	}
	if l.alternate > 0 {
		b = l.keyboards[1].redo(b)
	}
	if l.margins {
		b = fmt.Appendf(b, "\x1b7\x1b[%d;%dr\x1b8", max(l.top, 1), l.bottom)
	}
	pm := privateModes()
	if l.private&(1<<indexOf(pm[:], originMode)) != 0 {
		b = append(b, "\x1b[?6h"...)
	}
	b = l.appendModes(b, true)
	if l.keypad {
		b = append(b, "\x1b="...)
	}
	if l.keys != 0 {
		b = fmt.Appendf(b, "\x1b[>4;%dm", l.keys)
	}
	if l.cursor != 0 {
		b = fmt.Appendf(b, "\x1b[%d q", l.cursor)
	}
	if l.charset != 0 {
		b = append(b, '\x1b', '%', l.charset)
	}
	if l.g0 != 0 {
		b = append(b, '\x1b', '(', l.g0)
	}
	switch l.shift {
	case 0:
	case shiftOut:
		b = append(b, shiftOut)
	default:
		b = append(b, '\x1b', l.shift)
	}
	return b
}
