package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"bivy/internal/humane"
	"bivy/internal/termsafe"
	"bivy/workspace"
)

// LsCmd is `bivy ls`.
type LsCmd struct {
	Host  string `name:"host" placeholder:"HOST" help:"Only workspaces on this host, as it was named."`
	Check bool   `name:"check" help:"Ask each host whether the workspace is there."`
}

// checksAtOnce bounds the hosts asked at one time.
const checksAtOnce = 8

type lsFields struct {
	Format     int        `json:"format"`
	Workspaces []lsRecord `json:"workspaces"`
}

type lsRecord struct {
	recordFields
	Check string `json:"check,omitempty"`
}

// Run lists the workspaces. Files that cannot be read are reported and do not
// hide the others.
func (c *LsCmd) Run(ctx context.Context, app *App) error {
	registry, err := app.Registry()
	if err != nil {
		return err
	}
	all, broken := registry.List()
	var records []workspace.Record
	for _, r := range all {
		if c.Host == "" || r.Host == c.Host {
			records = append(records, r)
		}
	}
	checks := make([]string, len(records))
	if c.Check {
		if checks, err = c.check(ctx, app, records); err != nil {
			return err
		}
	}
	out := lsFields{Format: 1, Workspaces: []lsRecord{}}
	for i, r := range records {
		out.Workspaces = append(out.Workspaces, lsRecord{fieldsOf(r), checks[i]})
	}
	if err := app.UI.Result(out, lsTable(records, checks, c.Check)); err != nil {
		return err
	}
	return errors.Join(broken...)
}

func lsTable(records []workspace.Record, checks []string, checked bool) string {
	if len(records) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	head := "WORKSPACE\tHOST\tDIRECTORY\tAGE"
	if checked {
		head += "\tCHECK"
	}
	_, _ = fmt.Fprintln(w, head)
	for i, r := range records {
		line := fmt.Sprintf("%s\t%s\t%s\t%s", r.FullName(), r.Host, termsafe.Line(r.Dir, 200), humane.Age(time.Since(r.Created)))
		if r.State != workspace.Ready {
			line += " (unfinished)"
		}
		if checked {
			line += "\t" + checks[i]
		}
		_, _ = fmt.Fprintln(w, line)
	}
	_ = w.Flush()
	return b.String()
}

// check asks the hosts, some at a time.
func (c *LsCmd) check(ctx context.Context, app *App, records []workspace.Record) ([]string, error) {
	ws, err := app.Workspaces()
	if err != nil {
		return nil, err
	}
	checks := make([]string, len(records))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checksAtOnce)
	for i, r := range records {
		group.Go(func() error {
			status, err := ws.Status(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			checks[i] = checkWord(status, err)
			return context.Cause(ctx)
		})
	}
	return checks, group.Wait()
}

func checkWord(s workspace.Status, err error) string {
	switch {
	case err != nil:
		f := explain(err)
		if f.Class == "not_found" {
			return "gone"
		}
		return f.Class
	case s.NotARepository:
		return "no repository"
	case s.Clean():
		return "clean"
	default:
		return "has work"
	}
}
