package main

// McpCmd is `bivy mcp`.
type McpCmd struct {
	Place
	ReadOnly     bool `name:"read-only" help:"Offer only tools that change nothing."`
	AllowOutside bool `name:"allow-outside" help:"Take paths that leave the workspace; without, they are refused."`
	SecretsFlag
	MaxOutput int `name:"max-output" default:"32768" placeholder:"BYTES" help:"How much text one result holds."`
}

// Help is the long help.
func (*McpCmd) Help() string {
	return `Speaks the Model Context Protocol on stdin and stdout, for agents that start it:

  claude mcp add fix-1 -- bivy mcp fix-1
  codex mcp add gpu1 -- bivy mcp --host gpu1 --dir src

Without WS and --host, each tool takes the name of a workspace. It never prompts:
log in first, with bivy host connect HOST. Ready blocks: bivy help mcp.`
}
