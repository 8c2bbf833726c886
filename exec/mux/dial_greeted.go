package mux

import (
	"context"
	"time"
)

const (
	// atOnce is how soon a master says hello whose connection is kept for a
	// session. A slower one is asked with more patience, and dialled again.
	atOnce = 50 * time.Millisecond
	// fresh is how long a connection is kept. What has happened to a master
	// since, its next connection tells in better words.
	fresh = time.Second
)

// greets reports whether the master of the lease takes a connection and says
// hello. Where its sessions are dialled, the next one has that connection.
func (l *Lease) greets(ctx context.Context) bool {
	l.hangUp()
	socket := l.ControlPath()
	if may, _ := l.Dials(); may && onlyOurs(socket) == nil {
		c := &Channel{lease: l, socket: socket, began: time.Now()}
		soon, cancel := context.WithTimeout(ctx, atOnce)
		defer cancel()
		if c.connect(soon) == nil {
			l.greeted = c
			return true
		}
		c.hangUp()
	}
	return greets(ctx, socket)
}

// channel is a connection for the next session through a socket: the one that
// is kept, or one that is still to be made.
func (l *Lease) channel(ctx context.Context, socket string, tty bool) *Channel {
	c := l.greeted
	l.greeted = nil
	if c != nil && (c.socket != socket || time.Since(c.began) > fresh) {
		c.hangUp()
		c = nil
	}
	if c == nil {
		c = &Channel{lease: l, socket: socket}
	}
	c.ctx, c.began, c.tty = ctx, time.Now(), tty
	return c
}

// hangUp closes the connection that is kept.
func (l *Lease) hangUp() {
	if l.greeted != nil {
		l.greeted.hangUp()
		l.greeted = nil
	}
}
