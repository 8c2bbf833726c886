//go:build !split

package main

import (
	"context"

	"bivy/exec"
	"bivy/exec/file"
	"bivy/exec/mux"
	"bivy/mcp"
	"bivy/secrets"
	"bivy/workspace"
)

// Run serves one client until its stream ends.
func (c *McpCmd) Run(ctx context.Context, app *App) error {
	if c.MaxOutput < mcp.MinMaxOutput {
		return usagef("--max-output is %d; results of less than %d bytes say nothing", c.MaxOutput, mcp.MinMaxOutput)
	}
	conf := mcp.Config{
		Version: version, ReadOnly: c.ReadOnly, AllowOutside: c.AllowOutside, MaxOutput: c.MaxOutput, Hurry: app.Hurry,
		Redactor: app.UI.secrets,
		Explain: func(err error) mcp.Trouble {
			f := explain(err)
			return mcp.Trouble{Class: f.Class, Message: f.Message, Hint: f.Hint}
		},
	}
	// Whoever could answer is busy with the agent, and stdin is the client's.
	app.Batch = true
	if err := c.choose(app, &conf); err != nil {
		return err
	}
	masters, err := app.Masters()
	if err != nil {
		return err
	}
	conf.Masters = masters
	conf.Files = func(t mux.Target) file.Runner { return file.InLanes(ctx, masters, t) }
	if isTerminal(app.UI.In) {
		app.UI.Note("bivy: this is for agents, which start it; see: bivy help mcp")
	}
	return mcp.Serve(ctx, conf, app.UI.In, app.UI.Out)
}

// choose fixes the one place, or offers all workspaces.
func (c *McpCmd) choose(app *App, conf *mcp.Config) error {
	resolver := &secrets.Resolver{Keep: secretsKept}
	find := func(p Place) (mcp.Place, error) {
		at, err := app.resolve(p)
		if err != nil {
			return mcp.Place{}, err
		}
		app.hideSecrets(at)
		place := mcp.Place{Name: p.WS, Target: at.target, Dir: at.dir, Env: at.env}
		if !c.NoSecrets {
			place.Secrets = func(ctx context.Context) ([]exec.EnvVar, error) { return app.secretsFor(ctx, at, resolver, nil) }
		}
		return place, nil
	}
	if c.WS != "" || c.Host != "" {
		place, err := find(c.Place)
		conf.Place = &place
		return err
	}
	if c.Dir != "" {
		return usagef("--dir goes with a workspace, or with --host")
	}
	registry, err := app.Registry()
	if err != nil {
		return err
	}
	conf.List = func() ([]workspace.Record, []error) { return registry.List() }
	conf.Find = func(name string) (mcp.Place, error) { return find(Place{WS: name}) }
	return nil
}
