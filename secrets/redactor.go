package secrets

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Redactor knows values that must not be shown, and replaces them by
// "[secret NAME]" in what is: as they are, as they stand in JSON, and line by
// line where a value has several. Of overlapping values the leftmost counts, and
// of those the longest. It is a help against accidents, and none against a host
// that means harm: a value that is split, encoded or cut is not known again.
//
// Its methods may be called from several goroutines, and on nil, which knows
// nothing.
type Redactor struct {
	mu     sync.Mutex
	values []Value
	find   atomic.Pointer[matcher]
}

// Learn adds values. Those of less than MinRedacted bytes are passed over. What
// writers hold back at that time is not looked at again.
func (r *Redactor) Learn(values ...Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := false
	for _, v := range values {
		if len(v.Value) >= MinRedacted && !slices.Contains(r.values, v) {
			r.values, news = append(r.values, v), true
		}
	}
	if news {
		r.find.Store(newMatcher(r.values))
	}
}

func (r *Redactor) matcher() *matcher {
	if r == nil {
		return nil
	}
	return r.find.Load()
}

// Bytes returns a text without the values. It may be p itself.
func (r *Redactor) Bytes(p []byte) []byte {
	m := r.matcher()
	if m == nil {
		return p
	}
	out, _ := m.scan(p, 0, true)
	return out
}

// Text is Bytes for a string.
func (r *Redactor) Text(s string) string {
	if r.matcher() == nil {
		return s
	}
	return string(r.Bytes([]byte(s)))
}

// Messages returns a writer to w for texts of which each comes in one Write.
func (r *Redactor) Messages(w io.Writer) io.Writer { return messages{r, w} }

type messages struct {
	r   *Redactor
	out io.Writer
}

func (m messages) Write(p []byte) (int, error) {
	if _, err := m.out.Write(m.r.Bytes(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

const (
	// flicker is how long a few bytes that a value may begin with are held
	// back: no more than what is typed and echoed can wait.
	flicker = 20 * time.Millisecond
	// patience is the same for so many bytes that hardly anything else begins
	// with them: as long as a packet takes that was lost on the way.
	patience = time.Second
)

// Writer passes a stream on without the values. What may be the beginning of
// one is held back until more comes, or for a short while; all else is passed on
// at once. It holds no more than the longest value.
type Writer struct {
	r   *Redactor
	out io.Writer

	mu    sync.Mutex
	held  []byte
	shown int // how much of held was passed on all the same
	timer *time.Timer
	over  bool
	err   error
}

// Writer returns a writer to out. Its owner calls Close at the end of the
// stream. Nobody else may use out meanwhile: what was held back is written by a
// goroutine of the writer's own.
func (r *Redactor) Writer(out io.Writer) *Writer { return &Writer{r: r, out: out} }

// Write takes the next part of the stream. An error is out's, perhaps from
// earlier.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	m := w.r.matcher()
	if m == nil {
		return w.out.Write(p)
	}
	data := p
	if len(w.held) > 0 {
		data = append(w.held, p...)
	}
	out, used := m.scan(data, w.shown, w.over)
	if len(out) > 0 {
		_, w.err = w.out.Write(out)
	}
	w.held = append(w.held[:0:0], data[used:]...)
	w.shown = max(0, w.shown-used)
	w.wait()
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// wait sets the time when what is held back is passed on.
func (w *Writer) wait() {
	if w.timer != nil {
		w.timer.Stop()
	}
	if len(w.held) == w.shown {
		return
	}
	pause := patience
	if len(w.held) < MinRedacted {
		pause = flicker
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(pause, w.giveUp)
		return
	}
	w.timer.Reset(pause)
}

// giveUp passes on what is held back. It is kept all the same: should the rest
// of a value come, that is not shown.
func (w *Writer) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
}

func (w *Writer) flush() {
	if w.err != nil || len(w.held) == w.shown {
		return
	}
	out, _ := w.r.matcher().scan(w.held, w.shown, true)
	w.shown = len(w.held)
	if len(out) > 0 {
		_, w.err = w.out.Write(out)
	}
}

// Close passes on what is held back. It does not close what is written to. What
// comes later is passed on without delay.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.over = true
	w.flush()
	w.held, w.shown = nil, 0
	return w.err
}
