package link

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// What a link holds of one way of one connection: so many pieces of at most
// that size. More stays with the sender, whose own buffers fill, as on a real
// link.
const (
	pieces    = 64
	pieceSize = 4 << 10
)

// ending is a way in which a link ends a connection.
type ending int

const (
	cut   ending = iota // both sides see an end of file
	reset               // both sides see a broken connection
	done                // both sides have had their end already
)

// pair is one connection: near is the client's, far leads to the target.
type pair struct {
	link *Link
	near *net.TCPConn

	mu   sync.Mutex
	far  *net.TCPConn // nil until the target has heard of it
	dead chan struct{}
	over bool // dead is closed
}

// piece is what was read at once. The last one of a connection has end.
type piece struct {
	data []byte
	at   time.Time
	end  error
}

// run relays until both ways have ended.
func (p *pair) run() {
	how := reset
	defer func() { p.forget(how) }()
	if !p.open() {
		return
	}
	var ways sync.WaitGroup
	for w, ends := range [2][2]*net.TCPConn{up: {p.near, p.far}, down: {p.far, p.near}} {
		held := make(chan piece, pieces)
		ways.Go(func() { p.read(ends[0], held) })
		ways.Go(func() { p.write(ends[1], held, way(w)) })
	}
	ways.Wait()
	how = done
}

// forget closes what is left open.
func (p *pair) forget(how ending) {
	p.end(how)
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	delete(p.link.pairs, p)
}

// open connects to the target, as soon as the link lets the client be heard.
func (p *pair) open() bool {
	p.link.mu.Lock()
	setup := p.link.setup
	p.link.mu.Unlock()
	if !p.pause(time.Now().Add(setup)) || !p.audible(up) {
		return false
	}
	conn, err := new(net.Dialer).DialContext(p.link.ctx, "tcp", p.link.target)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.far = conn.(*net.TCPConn)
	if p.over {
		_ = p.far.Close()
	}
	return !p.over
}

// end ends the connection from our side. After cut, read throws away what
// still comes, until the other sides close as well: to close a socket that
// has unread bytes would be a reset.
func (p *pair) end(how ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.over = true
		close(p.dead)
	}
	for _, conn := range []*net.TCPConn{p.near, p.far} {
		switch {
		case conn == nil:
		case how == cut:
			_ = conn.CloseWrite()
		case how == done:
			// The kernel may still have bytes to send, which a reset would drop.
			_ = conn.Close()
		default:
			_ = conn.SetLinger(0)
			_ = conn.Close()
		}
	}
}

// read takes what one side sends.
func (p *pair) read(from *net.TCPConn, held chan<- piece) {
	defer close(held)
	for {
		buf := make([]byte, pieceSize)
		n, err := from.Read(buf)
		select {
		case held <- piece{buf[:n], time.Now(), err}:
		case <-p.dead:
		}
		if err != nil {
			return
		}
	}
}

// write delivers it to the other side, when the link lets it pass. The end of
// what one side sends, in good order or not, is delivered like the bytes.
func (p *pair) write(to *net.TCPConn, held <-chan piece, w way) {
	for next := range held {
		if !p.pass(w, next) {
			return
		}
		if _, err := to.Write(next.data); err != nil {
			p.end(reset)
			return
		}
		switch {
		case next.end == nil:
		case errors.Is(next.end, io.EOF):
			_ = to.CloseWrite()
		default:
			p.end(reset)
		}
	}
}

// pass waits until a piece has come through the link; false means that the
// connection has been ended.
func (p *pair) pass(w way, next piece) bool {
	l := p.link
	l.mu.Lock()
	arrives := next.at.Add(l.delay)
	if l.rate > 0 {
		begins := l.free[w]
		if begins.Before(next.at) {
			begins = next.at
		}
		l.free[w] = begins.Add(time.Duration(len(next.data)) * time.Second / time.Duration(l.rate))
		arrives = l.free[w].Add(l.delay)
	}
	l.mu.Unlock()
	return p.pause(arrives) && p.audible(w)
}

// pause waits for a point in time.
func (p *pair) pause(until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.dead:
		return false
	}
}

// audible waits until that way is not silent.
func (p *pair) audible(w way) bool {
	for {
		p.link.mu.Lock()
		silent, changed := p.link.silent[w], p.link.changed
		p.link.mu.Unlock()
		if !silent {
			return true
		}
		select {
		case <-changed:
		case <-p.dead:
			return false
		}
	}
}
