package proc

import "sync"

// Tail is a writer that keeps the last Limit bytes written to it, for the
// words of a process that matter only when it fails. It is safe for
// concurrent use, and costs no more memory than twice its limit.
type Tail struct {
	// Limit is the number of bytes kept; zero means 32 KiB.
	Limit int

	mu  sync.Mutex
	buf []byte
}

const defaultTail = 32 << 10

// Write keeps the end of what was written so far. It never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.Limit
	if limit == 0 {
		limit = defaultTail
	}
	if len(p) >= limit {
		t.buf = append(t.buf[:0], p[len(p)-limit:]...)
		return len(p), nil
	}
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*limit {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-limit:]...)
	}
	return len(p), nil
}

// String returns what is kept, at most Limit bytes.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.Limit
	if limit == 0 {
		limit = defaultTail
	}
	if len(t.buf) > limit {
		return string(t.buf[len(t.buf)-limit:])
	}
	return string(t.buf)
}
