package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bivy/exec"
	"bivy/secrets"
)

// secretsKept is how long a tool server uses again what the programs of
// references gave.
const secretsKept = 5 * time.Minute

// secretStore opens the store of secrets. Nothing is read yet.
func (a *App) secretStore() (*secrets.Store, error) {
	if a.secrets != nil {
		return a.secrets, nil
	}
	p, err := a.findPaths()
	if err != nil {
		return nil, err
	}
	c := secrets.Config{Dir: filepath.Join(p.State, "secrets"), Identity: a.Identity, Tell: func(message string) { a.UI.Note("bivy: %s", message) }}
	if t := a.UI.terminal(a.Batch); t != nil {
		c.Ask = func(question string, hidden bool) (string, error) { return ask(t.In, t.Out, question, hidden) }
	}
	a.secrets = secrets.Open(c)
	return a.secrets, nil
}

// SecretsFlag is for commands that run something in a workspace.
type SecretsFlag struct {
	NoSecrets bool `name:"no-secrets" help:"Give the command none of the project's secrets."`
}

// secretsFor is App.secretsFor unless the user wants none. Those that can be
// known all the same are not shown.
func (f SecretsFlag) secretsFor(ctx context.Context, app *App, at spot, given []exec.EnvVar) ([]exec.EnvVar, error) {
	if f.NoSecrets {
		app.hideSecrets(at)
		return nil, nil
	}
	return app.secretsFor(ctx, at, &secrets.Resolver{}, given)
}

// secretsFor returns what commands at a spot get of the project's secrets:
// nothing on a host without a workspace. What the caller sets itself, given, is
// left out. From then on the values are not shown. Whatever runs a command in a
// workspace calls this, and puts the variables before its own.
func (a *App) secretsFor(ctx context.Context, at spot, r *secrets.Resolver, given []exec.EnvVar) ([]exec.EnvVar, error) {
	vault, err := a.vaultOf(at)
	if err != nil || vault == nil {
		return nil, err
	}
	vars, values, err := r.Resolve(ctx, vault, at.host, func(name string) bool {
		return slices.ContainsFunc(given, func(v exec.EnvVar) bool { return v.Name == name })
	})
	a.UI.secrets.Learn(values...)
	return vars, err
}

// hideSecrets makes values that can be had at no cost not to be shown. Who only
// reads files there is not kept from that by a store that cannot be opened, and
// not asked for a passphrase.
func (a *App) hideSecrets(at spot) {
	store, err := a.secretStore()
	if err != nil || at.project == "" {
		return
	}
	if vault := store.Peek(at.project); vault != nil {
		a.UI.secrets.Learn(vault.Known()...)
	}
}

// vaultOf reads the secrets of the spot's project; nil where it has none.
func (a *App) vaultOf(at spot) (*secrets.Vault, error) {
	if at.project == "" {
		return nil, nil
	}
	store, err := a.secretStore()
	if err != nil {
		return nil, err
	}
	return store.Read(at.project)
}

// cleanEnv is our environment without the variables that secrets of any project
// come from, as far as their stores open unasked: ssh, its proxies and the
// holder, which lives on, have no use for them. What every program needs stays,
// such as PATH.
func (a *App) cleanEnv() []string {
	env := os.Environ()
	store, err := a.secretStore()
	if err != nil {
		return env
	}
	for _, project := range store.Projects() {
		vault := store.Peek(project)
		if vault == nil {
			continue
		}
		for _, name := range vault.Variables() {
			if !secrets.Dangerous(name) {
				env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
			}
		}
	}
	return env
}
