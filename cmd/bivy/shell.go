package main

import (
	"context"
	"os"
	"slices"

	"bivy/exec"
)

// ShellCmd is `bivy shell`.
type ShellCmd struct {
	Place
	SecretsFlag
	LoginEnv string `name:"login-env" enum:"off,path,full" default:"off" hidden:""`
}

// Run opens the shell and passes its exit code on.
func (c *ShellCmd) Run(ctx context.Context, app *App) error {
	if app.UI.JSON {
		return usagef("a shell's output is no JSON; use bivy exec --json")
	}
	at, err := app.resolve(c.Place)
	if err != nil {
		return err
	}
	ours, err := c.secretsFor(ctx, app, at, nil)
	if err != nil {
		return err
	}
	masters, err := app.Masters()
	if err != nil {
		return err
	}
	// A person sits here: editors and pagers are wanted.
	env := slices.Concat(at.env[len(quietEnv()):], ours)
	receipt, err := exec.Run(ctx, masters, at.target, exec.Command{
		Script: exec.LoginShell, Dir: at.dir, Env: env, Login: exec.Login(c.LoginEnv),
		Stdin: app.UI.In, Stdout: app.UI.Out, Stderr: app.UI.Err,
		Hurry: app.Hurry,
		TTY:   app.UI.lend(&exec.TTY{Local: terminalOrNil(app.UI.In), Term: os.Getenv("TERM"), Through: app.UI.through()}),
	})
	return exitOf(receipt, outputFailed(err))
}

func terminalOrNil(f *os.File) *os.File {
	if isTerminal(f) {
		return f
	}
	return nil
}
