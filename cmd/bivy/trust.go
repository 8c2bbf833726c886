package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bivy/archive"
	"bivy/internal/termsafe"
	"bivy/workspace"
)

// TrustCmd is `bivy trust`.
type TrustCmd struct {
	Dir    string `arg:"" optional:"" name:"project-dir" default:"." placeholder:"PROJECT_DIR" help:"The project; default: that of the current directory."`
	Yes    bool   `name:"yes" short:"y" help:"Approve without a question."`
	Revoke bool   `name:"revoke" help:"Take the approval back."`
}

// Help is the long help.
func (*TrustCmd) Help() string {
	return `A project may say in .bivy/include which files that git ignores are to be taken
along to its workspaces. Whoever can change the project can write there, so
nothing of it is done until you have approved its content, and once more when
it has changed.`
}

// errUntrusted says that the user has not approved.
var errUntrusted = errors.New("what the project wants to take along was not approved")

type trustFields struct {
	Format  int     `json:"format"`
	Project string  `json:"project"`
	File    string  `json:"file"`
	SHA256  *string `json:"include_sha256"`
	Trusted bool    `json:"trusted"`
}

// Run shows the content, asks, and remembers the answer.
func (c *TrustCmd) Run(ctx context.Context, app *App) error {
	repo, err := archive.Open(ctx, c.Dir)
	if err != nil {
		return err
	}
	registry, err := app.Registry()
	if err != nil {
		return err
	}
	project, err := registry.Project(repo.Top(), repo.Name())
	if err != nil {
		return err
	}
	out := trustFields{Format: 1, Project: project, File: workspace.IncludeFile}
	if c.Revoke {
		if err := registry.Untrust(project); err != nil {
			return err
		}
		return app.UI.Result(out, "")
	}
	content, err := workspace.ReadInclude(repo.Top())
	if err != nil {
		return err
	}
	sum := workspace.IncludeSum(content)
	if out.SHA256 = &sum; !c.Yes {
		if err := c.ask(app, registry, project, content); err != nil {
			return err
		}
	}
	if err := registry.Trust(project, content); err != nil {
		return err
	}
	out.Trusted = true
	return app.UI.Result(out, "")
}

// ask shows the content and returns nil if it is approved, now or before.
func (c *TrustCmd) ask(app *App, registry *workspace.Registry, project string, content []byte) error {
	known, err := registry.Trusted(project, content)
	if err != nil {
		return err
	}
	if !app.UI.JSON {
		_, _ = io.WriteString(app.UI.Err, includeText(content))
	}
	if known {
		app.UI.Note("bivy: this is approved already")
		return nil
	}
	if app.Batch || app.UI.JSON || !isTerminal(app.UI.In) || !isTerminal(app.UI.Err) {
		return errUntrusted
	}
	answer, err := ask(app.UI.In, app.UI.Err, "may "+project+" take along the files that these lines name? [y/N]", false)
	if err == nil && !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
		err = errUntrusted
	}
	return err
}

// includeText is the content, safe to look at: nothing in it can hide the rest.
func includeText(content []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", workspace.IncludeFile)
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		if termsafe.Line(line, len(line)+1) != line {
			line = strconv.Quote(line)
		}
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}
