package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"bivy/exec/mux"
	"bivy/internal/humane"
)

// HostCmd groups what concerns hosts.
type HostCmd struct {
	Connect HostConnectCmd `cmd:"" help:"Log in once, interactively if need be; later work rides on it."`
	Ls      HostLsCmd      `cmd:"" help:"List the shared connections."`
	Close   HostCloseCmd   `cmd:"" help:"Close a host's shared connection, with all that runs over it."`
}

// HostConnectCmd is `bivy host connect`.
type HostConnectCmd struct {
	Host string `arg:"" placeholder:"HOST" help:"Anything that ssh takes."`
}

type masterFields struct {
	Format    int    `json:"format,omitempty"`
	Host      string `json:"host"`
	PID       int    `json:"pid"`
	HolderPID int    `json:"holder_pid"`
	StartedAt string `json:"started_at,omitempty"`
	Busy      int    `json:"busy"`
	Listening bool   `json:"listening"`
	Human     bool   `json:"human"`
}

func masterJSON(s mux.Status) masterFields {
	f := masterFields{Host: s.Host, PID: s.SSH, HolderPID: s.Holder, Busy: s.Busy, Listening: s.Listening, Human: s.Human}
	if !s.Started.IsZero() {
		f.StartedAt = s.Started.UTC().Format(time.RFC3339)
	}
	return f
}

// Run logs in.
func (c *HostConnectCmd) Run(ctx context.Context, app *App) error {
	target, masters, err := app.onHost(c.Host)
	if err != nil {
		return err
	}
	status, err := masters.Connect(ctx, target)
	if err != nil {
		return err
	}
	fields := masterJSON(status)
	fields.Format = 1
	return app.UI.Result(fields, fmt.Sprintf("connected to %s\n", c.Host))
}

// HostLsCmd is `bivy host ls`.
type HostLsCmd struct{}

type hostLsFields struct {
	Format  int            `json:"format"`
	Masters []masterFields `json:"masters"`
}

// Run lists the masters.
func (*HostLsCmd) Run(_ context.Context, app *App) error {
	masters, err := app.Masters()
	if err != nil {
		return err
	}
	list, err := masters.List()
	if err != nil {
		return err
	}
	out := hostLsFields{Format: 1, Masters: []masterFields{}}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(list) > 0 {
		_, _ = fmt.Fprintln(w, "HOST\tPID\tAGE\tBUSY\tSTATE")
	}
	for _, s := range list {
		out.Masters = append(out.Masters, masterJSON(s))
		state := "up"
		if !s.Listening {
			state = "not answering"
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\n", s.Host, s.SSH, humane.Age(time.Since(s.Started)), s.Busy, state)
	}
	_ = w.Flush()
	return app.UI.Result(out, b.String())
}

// HostCloseCmd is `bivy host close`.
type HostCloseCmd struct {
	Host string `arg:"" placeholder:"HOST" help:"The host, as it was named."`
}

// Run closes the host's masters: those that `bivy host ls` shows under that
// name, which may be several where ssh was given different options, or else
// the one that the name leads to. None is no error.
func (c *HostCloseCmd) Run(ctx context.Context, app *App) error {
	target, masters, err := app.onHost(c.Host)
	if err != nil {
		return err
	}
	list, err := masters.List()
	if err != nil {
		return err
	}
	closed := false
	for _, s := range list {
		if s.Host != c.Host {
			continue
		}
		ended, err := masters.CloseID(ctx, s.ID, s.Host)
		if err != nil {
			return err
		}
		closed = closed || ended
	}
	if !closed {
		if closed, err = masters.Close(ctx, target); err != nil {
			return err
		}
	}
	text := "closed " + c.Host + "\n"
	if !closed {
		text = ""
		app.UI.Note("bivy: no connection to %s was open", c.Host)
	}
	return app.UI.Result(map[string]any{"format": 1, "host": c.Host, "closed": closed}, text)
}
