package mux

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// requestID is that of the request for a session, of which a connection has
// one; aliveID that of the question before it, where there is one.
const (
	aliveID   = 0
	requestID = 1
)

// ProtocolError says that what listens on a control socket does not speak the
// protocol that we know.
type ProtocolError struct {
	Path string
	Err  error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("the master on %s cannot be talked to without ssh: %v", e.Path, e.Err)
}

// Unwrap returns what was wrong.
func (e *ProtocolError) Unwrap() error { return e.Err }

// SocketError says that a control socket is not the user's alone, so that
// nothing was sent to it.
type SocketError struct{ Err error }

func (e *SocketError) Error() string {
	return fmt.Sprintf("the control socket is not used: %v", e.Err)
}

// Unwrap returns what was wrong.
func (e *SocketError) Unwrap() error { return e.Err }

// Dial asks the master for a session without a terminal, as an `ssh -S` would,
// but from this process. It returns when the request is with the master, and
// that is within dialDeadline; the host's answer comes through Wait. The
// master has its own copies of the three files then.
//
// The errors are *sshcmd.Error for a master that could not be reached, with
// the words of ssh, *ProtocolError, *SocketError, and the context's; nothing
// has run then.
func (l *Lease) Dial(ctx context.Context, s sshcmd.Session, stdin, stdout, stderr *os.File) (*Channel, error) {
	return l.dial(ctx, s, "", [...]*os.File{stdin, stdout, stderr})
}

// DialTTY is Dial for a session with a terminal of the type term on the host.
// The master takes its first size and its modes from tty, which it reads and
// writes, and which becomes raw by the caller's hand, not before the host has
// answered. A change of its size is to be told by Resized.
func (l *Lease) DialTTY(ctx context.Context, s sshcmd.Session, term string, tty *os.File) (*Channel, error) {
	s.TTY = true
	return l.dial(ctx, s, term, [...]*os.File{tty, tty, tty})
}

func (l *Lease) dial(ctx context.Context, s sshcmd.Session, term string, files [3]*os.File) (*Channel, error) {
	if err := onlyOurs(s.ControlPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, &SocketError{err}
	}
	c := l.channel(ctx, s.ControlPath, s.TTY)
	zerolog.Ctx(ctx).Debug().Str("socket", c.socket).Str("command", s.Command).Bool("tty", c.tty).Msg("session is asked for")
	err := c.request(ctx, muxproto.NewSession{
		ID: requestID, TTY: s.TTY, Escape: muxproto.NoEscape, Term: term, Command: s.Command,
	}, files)
	if err == nil {
		return c, nil
	}
	c.hangUp()
	var protocol *ProtocolError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &protocol):
		l.dialNoMore(ctx, protocol)
		return nil, err
	}
	return nil, c.say(err.Error())
}

// request connects and sends the request, within dialDeadline.
func (c *Channel) request(ctx context.Context, session muxproto.NewSession, files [3]*os.File) error {
	ctx, cancel := context.WithTimeout(ctx, dialDeadline)
	defer cancel()
	packets, err := c.packets(session)
	if err != nil {
		return &ProtocolError{c.socket, err}
	}
	if c.conn == nil {
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.conn.Write(packets); err != nil {
		return fmt.Errorf("mux_client_request_session: write packet: %w", reason(err))
	}
	for _, file := range files {
		if err := sendFile(c.conn, file); err != nil {
			return fmt.Errorf("mm_send_fd: sendmsg: %w", reason(err))
		}
	}
	if !stop() {
		return fmt.Errorf("mm_send_fd: sendmsg: %w", syscall.ETIMEDOUT)
	}
	return nil
}

// packets are what a client says. With a terminal it asks for the master's
// process, too: who else could be told of a change of size.
func (c *Channel) packets(session muxproto.NewSession) ([]byte, error) {
	list := []muxproto.Message{muxproto.Hello{Version: muxproto.Version}}
	if c.tty {
		list = append(list, muxproto.AliveCheck{ID: aliveID})
	}
	var b []byte
	for _, m := range append(list, session) {
		var err error
		if b, err = muxproto.Append(b, m); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// dial connects.
func (c *Channel) dial(ctx context.Context) error {
	conn, err := dialSocket(ctx, c.socket)
	if err != nil {
		return unreachable(c.socket, err)
	}
	c.conn, c.from = conn, bufio.NewReaderSize(conn, 512)
	return nil
}

// unreachable says as ssh does that nobody took a connection.
func unreachable(socket string, err error) error {
	return fmt.Errorf("Control socket connect(%s): %w", socket, reason(err)) //nolint:staticcheck // ssh's words
}

// connect connects, and hears who listens.
func (c *Channel) connect(ctx context.Context) error {
	if err := c.dial(ctx); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	err := c.hello()
	if !stop() && err == nil {
		return fmt.Errorf("muxclient: master hello exchange failed: %w", syscall.ETIMEDOUT)
	}
	return err
}

// hangUp closes the connection, if there is one.
func (c *Channel) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// dialSocket connects. Somebody whose queue is full (EAGAIN; connect(2),
// Linux) may be a master that many dial at once.
func dialSocket(ctx context.Context, socket string) (*net.UnixConn, error) {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if unixConn, ok := conn.(*net.UnixConn); ok && err == nil {
			return unixConn, nil
		}
		if !errors.Is(err, syscall.EAGAIN) || sleep(ctx, lockPoll) != nil {
			return nil, err
		}
	}
}

// hello hears who listens. A master says it of its own accord.
func (c *Channel) hello() error {
	m, err := c.read()
	var bad *ProtocolError
	switch {
	case errors.As(err, &bad):
		return err
	case err != nil:
		return fmt.Errorf("muxclient: master hello exchange failed: %w", reason(err))
	}
	switch h, ok := m.(muxproto.Hello); {
	case !ok:
		return &ProtocolError{c.socket, fmt.Errorf("its first message is a %T", m)}
	case h.Version != muxproto.Version:
		return &ProtocolError{c.socket, fmt.Errorf("it speaks version %d of the protocol, and not %d", h.Version, muxproto.Version)}
	}
	return nil
}

// read reads one message. The error is io.EOF at the end, *ProtocolError for
// what is no message, or the connection's.
func (c *Channel) read() (muxproto.Message, error) {
	var header [muxproto.HeaderSize]byte
	if _, err := io.ReadFull(c.from, header[:]); err != nil {
		return nil, err
	}
	size, err := muxproto.Size(header)
	if err != nil {
		return nil, &ProtocolError{c.socket, err}
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(c.from, payload); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	m, err := muxproto.Decode(payload)
	if err != nil {
		return nil, &ProtocolError{c.socket, err}
	}
	return m, nil
}

// sendFile passes a descriptor with one byte. The file is borrowed: to take
// its descriptor would make it a blocking one, and a master wants none.
func sendFile(conn *net.UnixConn, file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	ctlErr := raw.Control(func(fd uintptr) {
		_, _, err = conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(fd)), nil)
	})
	return errors.Join(ctlErr, err)
}

// reason is the system's word for an error, as ssh would print it.
func reason(err error) error {
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		return number
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return syscall.ETIMEDOUT
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return syscall.EPIPE
	}
	return err
}
