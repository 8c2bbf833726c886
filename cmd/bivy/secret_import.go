package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"bivy/internal/termsafe"
	"bivy/secrets"
)

// SecretImportCmd is `bivy secret import`.
type SecretImportCmd struct {
	ProjectFlag
	hostsFlag
	File string `arg:"" name:"file" placeholder:"FILE.env" help:"The file; - is stdin."`
}

// Help is the long help.
func (*SecretImportCmd) Help() string {
	return `Takes all variables of the file, or none of them. Nothing is expanded: a $ stands
for itself. The file stays as it is; think of removing it.`
}

// Run keeps its variables.
func (c *SecretImportCmd) Run(ctx context.Context, app *App) error {
	hosts, err := secrets.ParseHosts(c.Host)
	if err != nil {
		return err
	}
	all, err := c.read(ctx, app)
	if err != nil {
		return err
	}
	for i := range all.Secrets {
		all.Secrets[i].Hosts = hosts
	}
	replaced := []string{}
	project, err := c.change(ctx, app, func(v *secrets.Vault) error {
		names, err := v.Put(c.Dangerous, all.Secrets...)
		replaced = append(replaced, names...)
		return err
	})
	if err != nil {
		return err
	}
	if len(all.Literal) > 0 {
		app.UI.Note("bivy: nothing was expanded in %s", strings.Join(all.Literal, ", "))
	}
	if len(replaced) > 0 {
		app.UI.Note("bivy: replaced %s", strings.Join(replaced, ", "))
	}
	warnOfShort(app, all.Secrets...)
	names := []string{}
	for _, s := range all.Secrets {
		names = append(names, s.Name)
	}
	app.UI.Note("bivy: %s keeps %d secrets of that file", project, len(names))
	return app.UI.Result(map[string]any{
		"format": 1, "project": project, "names": names, "replaced": replaced, "literal": append([]string{}, all.Literal...),
	}, "")
}

func (c *SecretImportCmd) read(ctx context.Context, app *App) (secrets.Import, error) {
	if c.File == "-" {
		if !isPiped(app.UI.In) {
			return secrets.Import{}, usagef("there is no file on stdin")
		}
		data, err := readInput(ctx, app.UI, secrets.MaxDotenv)
		if err != nil {
			return secrets.Import{}, err
		}
		return secrets.ParseDotenv("stdin", data, c.Dangerous)
	}
	name := termsafe.Line(c.File, 300)
	data, err := readWhole(ctx, func() (io.ReadCloser, error) { return os.Open(c.File) }, secrets.MaxDotenv)
	switch {
	case errors.Is(err, errTooMuch):
		return secrets.Import{}, fmt.Errorf("%s has more than %d bytes, which is the most that is taken", name, secrets.MaxDotenv)
	case err != nil:
		return secrets.Import{}, err
	}
	return secrets.ParseDotenv(name, data, c.Dangerous)
}
