package integration

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// The ways of a wire: up from ssh to the host, down back.
const (
	wayUp = iota
	wayDown
)

// wire is a TCP relay in front of a host. It counts the bytes that pass, and
// lets something happen at one of them.
type wire struct {
	target string
	addr   string
	ctx    context.Context //nolint:containedctx // the life of the relay, ended by the test's cleanup
	work   sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	passed [2]int64
	way    int
	at     int64
	strike func() // nil once it has happened
	last   time.Time
}

// newWire starts a relay. Everything of it ends with the test.
func newWire(t testing.TB, target string) *wire {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &wire{target: target, ctx: ctx, conns: map[net.Conn]bool{}}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	w.addr = listener.Addr().String()
	w.work.Go(func() { w.accept(listener) })
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		w.cut(true)
		w.work.Wait()
	})
	return w
}

func (w *wire) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		far, err := new(net.Dialer).DialContext(w.ctx, "tcp", w.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		w.conns[near], w.conns[far] = true, true
		over := w.ctx.Err() != nil
		w.mu.Unlock()
		if over { // accepted too late for the cleanup to have seen it
			w.drop(near, far)
			continue
		}
		var ways sync.WaitGroup
		ways.Go(func() { w.relay(near, far, wayUp) })
		ways.Go(func() { w.relay(far, near, wayDown) })
		w.work.Go(func() {
			ways.Wait()
			w.drop(near, far)
		})
	}
}

func (w *wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		delete(w.conns, c)
		_ = c.Close()
	}
}

// relay passes on one way until its end, and the end.
func (w *wire) relay(from, to net.Conn, way int) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		rest := buf[:n]
		for len(rest) > 0 {
			now, strike := w.count(way, len(rest))
			if _, err := to.Write(rest[:now]); err != nil {
				_ = from.Close()
				return
			}
			rest = rest[now:]
			if strike != nil {
				strike()
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.(*net.TCPConn).CloseWrite()
		} else if err != nil {
			_ = to.Close()
		}
		if err != nil {
			return
		}
	}
}

// count says how many of n bytes may pass, and what is to happen then.
func (w *wire) count(way, n int) (now int, strike func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
	if left := w.at - w.passed[way]; w.strike != nil && way == w.way && left <= int64(n) {
		n, strike, w.strike = int(left), w.strike, nil
	}
	w.passed[way] += int64(n)
	return n, strike
}

// begin counts from now on. Before the byte at of that way would pass, and
// after all before it have, strike is called, which holds up that way.
func (w *wire) begin(way int, at int64, strike func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passed, w.way, w.at, w.strike = [2]int64{}, way, at, strike
}

// counted is what has passed since begin, in bytes, and since when nothing did.
func (w *wire) counted() (passed [2]int64, quiet time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed, time.Since(w.last)
}

// waits reports whether the strike is still to come, and calls it off.
func (w *wire) waits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := w.strike != nil
	w.strike = nil
	return waits
}

// cut ends all connections at once: broken, or in good order.
func (w *wire) cut(broken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if broken {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
		_ = c.Close()
		delete(w.conns, c)
	}
}
