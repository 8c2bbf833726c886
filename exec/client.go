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
	// Resized tells it that its terminal has another size.
	Resized()
	// Way is which of both it is, in the words of BIVY_MUX.
	Way() string
	// Words is what ssh said, or would have said, of the session, other than
	// to the command's streams. It is asked once, after Wait.
	Words() string
}

// stdio is what the client of a session gets: three pipes, or a terminal of
// ours of the type term.
type stdio struct {
	in, out, errs *os.File
	tty           *os.File // nil: there are pipes
	term          string
}

// open opens a session. A master that cannot be talked to directly is talked
// to by ssh.
func (a *attempt) open(ctx context.Context, e stdio) (client, error) {
	var said *sshcmd.Error
	if err := a.lease.Ready(ctx); errors.As(err, &said) {
		// One that is there and says nothing is replaced, one that is not is
		// made anew.
		a.wedged = a.lease.Alive()
		return ended{said}, nil
	} else if err != nil {
		return nil, err
	}
	may, must := a.lease.Dials()
	if may {
		c, err := a.dial(ctx, e)
		var protocol *mux.ProtocolError
		switch {
		case err == nil:
			return c, nil
		case errors.As(err, &said):
			return ended{said}, nil
		case !errors.As(err, &protocol) || must:
			return nil, err
		}
	}
	return a.startSSH(ctx, e)
}

func (a *attempt) dial(ctx context.Context, e stdio) (*mux.Channel, error) {
	s := a.session(e.tty != nil, "")
	if e.tty != nil {
		return a.lease.DialTTY(ctx, s, e.term, e.tty)
	}
	return a.lease.Dial(ctx, s, e.in, e.out, e.errs)
}

// startSSH opens a session with an ssh process.
func (a *attempt) startSSH(ctx context.Context, e stdio) (client, error) {
	log, err := a.lease.LogFile()
	if err != nil {
		return nil, err
	}
	spec := proc.Spec{
		Args: a.session(e.tty != nil, log).Args(), Env: a.lease.Masters().Env(),
		Stdin: e.in, Stdout: e.out, Stderr: e.errs, Isolation: proc.Session,
	}
	if e.tty != nil {
		spec.Env = append(spec.Env[:len(spec.Env):len(spec.Env)], "TERM="+e.term)
		spec.Stdin, spec.Stdout, spec.Stderr, spec.TTY = e.tty, e.tty, e.tty, e.tty
	}
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

// Way implements client.
func (c sshClient) Way() string { return "ssh" }

// Resized implements client: the kernel tells ssh, whose terminal it is.
func (c sshClient) Resized() {}

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

// way says how the session was opened, if one was asked for.
func (a *attempt) way() string {
	if a.client == nil {
		return "none"
	}
	if a.spare {
		return waySpare
	}
	return a.client.Way()
}

// waySpare is the way of a session that the holder had ready.
const waySpare = "spare"

// ended is a client that found no master.
type ended struct{ said *sshcmd.Error }

// Wait implements client.
func (e ended) Wait() (proc.Exit, error) { return proc.Exit{Code: e.said.ExitCode}, e.said }

// Signal implements client.
func (e ended) Signal(syscall.Signal) error { return nil }

// Way implements client.
func (e ended) Way() string { return "direct" }

// Resized implements client.
func (e ended) Resized() {}

// Words implements client.
func (e ended) Words() string { return e.said.Log }
