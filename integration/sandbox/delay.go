package sandbox

import (
	"io"
	"sync"
	"time"
)

const (
	chunkSize = 32 << 10
	// onTheWay bounds the chunks of one direction: 32 MiB, which is far more
	// than the 2 MiB that ssh lets one session have in flight.
	onTheWay = 1024
	// lastWords is how long a closed connection may take to write what was
	// on its way, beyond the delay.
	lastWords = time.Second
)

// chunk is what was read or written at once, with the time at which it comes
// out on the other end. The last one of a direction has the error.
type chunk struct {
	data []byte
	err  error
	due  time.Time
}

// delayed is a connection whose bytes take a time each way. Two goroutines
// move them; wait returns when both have ended, which is soon after Close.
type delayed struct {
	*conn
	delay time.Duration
	in    chan chunk
	out   chan chunk
	rest  chunk // of what Read has begun
	once  sync.Once
	shut  chan struct{} // closed by Close
	moves sync.WaitGroup

	mu     sync.Mutex
	broken error // why nothing can be written any more
}

func newDelayed(c *conn, delay time.Duration) *delayed {
	d := &delayed{
		conn: c, delay: delay, shut: make(chan struct{}),
		in: make(chan chunk, onTheWay), out: make(chan chunk, onTheWay),
	}
	d.moves.Go(d.receive)
	d.moves.Go(d.send)
	return d
}

// receive reads ahead of Read, so that the next chunk's delay runs while the
// one before is still on its way.
func (d *delayed) receive() {
	buf := make([]byte, chunkSize)
	for {
		n, err := d.conn.Read(buf)
		c := chunk{data: append([]byte(nil), buf[:n]...), err: err, due: time.Now().Add(d.delay)}
		select {
		case d.in <- c:
		case <-d.shut:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read waits until the next chunk is due. It is called by one goroutine.
func (d *delayed) Read(p []byte) (int, error) {
	for len(d.rest.data) == 0 {
		if d.rest.err != nil {
			return 0, d.rest.err
		}
		select {
		case c := <-d.in:
			if !d.until(c.due, d.shut) {
				return 0, io.ErrClosedPipe
			}
			d.rest = c
		case <-d.shut:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, d.rest.data)
	d.rest.data = d.rest.data[n:]
	return n, nil
}

// Write takes the bytes and returns. An error of the stream shows in a later
// Write, as with a network.
func (d *delayed) Write(p []byte) (int, error) {
	d.mu.Lock()
	err := d.broken
	d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	written := 0
	for len(p) > 0 {
		n := min(len(p), chunkSize)
		c := chunk{data: append([]byte(nil), p[:n]...), due: time.Now().Add(d.delay)}
		select {
		case d.out <- c:
		case <-d.shut:
			return written, io.ErrClosedPipe
		}
		p, written = p[n:], written+n
	}
	return written, nil
}

// send writes each chunk when it is due. After Close it still writes what is
// on its way, and then closes the stream. After an error it throws away, so
// that a Write never waits for room that will not come.
func (d *delayed) send() {
	defer d.conn.Close() //nolint:errcheck // the end in any case
	for {
		var c chunk
		select {
		case c = <-d.out:
		case <-d.shut:
			select {
			case c = <-d.out:
			default:
				return
			}
		}
		d.until(c.due, nil)
		if _, err := d.conn.Write(c.data); err != nil {
			d.mu.Lock()
			d.broken = err
			d.mu.Unlock()
			d.discard()
			return
		}
	}
}

func (d *delayed) discard() {
	for {
		select {
		case <-d.out:
		case <-d.shut:
			return
		}
	}
}

// until waits for the time; it is false when the channel was closed first.
func (d *delayed) until(due time.Time, shut <-chan struct{}) bool {
	left := time.Until(due)
	if left <= 0 {
		return true
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-shut:
		return false
	}
}

// Close returns at once; what was written before still arrives.
func (d *delayed) Close() error {
	d.once.Do(func() { close(d.shut) })
	return nil
}

// wait ends the two goroutines. A peer that reads nothing is given a little
// time for the last words.
func (d *delayed) wait() {
	_ = d.Close()
	force := time.AfterFunc(d.delay+lastWords, func() { _ = d.conn.Close() })
	defer force.Stop()
	d.moves.Wait()
}
