package sandbox

import (
	"io"
	"net"
	"sync"
	"time"
)

// conn gives any stream the shape of a net.Conn. It has no addresses, and its
// deadlines do nothing: the ssh server sets "no deadline" before each call.
type conn struct {
	io.ReadWriteCloser
	once sync.Once
	err  error
}

func newConn(rw io.ReadWriteCloser) *conn { return &conn{ReadWriteCloser: rw} }

// Close closes the stream once, however many owners do it.
func (c *conn) Close() error {
	c.once.Do(func() { c.err = c.ReadWriteCloser.Close() })
	return c.err
}

func (*conn) LocalAddr() net.Addr              { return address{} }
func (*conn) RemoteAddr() net.Addr             { return address{} }
func (*conn) SetDeadline(time.Time) error      { return nil }
func (*conn) SetReadDeadline(time.Time) error  { return nil }
func (*conn) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "stdio" }
func (address) String() string  { return "stdio" }
