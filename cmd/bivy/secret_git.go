package main

import (
	"context"

	"bivy/secrets"
)

// SecretGitCmd is `bivy secret git-identity`.
type SecretGitCmd struct {
	ProjectFlag
	Name      string `arg:"" name:"name" placeholder:"NAME" help:"Who commits are by."`
	Email     string `arg:"" name:"email" placeholder:"EMAIL" help:"Their address."`
	Host      string `name:"host" placeholder:"PATTERN" help:"Only for hosts that match, as you name them."`
	TokenFrom string `name:"token-from" placeholder:"REF" help:"Where a token for https is when it is needed: env:NAME, cmd:COMMAND or file:PATH."`
	TokenHost string `name:"token-host" default:"github.com" placeholder:"HOST" help:"The only server that gets the token."`
}

// Run keeps the identity.
func (c *SecretGitCmd) Run(ctx context.Context, app *App) error {
	g := &secrets.GitIdentity{Name: c.Name, Email: c.Email}
	var err error
	if g.Hosts, err = secrets.ParseHosts(c.Host); err != nil {
		return err
	}
	if c.TokenFrom != "" {
		if g.Token, err = secrets.ParseReference(c.TokenFrom); err != nil {
			return err
		}
		g.TokenHost = c.TokenHost
	}
	if err := g.Check(); err != nil {
		return &usageError{err: err}
	}
	project, err := c.change(ctx, app, func(v *secrets.Vault) error {
		v.Git = g
		return nil
	})
	if err != nil {
		return err
	}
	return app.UI.Result(map[string]any{"format": 1, "project": project, "git_identity": fieldsOfGit(g)}, "")
}
