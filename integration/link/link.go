// Package link is a piece of network that can fail: a TCP relay between ssh
// and sshd, which a test makes silent, slow, or breaks. Only tests import it.
//
//	l := link.Start(t, server.Addr)
//	server.HostAt(t, "far", l.Addr())
//	l.Silence()
//
// Up is the way from the client to the target, down the way back. What a
// relay cannot do is to lose single packets: a kernel acknowledges what it has
// handed to us, so the sender's own timeouts of TCP never begin.
package link

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// way is a direction of a link.
type way int

const (
	up way = iota
	down
)

// Link is one relay. Its methods may be called at any time, from any goroutine.
type Link struct {
	tb     testing.TB
	addr   string
	target string
	ctx    context.Context //nolint:containedctx // the life of the relay, ended by the test's cleanup
	work   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	pairs    map[*pair]bool
	changed  chan struct{} // closed and replaced by every change of what follows
	silent   [2]bool
	delay    time.Duration
	rate     int
	setup    time.Duration
	// free is when a limited way has sent what it was given.
	free [2]time.Time
}

// Start opens a link to target, HOST:PORT. With the test everything ends that
// belongs to it.
func Start(t testing.TB, target string) *Link {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &Link{tb: t, target: target, ctx: ctx, pairs: map[*pair]bool{}, changed: make(chan struct{})}
	if err := l.listen("127.0.0.1:0"); err != nil {
		cancel()
		t.Fatalf("open a link to %s: %v", target, err)
	}
	t.Cleanup(func() {
		cancel()
		l.close()
		l.work.Wait()
	})
	return l
}

// Addr is where the link takes connections, 127.0.0.1:PORT. It stays the same.
func (l *Link) Addr() string { return l.addr }

func (l *Link) listen(addr string) error {
	listener, err := new(net.ListenConfig).Listen(l.ctx, "tcp", addr)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listener, l.addr = listener, listener.Addr().String()
	l.work.Go(func() { l.accept(listener) })
	return nil
}

func (l *Link) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p := &pair{link: l, near: conn.(*net.TCPConn), dead: make(chan struct{})}
		l.mu.Lock()
		over := l.ctx.Err() != nil
		if !over {
			l.pairs[p] = true
		}
		l.mu.Unlock()
		if over { // accepted too late for close to have seen it
			p.end(reset)
			return
		}
		l.work.Go(p.run)
	}
}

func (l *Link) close() {
	l.Refuse()
	for _, p := range l.all() {
		p.end(reset)
	}
}

// all returns the pairs that are there, ended by us or not.
func (l *Link) all() []*pair {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*pair
	for p := range l.pairs {
		list = append(list, p)
	}
	return list
}

// Connections counts what was accepted and has not ended, neither by its two
// ends nor by Cut or Reset.
func (l *Link) Connections() int {
	n := 0
	for _, p := range l.all() {
		select {
		case <-p.dead:
		default:
			n++
		}
	}
	return n
}

// change changes the link under its lock, and wakes all who wait.
func (l *Link) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Silence makes the link mute both ways, as a network does that went away:
// nothing is delivered, the end of a connection neither, and nobody is told.
// What was sent meanwhile arrives after Restore. A new connection is accepted
// and stays mute, and the target does not hear of it before Restore.
func (l *Link) Silence() { l.change(func() { l.silent = [2]bool{true, true} }) }

// SilenceUp makes the way to the target mute, and new connections with it.
func (l *Link) SilenceUp() { l.change(func() { l.silent[up] = true }) }

// SilenceDown makes the way back from the target mute.
func (l *Link) SilenceDown() { l.change(func() { l.silent[down] = true }) }

// Refuse refuses new connections; those that exist go on.
func (l *Link) Refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
}

// Restore ends Silence, SilenceUp, SilenceDown and Refuse.
func (l *Link) Restore() {
	l.change(func() { l.silent = [2]bool{} })
	l.mu.Lock()
	refused := l.listener == nil
	l.mu.Unlock()
	if !refused {
		return
	}
	if err := l.listen(l.addr); err != nil {
		l.tb.Errorf("open the link to %s again: %v", l.target, err)
	}
}

// Cut ends all connections in good order: both sides see the end of what the
// other sent (FIN). What was under way is lost. New connections are taken.
func (l *Link) Cut() { l.endAll(cut) }

// Reset breaks all connections: both sides get "connection reset" (RST). New
// connections are taken.
func (l *Link) Reset() { l.endAll(reset) }

func (l *Link) endAll(how ending) {
	for _, p := range l.all() {
		p.end(how)
	}
}

// Delay makes everything arrive that much later, each way; zero is the
// default. The making of a connection is not delayed, see Setup.
func (l *Link) Delay(oneWay time.Duration) { l.change(func() { l.delay = oneWay }) }

// Rate limits the bytes per second of each way, for all connections together;
// zero is no limit.
func (l *Link) Rate(bytesPerSecond int) {
	l.change(func() { l.rate, l.free = bytesPerSecond, [2]time.Time{} })
}

// Setup makes the target hear of a new connection only after d: a slow login.
func (l *Link) Setup(d time.Duration) { l.change(func() { l.setup = d }) }

func (l *Link) String() string { return fmt.Sprintf("link %s to %s", l.addr, l.target) }
