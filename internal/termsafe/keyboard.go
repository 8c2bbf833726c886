package termsafe

import "fmt"

// keyboard is the stack of one screen in kitty's keyboard protocol.
type keyboard struct {
	flags [8]int
	depth int
	set   int // the flags given without a push
}

// push is ESC [ > flags u.
func (k *keyboard) push(flags int) {
	k.depth = min(k.depth+1, maxNumber)
	*k.top() = flags
}

// top are the flags in force. Those of a stack that is deeper than what is
// remembered share a place.
func (k *keyboard) top() *int {
	if k.depth == 0 {
		return &k.set
	}
	return &k.flags[min(k.depth, len(k.flags))-1]
}

// assign is ESC [ = flags ; how u: the flags alone (1), with those there are
// (2), or taken from them (3).
func (k *keyboard) assign(flags, how int) {
	at := k.top()
	switch how {
	case 2:
		*at |= flags
	case 3:
		*at &^= flags
	default:
		*at = flags
	}
}

func (k *keyboard) undo(b []byte) []byte {
	if k.depth > 0 {
		b = fmt.Appendf(b, "\x1b[<%du", k.depth)
	}
	if k.set != 0 {
		b = append(b, "\x1b[=0u"...)
	}
	return b
}

func (k *keyboard) redo(b []byte) []byte {
	if k.set != 0 {
		b = fmt.Appendf(b, "\x1b[=%du", k.set)
	}
	for _, flags := range k.flags[:min(k.depth, len(k.flags))] {
		b = fmt.Appendf(b, "\x1b[>%du", flags)
	}
	return b
}
