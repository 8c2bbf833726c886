package exec

import (
	"context"
	"errors"
	"fmt"
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
	// Words is what ssh said, or would have said, of the session, other than
	// to the command's streams. It is asked once, after Wait.
	Words() string
}

// open opens a session without a terminal on three pipes. A master that cannot
// be talked to directly is talked to by ssh.
func (a *attempt) open(ctx context.Context, in, out, errs *os.File) (client, error) {
	may, must := a.lease.Dials()
	if may {
		c, err := a.lease.Dial(ctx, a.session(false, ""), in, out, errs)
		var (
			said     *sshcmd.Error
			protocol *mux.ProtocolError
		)
		switch {
		case err == nil:
			return c, nil
		case errors.As(err, &said):
			return ended{said}, nil
		case !errors.As(err, &protocol) || must:
			return nil, err
		}
	}
	return a.startSSH(ctx, false, proc.Spec{
		Env: a.lease.Masters().Env(), Stdin: in, Stdout: out, Stderr: errs, Isolation: proc.Session,
	})
}

// startSSH opens a session with an ssh process, which the spec describes but
// for its arguments.
func (a *attempt) startSSH(ctx context.Context, tty bool, spec proc.Spec) (client, error) {
	log, err := a.lease.LogFile()
	if err != nil {
		return nil, err
	}
	spec.Args = a.session(tty, log).Args()
	p, err := proc.Start(context.WithoutCancel(ctx), spec)
	if err != nil {
		_ = words(log)
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	return sshClient{p, log}, nil
}

// sshClient is an ssh process with its log.
type sshClient struct {
	*proc.Process
	log string
}

// Words implements client.
func (c sshClient) Words() string { return words(c.log) }

// words reads ssh's own log of a session and removes it.
func words(path string) string {
	data, err := os.ReadFile(path)
	_ = os.Remove(path)
	if err != nil {
		return ""
	}
	const enough = 64 << 10
	return string(data[:min(len(data), enough)])
}

// ended is a client that found no master.
type ended struct{ said *sshcmd.Error }

// Wait implements client.
func (e ended) Wait() (proc.Exit, error) { return proc.Exit{Code: e.said.ExitCode}, e.said }

// Signal implements client.
func (e ended) Signal(syscall.Signal) error { return nil }

// Words implements client.
func (e ended) Words() string { return e.said.Log }
