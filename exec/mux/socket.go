package mux

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// presence says what a dial of a control socket found.
type presence int

const (
	absent    presence = iota // no socket
	stale                     // a socket nobody listens on
	listening                 // somebody accepts
	unclear                   // anything else: never a reason to unlink
)

// probe dials the control socket. A master takes the connection without a
// word, and says nothing about one that is closed again.
func probe(socket string) presence {
	fd, err := connectTo(socket)
	switch {
	case err == nil:
		_ = unix.Close(fd)
		return listening
	case errors.Is(err, unix.EAGAIN):
		// Somebody listens, and the queue is full (connect(2), Linux): a
		// master that is stopped, or many who dial at once.
		return listening
	case errors.Is(err, unix.ENOENT):
		return absent
	case errors.Is(err, unix.ECONNREFUSED):
		return stale
	default:
		return unclear
	}
}

// removeStale unlinks a socket only when nobody listens. The caller holds the
// lock that keeps others from starting a master meanwhile.
func removeStale(socket string) {
	if probe(socket) == stale {
		_ = os.Remove(socket)
	}
}

// dialLocal connects to a socket of ours, or fails at once. The package net
// takes several times as long, which counts for who runs one command.
func dialLocal(socket string) (net.Conn, error) {
	fd, err := connectTo(socket)
	if err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	return localConn{os.NewFile(uintptr(fd), socket)}, nil
}

// connectTo returns a connected descriptor that does not block. A local
// socket takes a connection at once, or does not.
func connectTo(socket string) (int, error) {
	// As in the standard library: no child may get the descriptor before it
	// is marked.
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	err = unix.SetNonblock(fd, true)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// localConn is a connected local socket. Its ends have no addresses.
type localConn struct{ *os.File }

// LocalAddr implements net.Conn.
func (localConn) LocalAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// RemoteAddr implements net.Conn.
func (c localConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: c.Name(), Net: "unix"} }
