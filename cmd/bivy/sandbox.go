package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sandbox"
)

// SandboxCmd is an SSH host on stdin and stdout, for ssh's ProxyCommand.
type SandboxCmd struct {
	Stdio       bool          `name:"stdio" required:"" help:"Speak SSH on stdin and stdout."`
	Home        string        `name:"home" required:"" placeholder:"DIR" help:"HOME of its sessions."`
	HostKey     string        `name:"host-key" placeholder:"FILE" help:"Its host key; made if it is not there."`
	LoginShell  string        `name:"login-shell" placeholder:"FILE" help:"Login shell of its sessions."`
	MaxSessions int           `name:"max-sessions" help:"Sessions at one time; 0 for no limit."`
	Delay       time.Duration `name:"delay" help:"Delay of everything, in each direction."`
}

// Run serves one connection.
func (c *SandboxCmd) Run(ctx context.Context, _ *App) error {
	// ssh says goodbye to its proxy with a hang-up, under nohup too, and what
	// runs in a session starts with the defaults.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	proc.UnignoreSignals()
	err := sandbox.Serve(ctx, sandbox.Config{
		Home: c.Home, HostKeyFile: c.HostKey, Shell: c.LoginShell, MaxSessions: c.MaxSessions, Delay: c.Delay,
	}, sandbox.Stdio())
	if ctx.Err() != nil {
		return nil // ssh ends its proxy with a hang-up: that is the usual end
	}
	return err
}
