package file

import (
	"bytes"
	"context"
	"fmt"

	"bivy/exec"
	"bivy/exec/lane"
	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/sshcmd"
)

// Session is a Runner that opens a session for each call. Errors are those of
// exec.Run.
type Session struct {
	Masters *mux.Masters
	Target  mux.Target
}

// Host is the target's.
func (s *Session) Host() string { return string(s.Target.Host) }

// Run runs one call in a session of its own.
func (s *Session) Run(ctx context.Context, c Call) (Ending, error) {
	return run(c, func(cmd exec.Command) (exec.Receipt, error) { return exec.Run(ctx, s.Masters, s.Target, cmd) })
}

// Leased is a Runner that opens its sessions one after the other on a lease of
// the caller's.
type Leased struct{ Lease *mux.Lease }

// Host is the lease's.
func (l *Leased) Host() string { return l.Lease.Host() }

// Run runs one call on the lease.
func (l *Leased) Run(ctx context.Context, c Call) (Ending, error) {
	return run(c, func(cmd exec.Command) (exec.Receipt, error) { return exec.RunOn(ctx, l.Lease, cmd) })
}

// Lanes is a Runner for a process that lives long: small calls go through a pool
// of lanes, others get sessions of their own.
type Lanes struct {
	Pool *lane.Pool
	// Else runs what a lane does not.
	Else Runner
}

// InLanes makes a Runner with lanes on a target, to be closed, or to end with
// ctx.
func InLanes(ctx context.Context, masters *mux.Masters, target mux.Target) *Lanes {
	session := &Session{Masters: masters, Target: target}
	return &Lanes{Pool: lane.New(ctx, session.Host(), lane.Over(masters, target)), Else: session}
}

// Close ends the lanes, and what runs in them.
func (l *Lanes) Close() error {
	l.Pool.Close()
	return nil
}

// Host is that of Else.
func (l *Lanes) Host() string { return l.Else.Host() }

// Run runs one call.
func (l *Lanes) Run(ctx context.Context, c Call) (Ending, error) {
	if c.Long || c.Tools || len(c.Stdin) > lane.MaxStdin {
		return l.Else.Run(ctx, c)
	}
	result, err := l.Pool.Do(ctx, lane.Call{
		Define: c.Script, Text: c.Function + " " + sshcmd.QuoteAll(c.Args), Stdin: c.Stdin, Stdout: c.Stdout, Changes: c.Changes,
	})
	return Ending{How: fmt.Sprintf("exited with %d", result.Status), Words: result.Words}, err
}

// maxEarly is the largest content that is sent before the host has begun, in
// bytes: nobody may want it.
const maxEarly = 1 << 20

// maxWords is how much of what the host's tools say is kept, in bytes.
const maxWords = 8 << 10

func run(c Call, start func(exec.Command) (exec.Receipt, error)) (Ending, error) {
	words := &proc.Tail{Limit: maxWords}
	cmd := exec.Command{Script: Text(c), Inline: !c.Long, Stdout: c.Stdout, Stderr: words}
	if !c.Long {
		// Nothing on the host has to watch the link then.
		cmd.Stdin = bytes.NewReader(c.Stdin)
		cmd.Early = len(c.Stdin) > 0 && len(c.Stdin) <= maxEarly
	}
	if c.Tools {
		cmd.Login = exec.LoginPath
	}
	receipt, err := start(cmd)
	end := Ending{How: string(receipt.State), Words: words.String()}
	switch receipt.State {
	case exec.Exited:
		end.How = fmt.Sprintf("exited with %d", receipt.Code)
	case exec.Signaled:
		end.How = "was ended by " + exec.SignalName(receipt.Signal)
	default:
	}
	return end, err
}

// Text is the shell text of a call: its functions, and the one that is called
// with its arguments, which may hold any byte but NUL.
func Text(c Call) string {
	return "set -- " + sshcmd.QuoteAll(c.Args) + "\n" + c.Script + c.Function + ` "$@"` + "\n"
}
