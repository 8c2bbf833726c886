// Package termsafe makes what a host printed safe for the user's terminal.
// The host may be hostile, and a terminal obeys what it is shown: it can be
// told to fill the clipboard, to change its title, to type an answer into the
// user's shell, or to turn itself into something unusable.
//
// What stays is a short list; everything else goes:
//
//   - text: printable ASCII and valid UTF-8 from U+00A0 on; TAB, LF, CR and BS;
//   - ESC [ … m: colours and attributes, numbers separated by ; or : ;
//   - ESC [ … A to H, d, f: cursor movement, numbers separated by ; ;
//   - hyperlinks (ESC ] 8) to http, https and mailto, without parameters and
//     with an address of at most 2000 printable ASCII bytes; each is ended;
//   - ESC [ J and ESC [ K, with nothing or one of 0, 1, 2: erase on the screen.
//
// A number has at most five digits and a sequence at most 64 bytes between
// ESC [ and its last one. So these go, among others: other control strings (OSC,
// DCS, APC, PM, SOS, screen's ESC k) with all they contain, private modes
// (ESC [ ? …), queries, reports and window operations (ESC [ c, n, x, t, p),
// repetition, scrolling, resets, character sets, and every other control
// character, whether 7-bit (BEL, ENQ, SO, SI, NUL, DEL), 8-bit (0x80-0x9F
// outside of a UTF-8 character) or UTF-8 (U+0080-U+009F). An 8-bit control is
// taken out alone and never begins a sequence, since in other encodings than
// UTF-8 these bytes are letters; what follows it is shown as text.
//
// The names and numbers are those of ECMA-48 and of xterm's ctlseqs.
package termsafe

import (
	"encoding/binary"
	"io"
	"math/bits"
	"os"
	"unicode/utf8"
)

const (
	// bufferSize collects short runs, so that a colourful line is one write.
	bufferSize = 4096
	// directSize is the length in bytes from which a run is not copied.
	directSize = 1024
	// firstText is the first rune behind the 8-bit controls.
	firstText = 0xa0
	// replacement stands for a byte that is not UTF-8.
	replacement = "\uFFFD"
)

// Writer filters a stream. Its memory is constant whatever passes through,
// and it does not matter where the stream is cut into Writes. Filtering what
// has been filtered changes nothing. A Writer is for one goroutine at a time.
type Writer struct {
	w   io.Writer
	err error
	// closed is set by Close.
	closed bool
	seq    sequence
	// linked is set while a hyperlink is open.
	linked bool
	// part is the beginning of a UTF-8 character.
	part  [utf8.UTFMax]byte
	parts int
	buf   [bufferSize]byte
	n     int
}

// NewWriter returns a filter in front of w. Each Write to it ends with
// everything handed on, except a sequence or character that is not complete.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write filters p. It returns len(p) and no error, or 0 and the first error
// of the writer behind it; after an error every later Write returns it again.
// After Close it returns os.ErrClosed.
func (f *Writer) Write(p []byte) (int, error) {
	if f.closed && f.err == nil {
		return 0, os.ErrClosed
	}
	for i := 0; i < len(p) && f.err == nil; {
		switch {
		case f.seq.state != ground:
			if i += f.seq.skip(p[i:]); i < len(p) {
				i += f.inSequence(p[i])
			}
		case f.parts > 0:
			i += f.inCharacter(p[i])
		default:
			n := plain(p[i:])
			f.emit(p[i : i+n])
			i += n
			if i < len(p) {
				i += f.special(p[i:])
			}
		}
	}
	f.flush()
	if f.err != nil {
		return 0, f.err
	}
	return len(p), nil
}

// Close drops an incomplete sequence and shows an incomplete character as
// U+FFFD. It does not close the writer behind, and returns that writer's
// first error. A second Close does nothing.
func (f *Writer) Close() error {
	if f.closed || f.err != nil {
		return f.err
	}
	f.closed = true
	f.seq.state = ground
	f.broken()
	if f.linked {
		f.emit([]byte(linkStart + linkStop))
		f.linked = false
	}
	f.flush()
	return f.err
}

// inSequence gives c to the sequence that has begun, and returns 0 if it is
// not part of it.
func (f *Writer) inSequence(c byte) int {
	switch f.seq.next(c) {
	case kept:
		f.emit(f.seq.bytes())
	case linked:
		f.hyperlink()
	case aborted:
		return 0
	case inside, dropped:
	}
	return 1
}

// hyperlink passes a link that may pass, and the end of one that is open.
func (f *Writer) hyperlink() {
	whole, begins := f.seq.link.end()
	if whole != nil && (begins || f.linked) {
		f.emit(whole)
		f.linked = begins
	}
}

// inCharacter gives c to the UTF-8 character that an earlier Write began, and
// returns 0 if it is not part of it.
func (f *Writer) inCharacter(c byte) int {
	if utf8.RuneStart(c) {
		f.broken()
		return 0
	}
	f.part[f.parts] = c
	f.parts++
	part := f.part[:f.parts]
	if !utf8.FullRune(part) {
		return 1
	}
	r, size := utf8.DecodeRune(part)
	if size != len(part) {
		f.broken()
		return 1
	}
	if r >= firstText {
		f.emit(part)
	}
	f.parts = 0
	return 1
}

// broken gives up the character that has begun. All its bytes are then
// invalid, each by itself, as they are where they arrive in one piece.
func (f *Writer) broken() {
	for _, c := range f.part[:f.parts] {
		f.invalid(c)
	}
	f.parts = 0
}

// invalid takes a byte that is not UTF-8. A terminal that does not speak
// UTF-8 either would see an 8-bit control in the range that goes.
func (f *Writer) invalid(c byte) {
	if c < firstText {
		return
	}
	if f.n+len(replacement) > len(f.buf) {
		f.flush()
	}
	f.n += copy(f.buf[f.n:], replacement)
}

// special takes what plain stopped at, and returns its length.
func (f *Writer) special(p []byte) int {
	c := p[0]
	if c == esc {
		f.seq.begin()
		return 1
	}
	if c < utf8.RuneSelf {
		return 1
	}
	if !utf8.FullRune(p) {
		f.parts = copy(f.part[:], p)
		return len(p)
	}
	_, size := utf8.DecodeRune(p)
	if size == 1 {
		f.invalid(c)
	}
	return size
}

// plain returns the length of what stands at the start of p and may pass as
// it is.
func plain(p []byte) int {
	for i := 0; ; {
		i += printable(p[i:])
		if i == len(p) {
			return i
		}
		switch c := p[i]; {
		case c == '\n', c == '\r', c == '\t', c == '\b', c >= ' ' && c < del:
			i++
		case c == esc:
			n := keptSequence(p[i:])
			if n == 0 {
				return i
			}
			i += n
		default:
			r, size := utf8.DecodeRune(p[i:])
			if r < firstText || r == utf8.RuneError && size == 1 {
				return i
			}
			i += size
		}
	}
}

// printable returns a length up to which p is printable ASCII. It looks at
// eight bytes at a time, and leaves up to seven at the end to the caller.
func printable(p []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		x := binary.LittleEndian.Uint64(p[i:])
		d := x ^ del*ones
		// The high bit of a byte is set where it is below 0x20, above 0x7F
		// or 0x7F; a borrow can only set it behind such a byte.
		stop := ((x-' '*ones)&^x | x | (d-ones)&^d) & highs
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	return i
}

// emit hands b on: long runs as they are, short ones by way of the buffer.
func (f *Writer) emit(b []byte) {
	if f.n+len(b) > len(f.buf) || len(b) >= directSize {
		f.flush()
	}
	if len(b) >= directSize {
		f.pass(b)
		return
	}
	f.n += copy(f.buf[f.n:], b)
}

func (f *Writer) flush() {
	f.pass(f.buf[:f.n])
	f.n = 0
}

func (f *Writer) pass(b []byte) {
	if len(b) == 0 || f.err != nil {
		return
	}
	n, err := f.w.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	f.err = err
}
