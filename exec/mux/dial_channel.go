package mux

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec/proc"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// noStatus is the exit status of an ssh that has none of its command's.
const noStatus = 255

// maxReason bounds a master's reason, in bytes.
const maxReason = 300

// Channel is one session on a master, opened without a process. Its methods
// are those of a *proc.Process that runs `ssh -S`, and say the same.
type Channel struct {
	lease   *Lease
	socket  string
	ctx     context.Context // for the log
	began   time.Time
	conn    *net.UnixConn
	from    *bufio.Reader
	tty     bool // it was asked for with a terminal
	open    bool // session is its number with the master
	session uint32
	closed  atomic.Bool
	words   string

	mu      sync.Mutex
	master  int  // its process, while the session is open on a terminal
	resized bool // before that was so
}

// Way is the way that the session was opened, in a word of BIVY_MUX.
func (c *Channel) Way() string { return wayDirect }

// Words is what ssh would have said in its log, after Wait.
func (c *Channel) Words() string { return c.words }

// Signal ends the session from here, whatever the signal: the connection is
// closed, and the master takes that for the end of a client. It closes the
// session's streams; the command may live on.
func (c *Channel) Signal(syscall.Signal) error {
	c.closed.Store(true)
	c.follow(0)
	if err := c.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Resized tells the master that the session's terminal has another size; it
// does nothing once the session is over. The master hears of it by SIGWINCH
// alone (OpenSSH 9.2, mux.c).
func (c *Channel) Resized() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resized = true
	if c.master != 0 {
		_ = syscall.Kill(c.master, syscall.SIGWINCH)
	}
}

// follow takes the master's process for one that may be signalled, or not any
// more. It answered on this connection, and has that open until it ends.
func (c *Channel) follow(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master = pid; pid != 0 && c.resized {
		_ = syscall.Kill(pid, syscall.SIGWINCH)
	}
}

// Wait waits for the end of the session, and must be called exactly once. The
// status is 255 where the host reported none: it gave no session, the command
// died of a signal, the connection was lost, or Signal was called. The error
// is *sshcmd.Error where the master or the host gave no session (ClassMux,
// ClassMuxRefused) or the session was lost.
func (c *Channel) Wait() (proc.Exit, error) {
	exit, err := c.wait()
	c.follow(0)
	_ = c.conn.Close()
	zerolog.Ctx(c.ctx).Debug().Err(err).Stringer("end", exit).Dur("took", time.Since(c.began)).Msg("session ended")
	return exit, err
}

func (c *Channel) wait() (proc.Exit, error) {
	id, err := c.session, error(nil)
	if !c.open {
		id, err = c.opened()
	}
	if err != nil {
		return proc.Exit{Code: noStatus}, err
	}
	status, reported := uint32(noStatus), false
	for {
		m, err := c.read()
		switch {
		case errors.Is(err, io.EOF) && reported:
			return proc.Exit{Code: int(status & 0xff)}, nil // what of it exit(3) would pass on
		case err != nil:
			return proc.Exit{Code: int(status & 0xff)}, c.lost(err)
		}
		switch m := m.(type) {
		case muxproto.TTYAllocFail:
			if err = c.same(m.Session, id); err == nil && c.tty {
				// What follows is the end of a shell that misses its terminal.
				c.words = fmt.Sprintf("PTY allocation request failed on channel %d\n", id)
			}
		case muxproto.Exit:
			err = c.same(m.Session, id)
			if err == nil && reported {
				err = c.unexpected("a second exit status")
			}
			status, reported = m.Status, true
		default:
			err = c.unexpected("an unexpected message")
		}
		if err != nil {
			return proc.Exit{Code: noStatus}, c.lost(err)
		}
	}
}

// opened waits for the host's answer to the request.
func (c *Channel) opened() (session uint32, err error) {
	pid, err := c.alive()
	if err != nil {
		return 0, c.unanswered(err)
	}
	m, err := c.read()
	if err != nil {
		return 0, c.unanswered(err)
	}
	var request uint32
	switch m := m.(type) {
	case muxproto.SessionOpened:
		request, session = m.ID, m.Session
	case muxproto.PermissionDenied:
		request, err = m.ID, errors.New("Master refused session request: "+safeReason(m.Reason))
	case muxproto.Failure:
		request, err = m.ID, errors.New("mux_client_request_session: session request failed: "+safeReason(m.Reason))
	default:
		return 0, c.unanswered(c.unexpected("an unexpected answer"))
	}
	switch {
	case request != requestID:
		return 0, c.unanswered(c.unexpected("an answer to another request"))
	case err != nil:
		return 0, c.say(err.Error())
	}
	c.follow(pid)
	zerolog.Ctx(c.ctx).Debug().Dur("took", time.Since(c.began)).Msg("session opened")
	return session, nil
}

// maxPID bounds the number of a process: what is larger would be none, or a
// group, or everybody.
const maxPID = 1<<31 - 1

// alive takes the answer to the question that went before a request for a
// terminal.
func (c *Channel) alive() (pid int, err error) {
	if !c.tty {
		return 0, nil
	}
	m, err := c.read()
	if err != nil {
		return 0, err
	}
	if a, ok := m.(muxproto.Alive); ok && a.ID == aliveID && a.PID > 1 && a.PID <= maxPID {
		return int(a.PID), nil
	}
	return 0, c.unexpected("no number of its process")
}

// safeReason keeps a master from putting lines of its own into the log.
func safeReason(s string) string { return termsafe.Line(s, maxReason) }

func (c *Channel) same(session, want uint32) error {
	if session != want {
		return c.unexpected("a message about another session")
	}
	return nil
}

func (c *Channel) unexpected(what string) error {
	return &ProtocolError{c.socket, errors.New("it sent " + what)}
}

// unanswered is the end of a connection on which no answer came, or nonsense:
// the session may have been opened all the same.
func (c *Channel) unanswered(err error) error {
	if c.closed.Load() {
		return net.ErrClosed
	}
	c.remember(err)
	c.settle()
	return c.say("mux_client_request_session: read from master failed: " + reason(err).Error())
}

// lost is the end of a connection during a session. ssh says nothing of it,
// unless the master talks nonsense.
func (c *Channel) lost(err error) error {
	var protocol *ProtocolError
	switch {
	case c.closed.Load():
		return net.ErrClosed
	case errors.As(err, &protocol):
		return c.unanswered(err)
	}
	c.settle()
	return sshcmd.ClassifySession(c.lease.Host(), noStatus, "")
}

// settle returns when the master, if it is ending, listens no more: the system
// may close our connection first, and who asks then whether the master lives
// (Alive) would be told so. A living one says hello; a dying one's socket
// drops us when it is closed.
func (c *Channel) settle() { _ = greets(context.WithoutCancel(c.ctx), c.socket) }

// remember keeps the next session from a master that talks nonsense.
func (c *Channel) remember(err error) {
	var protocol *ProtocolError
	if errors.As(err, &protocol) {
		c.lease.dialNoMore(c.ctx, protocol)
	}
}

// say keeps what ssh would have said, and returns it as ssh's failure.
func (c *Channel) say(words string) error {
	c.words = words + "\n"
	return sshcmd.ClassifySession(c.lease.Host(), noStatus, c.words)
}
