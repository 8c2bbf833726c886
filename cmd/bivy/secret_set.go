package main

import (
	"context"
	"strings"

	"bivy/secrets"
)

// SecretSetCmd is `bivy secret set`.
type SecretSetCmd struct {
	ProjectFlag
	hostsFlag
	Name string   `arg:"" name:"name" placeholder:"NAME" help:"The variable's name."`
	Rest []string `arg:"" optional:"" hidden:""`
	From string   `name:"from" placeholder:"REF" help:"Where the value is when it is needed: env:NAME, cmd:COMMAND or file:PATH."`
}

// errOnCommandLine explains without repeating what was given.
const errOnCommandLine = "a value must not stand on the command line, where every user of this machine can see it and the shell remembers it; " +
	"give NAME alone, and the value on stdin or at the prompt"

// Run keeps the secret.
func (c *SecretSetCmd) Run(ctx context.Context, app *App) error {
	s, err := c.secret()
	if err != nil {
		return err
	}
	if s.From == nil {
		if s.Value, err = secretValue(ctx, app, s.Name); err != nil {
			return err
		}
	}
	var replaced []string
	project, err := c.change(ctx, app, func(v *secrets.Vault) (err error) {
		replaced, err = v.Put(c.Dangerous, s)
		return err
	})
	if err != nil {
		return err
	}
	warnOfShort(app, s)
	return app.UI.Result(struct {
		Format  int    `json:"format"`
		Project string `json:"project"`
		secretFields
		Replaced bool `json:"replaced"`
	}{1, project, fieldsOfSecret(s), len(replaced) > 0}, "")
}

// secret checks the command line, before anything is asked.
func (c *SecretSetCmd) secret() (secrets.Secret, error) {
	s := secrets.Secret{Name: c.Name}
	switch {
	case strings.HasPrefix(c.From, string(secrets.FromCmd)+":") && len(c.Rest) > 0:
		return s, usagef("put all of cmd:COMMAND into quotes, as in --from 'cmd:op read op://vault/item/field'")
	case len(c.Rest) > 0, strings.Contains(c.Name, "="):
		return s, usagef(errOnCommandLine)
	}
	err := secrets.CheckName(c.Name, c.Dangerous)
	if err == nil {
		s.Hosts, err = secrets.ParseHosts(c.Host)
	}
	if err == nil && c.From != "" {
		s.From, err = secrets.ParseReference(c.From)
	}
	return s, err
}

// secretValue reads a value from stdin, or asks for it.
func secretValue(ctx context.Context, app *App, name string) ([]byte, error) {
	switch in := app.UI.In; {
	case isPiped(in):
		data, err := readInput(ctx, app.UI, secrets.MaxValue+2) // with its line end
		return secrets.OneLineLess(data), err
	case isTerminal(in) && isTerminal(app.UI.Err) && !app.Batch:
		value, err := ask(in, app.UI.Err, "value of "+name, true)
		return []byte(value), err
	}
	return nil, usagef("there is nobody to ask for the value; give it on stdin, or say with --from where it is")
}

// warnOfShort says of values that there is nothing, or too little, to hide.
func warnOfShort(app *App, all ...secrets.Secret) {
	for _, s := range all {
		switch {
		case s.From != nil || len(s.Value) >= secrets.MinRedacted:
		case len(s.Value) == 0:
			app.UI.Note("bivy: the value of %s is empty", s.Name)
		default:
			app.UI.Note("bivy: the value of %s has less than %d bytes, and will be shown where it is printed", s.Name, secrets.MinRedacted)
		}
	}
}
