package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bivy/exec/proc"
	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// How long somebody who listens may be silent depends on who he is. A master
// whose holder lives is ours: it may be stopped for a moment, or be asked by
// many at once, and is ended when it is not heard within greeting and then
// controlDeadline. Anybody else, be it the user's own master, is refused, and
// not ended: strangerGreeting and strangerDeadline together stay below a
// second, with what else a lease waits for a greeting, and leave a master that
// was stopped for half of one.
//
// Nonsense needs no deadline.
const (
	// controlDeadline bounds every control operation: a master that is stopped
	// answers nothing, and no option of ssh bounds that (OpenSSH 9.2).
	controlDeadline  = 3 * time.Second
	strangerGreeting = 100 * time.Millisecond
	strangerDeadline = 650 * time.Millisecond
)

// SilentError says that somebody takes connections on a control socket, and
// did not answer in time: he said nothing, or not all of a message.
type SilentError struct {
	Host, Path string
	// After is how long he had.
	After time.Duration
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("the master of %s did not answer within %s", e.Host, e.After)
}

// The orders that `ssh -O` has for a master.
const (
	orderCheck = "check"
	orderStop  = "stop"
	orderExit  = "exit"
)

// at is a lease without a session, to ask a master for something. The socket
// own is that of the user's own master, or empty.
func (m *Masters) at(id, host, own string) *Lease {
	return &Lease{masters: m, id: id, ride: own, route: route{Target: Target{Host: sshcmd.Host(host)}}}
}

// Check asks the master of the lease whether it works, and returns its
// process. The errors are *SilentError for one that does not answer in time,
// *sshcmd.Error for one that is not there or refuses, *SocketError,
// *ProtocolError, and the context's.
func (l *Lease) Check(ctx context.Context) (pid int, err error) { return l.control(ctx, orderCheck) }

// StopListening has the master take no more sessions, and end with the last
// one. The errors are those of Check, and *OwnMasterError for the user's own.
func (l *Lease) StopListening(ctx context.Context) error { return l.command(ctx, orderStop) }

// Terminate has the master end at once, with all its sessions. The errors are
// those of StopListening.
func (l *Lease) Terminate(ctx context.Context) error { return l.command(ctx, orderExit) }

func (l *Lease) command(ctx context.Context, order string) error {
	if l.ride != "" {
		return &OwnMasterError{Host: l.Host(), Path: l.ride, Closing: true}
	}
	_, err := l.control(ctx, order)
	return err
}

// control gives an order to the master of the lease, as its sessions are
// opened: over a connection, or with an ssh process, also where the master
// cannot be talked to without.
func (l *Lease) control(ctx context.Context, order string) (pid int, err error) {
	may, must := l.Dials()
	if !may {
		return l.controlBySSH(ctx, order)
	}
	pid, err = l.controlDialled(ctx, order)
	var protocol *ProtocolError
	if must || !errors.As(err, &protocol) {
		return pid, err
	}
	l.dialNoMore(ctx, protocol)
	if pid, err = l.controlBySSH(ctx, order); err != nil {
		err = fmt.Errorf("%w (%w)", err, protocol)
	}
	return pid, err
}

func (l *Lease) controlDialled(ctx context.Context, order string) (pid int, err error) {
	switch order {
	case orderExit:
		_, err = l.ask(ctx, muxproto.Terminate{ID: requestID})
		if errors.Is(err, io.EOF) {
			err = nil // it ends at once, and its answer is lost
		}
		return 0, l.inWords(err, "termination")
	case orderStop:
		_, err = l.ask(ctx, muxproto.StopListening{ID: requestID})
		return 0, l.inWords(err, "stop listening")
	}
	answer, err := l.ask(ctx, muxproto.AliveCheck{ID: requestID})
	if alive, ok := answer.(muxproto.Alive); ok && err == nil {
		return int(alive.PID), nil
	}
	return 0, l.inWords(err, "alive")
}

// controlBySSH runs one `ssh -O` within controlDeadline.
func (l *Lease) controlBySSH(ctx context.Context, order string) (pid int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, controlDeadline,
		&SilentError{Host: l.Host(), Path: l.ControlPath(), After: controlDeadline})
	defer cancel()
	var words proc.Tail
	cfg := l.masters.cfg
	c := sshcmd.Control{SSH: cfg.SSH, ControlPath: l.ControlPath(), Op: order}
	exit, err := proc.Run(ctx, proc.Spec{Args: c.Args(), Env: cfg.Env, Stderr: &words, Isolation: proc.Session, Signal: syscall.SIGKILL})
	if err != nil {
		return 0, err
	}
	if !exit.OK() {
		return 0, sshcmd.Classify(l.Host(), exit.Code, words.String())
	}
	_, _ = fmt.Sscanf(words.String(), "Master running (pid=%d)", &pid)
	return pid, nil
}

// held reports whether a holder of ours stands behind a control socket.
func held(socket string) bool {
	file, err := os.Open(socket + ".hold") // Dir.sidecar
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // the lock ends with the descriptor
	free, err := lockFile(file, unix.LOCK_SH|unix.LOCK_NB)
	return err == nil && !free
}

// OnStranger reports that whoever listens in the place of a master is none that
// a holder of ours has started, as far as one can tell; the user's own is one.
func (l *Lease) OnStranger() bool {
	ssh, _ := l.masters.recorded(l.id)
	return ssh == 0 && !held(l.ControlPath())
}

// answersNot reports a failed order to somebody who says nothing, or nothing
// that a master says, or to whom nothing was said.
func answersNot(err error) bool {
	var (
		foreign  *SocketError
		protocol *ProtocolError
		silent   *SilentError
	)
	return errors.As(err, &foreign) || errors.As(err, &protocol) || errors.As(err, &silent)
}

// spares reports a failed check after which nobody is ended: of a stranger, of
// a socket that is not to be trusted, or of a master that only an ssh could
// talk to, which is not to be started.
func (l *Lease) spares(err error) bool {
	var (
		foreign  *SocketError
		protocol *ProtocolError
	)
	_, must := l.Dials()
	return answersNot(err) && l.OnStranger() || errors.As(err, &foreign) || must && errors.As(err, &protocol)
}
