package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"bivy/exec"
	"bivy/exec/proc"
	"bivy/internal/atomicfile"
)

// ExecCmd is `bivy exec`.
type ExecCmd struct {
	Place
	Rest     []string      `arg:"" optional:"" hidden:""`
	Stdin    bool          `name:"stdin" short:"i" help:"Forward stdin to the command."`
	TTY      bool          `name:"tty" short:"t" help:"Give the command a terminal there."`
	Script   string        `name:"script" short:"c" placeholder:"SCRIPT" help:"Run this script by the host's /bin/sh, instead of -- CMD."`
	Env      []string      `name:"env" sep:"none" placeholder:"K=V" help:"Set a variable for the command; K alone takes its value from here. Repeatable."`
	Timeout  time.Duration `name:"timeout" placeholder:"DURATION" help:"End the command so long after its start."`
	LoginEnv string        `name:"login-env" enum:"off,path,full" default:"path" help:"What the command gets of your login environment there: ${enum}."`
	Result   string        `name:"result" placeholder:"FILE" help:"Write the receipt to this file, as JSON."`
	Gone     string        `name:"on-disconnect" enum:"kill,keep" default:"kill" help:"What becomes of the command when the link is lost, or bivy killed: ${enum}."`
	Raw      bool          `name:"raw" help:"Do not make output safe for this terminal."`
	SecretsFlag
}

func (*ExecCmd) takesCommand() {}

// Help is the long help.
func (*ExecCmd) Help() string {
	return `bivy's flags come before "--"; the command after it runs without a shell, each
argument as it is:

  bivy exec fix-1 -- go test ./...
  bivy exec fix-1 -c 'make && ./run | tail -3'
  bivy exec --host gpu1 -- nvidia-smi

The exit code is the command's own; 80 to 97 are bivy's (bivy help exit-codes).`
}

// Run runs the command and passes its exit code on. The receipt is written
// whatever happens; until the end is known, it says that nothing is.
func (c *ExecCmd) Run(ctx context.Context, app *App) error {
	if c.Result != "" {
		if err := writeResult(c.Result, exec.Receipt{State: exec.Unknown}, nil); err != nil {
			return err
		}
	}
	receipt, err := c.run(ctx, app)
	err = exitOf(receipt, outputFailed(err))
	if c.Result != "" {
		if resultErr := writeResult(c.Result, receipt, err); resultErr != nil {
			app.UI.Note("bivy: %v", resultErr)
		}
	}
	if app.UI.JSON && !errors.Is(err, errOutputClosed) {
		if jsonErr := app.UI.object(receiptJSON(receipt, err)); jsonErr != nil && err == nil {
			err = jsonErr
		}
	}
	return err
}

func (c *ExecCmd) run(ctx context.Context, app *App) (exec.Receipt, error) {
	none := exec.Receipt{State: exec.NeverStarted}
	cmd, err := c.command(app)
	if err != nil {
		return none, err
	}
	at, err := app.resolve(c.Place)
	if err != nil {
		return none, err
	}
	given := envVars(c.Env)
	ours, err := c.secretsFor(ctx, app, at, given)
	if err != nil {
		return none, err
	}
	cmd.Dir, cmd.Env = at.dir, slices.Concat(at.env, ours, given)
	masters, err := app.Masters()
	if err != nil {
		return none, err
	}
	if c.Stdin {
		cmd.Stdin = app.UI.In
	} else if isTerminal(app.UI.Err) && !isTerminal(app.UI.In) && hasInput(app.UI.In) {
		app.UI.Note("bivy: stdin is not read without -i")
	}
	if c.TTY {
		cmd.TTY = app.UI.lend(localTTY(app.UI, c.Stdin))
		cmd.Stdout, cmd.Stderr = app.UI.Out, app.UI.Err
	} else {
		out := newOutput(app.UI, c.Raw)
		cmd.Stdout, cmd.Stderr = out.stdout, out.stderr
		defer out.end()
	}
	receipt, err := exec.Run(ctx, masters, at.target, cmd)
	for i := range receipt.Survivors {
		receipt.Survivors[i].Command = app.UI.secrets.Text(receipt.Survivors[i].Command)
	}
	return receipt, err
}

// command checks what is to be run, before anything is.
func (c *ExecCmd) command(app *App) (exec.Command, error) {
	cmd := exec.Command{
		Script: c.Script, Argv: app.Command, Timeout: c.Timeout, Login: exec.Login(c.LoginEnv),
		Keep: c.Gone == "keep", Hurry: app.Hurry,
	}
	switch {
	case len(c.Rest) > 0:
		return cmd, usagef("put \"--\" before the command: bivy exec … -- %s", strings.Join(c.Rest, " "))
	case c.Script != "" && app.Command != nil:
		return cmd, usagef("give -c SCRIPT or -- CMD, not both")
	case c.Script == "" && len(app.Command) == 0:
		return cmd, usagef("give the command behind \"--\", as in: bivy exec WS -- go test ./...")
	case c.TTY && c.Gone == "keep":
		return cmd, usagef("-t and --on-disconnect keep do not go together: a terminal ends with its link")
	case c.TTY && app.UI.JSON:
		return cmd, usagef("-t and --json do not go together: a terminal's output is no JSON")
	}
	return cmd, nil
}

// envVars reads --env: K=V, or K to take the value from here.
func envVars(list []string) []exec.EnvVar {
	vars := make([]exec.EnvVar, 0, len(list))
	for _, item := range list {
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			// One that is not set here is not set there, as in docker.
			if value, ok = os.LookupEnv(name); !ok {
				continue
			}
		}
		vars = append(vars, exec.EnvVar{Name: name, Value: value})
	}
	return vars
}

// hasInput reports whether a file holds something to read that a person may
// have meant for the command: a pipe or a file, not /dev/null.
func hasInput(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && (info.Mode()&os.ModeNamedPipe != 0 || info.Mode().IsRegular())
}

// localTTY is the terminal for -t: the user's where the command reads from it,
// else one of the same size.
func localTTY(ui *UI, reads bool) *exec.TTY {
	t := &exec.TTY{Term: os.Getenv("TERM"), Through: ui.through()}
	if reads && isTerminal(ui.In) {
		t.Local = ui.In
		return t
	}
	for _, f := range []*os.File{ui.Out, ui.In, ui.Err} {
		if size, err := proc.SizeOf(f); err == nil {
			t.Size = size
			break
		}
	}
	return t
}

// exitOf maps a receipt to the exit code: the command's own, 128+N for a
// signal, else bivy's.
func exitOf(r exec.Receipt, err error) error {
	switch {
	case err != nil:
		return err
	case r.State == exec.Exited && r.Code == 0:
		return nil
	case r.State == exec.Exited:
		return &exitError{code: r.Code}
	case r.State == exec.Signaled:
		return &exitError{code: 128 + r.Signal}
	}
	return fmt.Errorf("the command's state is %s", r.State)
}

// receiptFields is a receipt as the contract has it (bivy help json).
type receiptFields struct {
	Format         int          `json:"format"`
	State          exec.State   `json:"state"`
	Code           *int         `json:"code"`
	Signal         *string      `json:"signal"`
	SignalPossible *int         `json:"signal_possible"`
	Class          *string      `json:"class"`
	StartedAt      *time.Time   `json:"started_at"`
	DurationMS     int64        `json:"duration_ms"`
	StdoutBytes    int64        `json:"stdout_bytes"`
	StderrBytes    int64        `json:"stderr_bytes"`
	Survivors      []survivor   `json:"survivors"`
	Complete       bool         `json:"survivors_complete"`
	Lingering      bool         `json:"lingering"`
	Timing         timingFields `json:"timing"`
}

type survivor struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

type timingFields struct {
	ConnectMS int64 `json:"connect_ms"`
	QueueMS   int64 `json:"queue_ms"`
	StartMS   int64 `json:"start_ms"`
}

func receiptJSON(r exec.Receipt, err error) receiptFields {
	f := receiptFields{
		Format: 1, State: r.State, DurationMS: r.Duration.Milliseconds(),
		StdoutBytes: r.StdoutBytes, StderrBytes: r.StderrBytes,
		Survivors: make([]survivor, 0, len(r.Survivors)), Complete: r.SurvivorsComplete || r.State == exec.NeverStarted,
		Lingering: r.Lingering,
		Timing:    timingFields{r.Timing.Connect.Milliseconds(), r.Timing.Queue.Milliseconds(), r.Timing.Start.Milliseconds()},
	}
	for _, s := range r.Survivors {
		f.Survivors = append(f.Survivors, survivor(s))
	}
	if r.State == exec.Exited {
		f.Code = &r.Code
	}
	if r.Signal != 0 {
		name := exec.SignalName(r.Signal)
		f.Signal = &name
	}
	if r.SignalPossible != 0 {
		f.SignalPossible = &r.SignalPossible
	}
	if !r.Started.IsZero() {
		f.StartedAt = &r.Started
	}
	var exit *exitError
	if err != nil && !errors.As(err, &exit) {
		class := explain(err).Class
		f.Class = &class
	}
	return f
}

func writeResult(file string, r exec.Receipt, err error) error {
	data, jsonErr := json.Marshal(receiptJSON(r, err))
	if jsonErr != nil {
		return jsonErr
	}
	if err := atomicfile.Write(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the receipt: %w", err)
	}
	return nil
}
