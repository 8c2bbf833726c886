package sandbox

import (
	"io"
	"net"
)

// NewConnForTest gives the tests' client the net.Conn that it needs too.
func NewConnForTest(rw io.ReadWriteCloser) net.Conn { return newConn(rw) }
