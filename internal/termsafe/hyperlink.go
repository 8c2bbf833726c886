package termsafe

import "bytes"

// A hyperlink is ESC ] 8 ; parameters ; address and BEL or ESC \, and ends at
// one without an address. What passes has no parameters: they join the parts
// of a link that was torn apart, which is not worth a check.
const (
	linkStart = "\x1b]8;;"
	linkStop  = "\x1b\\"
	// maxAddress bounds an address, in bytes; terminals have such a bound,
	// too (2083 in VTE).
	maxAddress = 2000
)

// hyperlink collects the address while a control string may be one.
type hyperlink struct {
	part linkPart
	raw  [len(linkStart) + maxAddress + len(linkStop)]byte
	n    int
	// odd is set where the address is too long or has bytes that none has.
	odd bool
}

func (h *hyperlink) begin() {
	h.part, h.odd = linkNumber, false
	h.n = copy(h.raw[:], linkStart)
}

func (h *hyperlink) give(c byte) {
	h.part = h.part.next(c)
	if h.part != linkBegins {
		return
	}
	if c <= ' ' || c >= del || h.n == len(h.raw)-len(linkStop) {
		h.odd = true
		return
	}
	h.raw[h.n] = c
	h.n++
}

// end returns what the string comes to: a link that may pass, the end of a
// link, or nothing. Links to a file or to a program's own scheme make other
// programs act on what the host chose, so they count as ends.
func (h *hyperlink) end() (whole []byte, begins bool) {
	part := h.part
	h.part = noLink
	switch part {
	case linkBegins:
		address := h.raw[len(linkStart):h.n]
		for _, scheme := range []string{"https://", "http://", "mailto:"} {
			if !h.odd && len(address) > len(scheme) && bytes.EqualFold(address[:len(scheme)], []byte(scheme)) {
				return append(h.raw[:h.n], linkStop...), true
			}
		}
		return []byte(linkStart + linkStop), false
	case linkEnds:
		return []byte(linkStart + linkStop), false
	case noLink, linkNumber, linkSemicolon, linkParameters:
	}
	return nil, false
}

// linkPart is how far a control string has turned out to be a hyperlink.
type linkPart uint8

const (
	noLink linkPart = iota
	linkNumber
	linkSemicolon
	linkParameters
	linkEnds
	linkBegins
)

// next takes the next byte of the string.
func (p linkPart) next(c byte) linkPart {
	switch {
	case p == linkNumber && c == '8':
		return linkSemicolon
	case p == linkSemicolon && c == ';':
		return linkParameters
	case p == linkParameters && c == ';':
		return linkEnds
	case p == linkParameters:
		return linkParameters
	case p == linkEnds, p == linkBegins:
		return linkBegins
	}
	return noLink
}
