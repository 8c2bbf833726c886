package main

import (
	"context"

	"bivy/exec/file"
	"bivy/exec/mux"
	"bivy/mcp"
	"bivy/workspace"
)

// McpCmd is `bivy mcp`.
type McpCmd struct {
	Place
	ReadOnly     bool `name:"read-only" help:"Offer only tools that change nothing."`
	AllowOutside bool `name:"allow-outside" help:"Take paths that leave the workspace; without, they are refused."`
	MaxOutput    int  `name:"max-output" default:"32768" placeholder:"BYTES" help:"How much text one result holds."`
}

// Help is the long help.
func (*McpCmd) Help() string {
	return `Speaks the Model Context Protocol on stdin and stdout, for agents that start it:

  claude mcp add fix-1 -- bivy mcp fix-1
  codex mcp add gpu1 -- bivy mcp --host gpu1 --dir src

Without WS and --host, each tool takes the name of a workspace. It never prompts:
log in first, with bivy host connect HOST. Ready blocks: bivy help mcp.`
}

// Run serves one client until its stream ends.
func (c *McpCmd) Run(ctx context.Context, app *App) error {
	if c.MaxOutput < mcp.MinMaxOutput {
		return usagef("--max-output is %d; results of less than %d bytes say nothing", c.MaxOutput, mcp.MinMaxOutput)
	}
	conf := mcp.Config{
		Version: version, ReadOnly: c.ReadOnly, AllowOutside: c.AllowOutside, MaxOutput: c.MaxOutput, Hurry: app.Hurry,
		Explain: func(err error) mcp.Trouble {
			f := explain(err)
			return mcp.Trouble{Class: f.Class, Message: f.Message, Hint: f.Hint}
		},
	}
	if err := c.choose(app, &conf); err != nil {
		return err
	}
	// Whoever could answer is busy with the agent, and stdin is the client's.
	app.Batch = true
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
	if c.WS != "" || c.Host != "" {
		at, err := app.resolve(c.Place)
		conf.Place = &mcp.Place{Name: c.WS, Target: at.target, Dir: at.dir, Env: at.env}
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
	conf.Find = func(name string) (mcp.Place, error) {
		at, err := app.resolve(Place{WS: name})
		return mcp.Place{Name: name, Target: at.target, Dir: at.dir, Env: at.env}, err
	}
	return nil
}
