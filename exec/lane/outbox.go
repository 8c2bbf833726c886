package lane

import (
	"io"
	"sync"
)

// outbox is what is to be sent in a lane: writing never waits, since what is on
// its way is bounded by the pool.
type outbox struct {
	mu     sync.Mutex
	more   *sync.Cond
	parts  [][]byte
	closed bool
}

func newOutbox() *outbox {
	o := &outbox{}
	o.more = sync.NewCond(&o.mu)
	return o
}

// put adds bytes, which must not change any more.
func (o *outbox) put(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(p) > 0 && !o.closed {
		o.parts = append(o.parts, p)
		o.more.Signal()
	}
}

// close lets what is in it be read, and then it has an end.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.more.Broadcast()
}

// drop closes it, and nothing in it is read any more.
func (o *outbox) drop() {
	o.close()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = nil
}

// Read waits for bytes.
func (o *outbox) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.parts) == 0 && !o.closed {
		o.more.Wait()
	}
	if len(o.parts) == 0 {
		return 0, io.EOF
	}
	n := 0
	for len(o.parts) > 0 && n < len(p) {
		k := copy(p[n:], o.parts[0])
		n += k
		if o.parts[0] = o.parts[0][k:]; len(o.parts[0]) == 0 {
			o.parts = o.parts[1:]
		}
	}
	return n, nil
}
