package exec

import (
	"context"
	"errors"
	"os"
	"syscall"

	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/sshcmd"
)

// client is what has a session of the master for us: an ssh process, or a
// connection of our own to the master.
type client interface {
	// Wait returns the status of the session, or 255 without one. It is
	// called exactly once.
	Wait() (proc.Exit, error)
	// Signal ends the client, not the command.
	Signal(sig syscall.Signal) error
}

// open opens a session without a terminal on three pipes. A master that cannot
// be talked to directly is talked to by ssh. What either has to say is in the
// attempt's log.
func (a *attempt) open(ctx context.Context, in, out, errs *os.File) (client, error) {
	s := a.session(false)
	may, must := a.lease.Dials()
	if may {
		c, err := a.lease.Dial(ctx, s, in, out, errs)
		var (
			said     *sshcmd.Error
			protocol *mux.ProtocolError
		)
		switch {
		case err == nil:
			return c, nil
		case errors.As(err, &said):
			return ended{proc.Exit{Code: said.ExitCode}, err}, nil
		case !errors.As(err, &protocol) || must:
			return nil, err
		}
	}
	p, err := proc.Start(context.WithoutCancel(ctx), proc.Spec{
		Args: s.Args(), Env: a.lease.Masters().Env(), Stdin: in, Stdout: out, Stderr: errs, Isolation: proc.Session,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ended is a client that found no master.
type ended struct {
	exit proc.Exit
	err  error
}

// Wait implements client.
func (e ended) Wait() (proc.Exit, error) { return e.exit, e.err }

// Signal implements client.
func (e ended) Signal(syscall.Signal) error { return nil }
