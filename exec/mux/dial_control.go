package mux

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// forwardDeadline bounds a forward, which a host may have to agree to.
const forwardDeadline = 30 * time.Second

// Forward is a port or socket of one side of a connection that leads to one of
// the other.
type Forward = muxproto.Forward

// OpenForward opens a forward, which lives as long as the master. The port is
// the one that the host chose, for port 0 of a remote forward, and else 0. One
// that is there already is no error. The master is always dialled for it. The
// errors are those of Check, and *muxproto.Error for what no forward can be.
func (l *Lease) OpenForward(ctx context.Context, f Forward) (port int, err error) {
	answer, err := l.ask(ctx, muxproto.OpenForward{ID: requestID, Forward: named(f)})
	if m, ok := answer.(muxproto.RemotePort); ok && err == nil {
		return int(m.Port), nil
	}
	return 0, l.inWords(err, "forwarding")
}

// CloseForward ends a forward that was opened with the same words. Connections
// through it stay. The errors are those of Check.
func (l *Lease) CloseForward(ctx context.Context, f Forward) error {
	_, err := l.ask(ctx, muxproto.CloseForward{ID: requestID, Forward: named(f)})
	return l.inWords(err, "forwarding")
}

// named gives a dynamic forward the word that ssh has in the place of a host;
// a master opens none to nowhere (OpenSSH 9.2).
func named(f Forward) Forward {
	if f.Kind == muxproto.ForwardDynamic {
		f.ConnectHost, f.ConnectPort = "socks", 0
	}
	return f
}

// ask sends a request to the master of the lease, and returns the answer that
// it was met. The errors are *SocketError, *ProtocolError, *SilentError,
// *sshcmd.Error, *refusal, io.EOF where the master ended instead of an answer,
// and the context's. Nothing is sent to a socket that is not ours alone, nor
// before a master's hello.
//
// One deadline is for hello and answer together, since a master that was
// stopped for a moment is as late with either.
func (l *Lease) ask(ctx context.Context, request muxproto.Message) (muxproto.Message, error) {
	path := l.ControlPath()
	if err := onlyOurs(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, &SocketError{err}
	}
	packets, err := muxproto.Append(nil, muxproto.Hello{Version: muxproto.Version})
	if err == nil {
		packets, err = muxproto.Append(packets, request)
	}
	if err != nil {
		return nil, err
	}
	limit := strangerDeadline
	if held(path) {
		limit = controlDeadline
	}
	c := &Channel{lease: l, socket: path, ctx: ctx, began: time.Now()}
	if err := c.greet(ctx, limit); err != nil {
		return nil, c.late(ctx, err, limit)
	}
	defer c.conn.Close() //nolint:errcheck // nothing is left to say
	if _, open := request.(muxproto.OpenForward); open {
		limit = forwardDeadline
	}
	answer, err := c.exchange(ctx, packets, limit)
	if err != nil {
		return nil, c.late(ctx, err, limit)
	}
	return answer, c.fits(request, answer)
}

// greet connects, and hears who listens.
func (c *Channel) greet(ctx context.Context, limit time.Duration) error {
	dialling, cancel := context.WithDeadline(ctx, c.began.Add(limit))
	defer cancel()
	if err := c.dial(dialling); err != nil {
		return err
	}
	stop := c.endWith(ctx, limit)
	defer stop()
	err := c.hello()
	if err != nil {
		c.hangUp()
	}
	return err
}

// exchange sends packets, and reads one.
func (c *Channel) exchange(ctx context.Context, packets []byte, limit time.Duration) (muxproto.Message, error) {
	stop := c.endWith(ctx, limit)
	defer stop()
	_, err := c.conn.Write(packets)
	if err != nil {
		return nil, ended(err)
	}
	answer, err := c.read()
	return answer, ended(err)
}

// ended makes io.EOF of every way in which a connection ends: what of a request
// the master has not read when it ends makes a difference to the system.
func ended(err error) error {
	for _, way := range []error{io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, way) {
			return io.EOF
		}
	}
	return err
}

// endWith ends what waits for the connection with the context, or when so long
// has passed since the beginning.
func (c *Channel) endWith(ctx context.Context, limit time.Duration) (stop func() bool) {
	_ = c.conn.SetDeadline(c.began.Add(limit))
	return context.AfterFunc(ctx, func() { _ = c.conn.Close() })
}

// late tells by the clock whether an error comes of somebody who was silent for
// too long: half a message and then nothing look to read like an end.
func (c *Channel) late(ctx context.Context, err error, limit time.Duration) error {
	var protocol *ProtocolError
	switch {
	case errors.As(err, &protocol):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case time.Since(c.began) >= limit:
		return &SilentError{Host: c.lease.Host(), Path: c.socket, After: limit}
	case errors.Is(err, io.EOF):
		return err
	}
	return sshcmd.Classify(c.lease.Host(), noStatus, err.Error()+"\n")
}

// refusal is a master's word that it does not do what it was asked for.
type refusal struct {
	denied bool
	reason string
}

func (e *refusal) Error() string { return e.reason }

// fits returns an error unless a message is the answer to the request, and
// says that it was met.
func (c *Channel) fits(request, answer muxproto.Message) error {
	var (
		id  uint32
		no  error
		fit = true
	)
	switch m := answer.(type) {
	case muxproto.OK:
		_, check := request.(muxproto.AliveCheck)
		id, fit = m.ID, !check
	case muxproto.Alive:
		id = m.ID
		_, fit = request.(muxproto.AliveCheck)
	case muxproto.RemotePort:
		id = m.ID
		_, fit = request.(muxproto.OpenForward)
	case muxproto.PermissionDenied:
		id, no = m.ID, &refusal{denied: true, reason: safeReason(m.Reason)}
	case muxproto.Failure:
		id, no = m.ID, &refusal{reason: safeReason(m.Reason)}
	default:
		fit = false
	}
	switch {
	case !fit:
		return c.unexpected("an unexpected answer")
	case id != requestID:
		return c.unexpected("an answer to another request")
	}
	return no
}

// inWords gives the failure of a request the words of ssh.
func (l *Lease) inWords(err error, what string) error {
	var no *refusal
	words := "mux_client_read_packet: read from master failed: "
	switch {
	case errors.As(err, &no) && no.denied:
		words = "Master refused " + what + " request: " + no.reason
	case errors.As(err, &no):
		words = "mux_client_request: " + what + " request failed: " + no.reason
	case errors.Is(err, io.EOF):
		words += reason(err).Error()
	default:
		return err
	}
	return sshcmd.Classify(l.Host(), noStatus, words+"\n")
}
