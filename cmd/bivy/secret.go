package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"bivy/archive"
	"bivy/internal/termsafe"
	"bivy/secrets"
)

// SecretCmd groups what is done with the secrets of a project.
type SecretCmd struct {
	Set         SecretSetCmd    `cmd:"" help:"Keep a secret: its value from stdin or a prompt, or where it comes from."`
	Ls          SecretLsCmd     `cmd:"" help:"List the secrets, without their values."`
	Rm          SecretRmCmd     `cmd:"" help:"Remove a secret."`
	Import      SecretImportCmd `cmd:"" help:"Keep the variables of a .env file."`
	GitIdentity SecretGitCmd    `cmd:"" name:"git-identity" help:"Who git is in the workspaces, and how it logs in."`
}

// Help is the long help.
func (*SecretCmd) Help() string {
	return `Secrets are for the commands in all workspaces of the project of the current
directory, as variables of their environment:

  bivy secret set API_KEY <key.txt
  bivy secret set API_KEY --from 'cmd:op read op://vault/item/key' --host 'gpu*'
  bivy secret git-identity "Ann's agent" agent@example.com --token-from env:GITHUB_TOKEN

More: bivy help secrets.`
}

// ProjectFlag is the project that a command is about.
type ProjectFlag struct {
	Project string `name:"project" default:"." placeholder:"DIR" help:"The project; default: that of the current directory."`
}

// name finds the project's name. One that has none yet gets one if it is to be
// remembered.
func (f ProjectFlag) name(ctx context.Context, app *App, remember bool) (string, error) {
	repo, err := archive.Open(ctx, f.Project)
	if err != nil {
		return "", err
	}
	registry, err := app.Registry()
	if err != nil {
		return "", err
	}
	if remember {
		return registry.Project(repo.Top(), repo.Name())
	}
	name, _, err := registry.ProjectOf(repo.Top())
	return name, err
}

// change edits what the project keeps.
func (f ProjectFlag) change(ctx context.Context, app *App, change func(*secrets.Vault) error) (project string, err error) {
	store, err := app.secretStore()
	if err != nil {
		return "", err
	}
	if project, err = f.name(ctx, app, true); err != nil {
		return "", err
	}
	return project, store.Change(ctx, project, change)
}

// hostsFlag is whose commands get a secret.
type hostsFlag struct {
	Host      string `name:"host" placeholder:"PATTERN" help:"Only for hosts that match, as you name them: gpu*, several with commas between them."`
	Dangerous bool   `name:"dangerous" help:"Take a name that changes how the host runs things, such as PATH."`
}

// secretFields is a secret in JSON. It has no value.
type secretFields struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Hosts    []string `json:"hosts"`
	Redacted *bool    `json:"redacted"`
}

func fieldsOfSecret(s secrets.Secret) secretFields {
	f := secretFields{Name: s.Name, Kind: s.Kind(), Hosts: append([]string{}, s.Hosts...)}
	if s.From == nil {
		redacted := len(s.Value) >= secrets.MinRedacted
		f.Redacted = &redacted
	}
	return f
}

// gitFields is the git identity in JSON.
type gitFields struct {
	Name      string   `json:"name"`
	Email     string   `json:"email"`
	TokenKind *string  `json:"token_kind"`
	TokenHost *string  `json:"token_host"`
	Hosts     []string `json:"hosts"`
}

func fieldsOfGit(g *secrets.GitIdentity) *gitFields {
	if g == nil {
		return nil
	}
	f := &gitFields{Name: g.Name, Email: g.Email, Hosts: append([]string{}, g.Hosts...)}
	if g.Token != nil {
		kind := secrets.Secret{From: g.Token}.Kind()
		f.TokenKind, f.TokenHost = &kind, &g.TokenHost
	}
	return f
}

// SecretLsCmd is `bivy secret ls`.
type SecretLsCmd struct{ ProjectFlag }

// Run lists them.
func (c *SecretLsCmd) Run(ctx context.Context, app *App) error {
	project, err := c.name(ctx, app, false)
	if err != nil {
		return err
	}
	vault := &secrets.Vault{}
	if project != "" {
		store, err := app.secretStore()
		if err != nil {
			return err
		}
		if vault, err = store.Read(project); err != nil {
			return err
		}
	}
	list := []secretFields{}
	for _, s := range vault.Secrets {
		list = append(list, fieldsOfSecret(s))
	}
	return app.UI.Result(map[string]any{
		"format": 1, "project": project, "secrets": list, "git_identity": fieldsOfGit(vault.Git),
	}, secretTable(vault))
}

func secretTable(v *secrets.Vault) string {
	if len(v.Secrets) == 0 && v.Git == nil {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, kind string, hosts secrets.Hosts) {
		if len(hosts) == 0 {
			hosts = secrets.Hosts{"*"}
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", name, termsafe.Line(kind, 200), termsafe.Line(hosts.String(), 200))
	}
	row("NAME", "KIND", secrets.Hosts{"HOSTS"})
	for _, s := range v.Secrets {
		row(s.Name, s.Kind(), s.Hosts)
	}
	if g := v.Git; g != nil {
		kind := g.Name + " <" + g.Email + ">"
		if g.Token != nil {
			kind += ", token " + secrets.Secret{From: g.Token}.Kind() + " for " + g.TokenHost
		}
		row(secrets.GitName, kind, g.Hosts)
	}
	_ = w.Flush()
	return b.String()
}

// SecretRmCmd is `bivy secret rm`.
type SecretRmCmd struct {
	ProjectFlag
	Name string `arg:"" name:"name" placeholder:"NAME" help:"The secret, or git-identity."`
}

// Run removes it.
func (c *SecretRmCmd) Run(ctx context.Context, app *App) error {
	project, err := c.change(ctx, app, func(v *secrets.Vault) error { return v.Remove(c.Name) })
	if err != nil {
		return err
	}
	return app.UI.Result(map[string]any{"format": 1, "project": project, "name": c.Name, "removed": true}, "")
}

// isPiped reports whether a file is the end of a pipe, or an ordinary file.
func isPiped(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && (info.Mode().IsRegular() || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0)
}
