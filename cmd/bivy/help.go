package main

import (
	"strings"

	"bivy/docs"
)

// HelpCmd is `bivy help TOPIC`.
type HelpCmd struct {
	Topic string `arg:"" optional:"" placeholder:"TOPIC" help:"exit-codes, json, config, secrets, security, mcp or architecture."`
}

// Run prints the page.
func (c *HelpCmd) Run(app *App) error {
	if c.Topic == "" {
		return app.UI.Result(map[string]any{"format": 1, "topics": docs.Topics()},
			"topics: "+strings.Join(docs.Topics(), ", ")+"\nfor commands: bivy --help, bivy COMMAND --help\n")
	}
	page, ok := docs.Page(c.Topic)
	if !ok {
		return usagef("no help on %q; topics are %s", c.Topic, strings.Join(docs.Topics(), ", "))
	}
	return app.UI.Result(map[string]any{"format": 1, "topic": c.Topic, "text": page}, page)
}
