package mcp

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rs/zerolog"

	"bivy/exec"
	"bivy/exec/file"
)

const runText = "Runs a command by /bin/sh on the workspace's host, without a terminal and with an empty stdin. " +
	"Its exit code, whatever it is, is a result. Of long output the middle is left out, and all of it is kept in a file there, which the result names. " +
	"With background it returns at once; command_output then says how it goes on, and command_kill ends it."

const (
	// defaultTimeout is how long a command may take; maxTimeout is a day.
	defaultTimeout = 10 * time.Minute
	maxTimeout     = 24 * time.Hour
)

type runIn struct {
	Where
	Command    string  `json:"command" jsonschema:"The command: a script for /bin/sh."`
	Directory  string  `json:"directory,omitempty" jsonschema:"Where to run it, relative to the workspace; default: the workspace itself."`
	Timeout    float64 `json:"timeout,omitempty" jsonschema:"Seconds after which it is ended; default: 600, in the background never."`
	Background bool    `json:"background,omitempty" jsonschema:"Return as soon as it has started; default: false."`
}

// runOut is what became of a command, or how it goes on.
type runOut struct {
	State      string     `json:"state" jsonschema:"exited, signaled, timed_out, canceled, unknown (the link was lost), or running in the background."`
	ExitCode   *int       `json:"exit_code" jsonschema:"null unless state is exited."`
	Signal     *string    `json:"signal" jsonschema:"The signal that ended it, without SIG; null unless state is signaled."`
	DurationMS int64      `json:"duration_ms" jsonschema:"How long it ran, in milliseconds."`
	Stdout     string     `json:"stdout"`
	Stderr     string     `json:"stderr"`
	StdoutLen  int64      `json:"stdout_bytes" jsonschema:"How much it wrote there in all."`
	StderrLen  int64      `json:"stderr_bytes" jsonschema:"How much it wrote there in all."`
	StdoutGone int64      `json:"stdout_omitted_bytes" jsonschema:"How much of it is left out of the middle of stdout."`
	StderrGone int64      `json:"stderr_omitted_bytes" jsonschema:"How much of it is left out of the middle of stderr."`
	StdoutFile string     `json:"stdout_file,omitempty" jsonschema:"A file on the host with all of stdout; read_file can read it. It is removed after a week."`
	StderrFile string     `json:"stderr_file,omitempty" jsonschema:"The same for stderr."`
	Cleaned    bool       `json:"cleaned" jsonschema:"Escape sequences were taken out, or what is no text is shown as \\xNN."`
	Lingering  bool       `json:"lingering" jsonschema:"Something that it left behind still has its output open."`
	CommandID  string     `json:"command_id,omitempty" jsonschema:"For command_output and command_kill."`
	Survivors  []survivor `json:"survivors,omitempty" jsonschema:"What could not be ended of it."`
	Class      string     `json:"class,omitempty" jsonschema:"Why it did not run to its own end, as one of bivy's classes."`
}

type survivor struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func (o runOut) blocks() []string {
	var b strings.Builder
	b.WriteString(o.Stdout)
	if o.Stderr != "" {
		endLine(&b)
		b.WriteString("[stderr]\n" + o.Stderr)
	}
	endLine(&b)
	how := o.State
	switch {
	case o.ExitCode != nil:
		how = fmt.Sprintf("exit code %d", *o.ExitCode)
	case o.Signal != nil:
		how = "ended by signal " + *o.Signal
	case o.CommandID != "" && o.State == stateRunning:
		how = "running as command_id " + o.CommandID
	}
	fmt.Fprintf(&b, "[%s, %s]", how, time.Duration(o.DurationMS)*time.Millisecond)
	for name, file := range map[string]string{"stdout": o.StdoutFile, "stderr": o.StderrFile} {
		if file != "" {
			fmt.Fprintf(&b, "\n[all of %s is in %s on the host]", name, file)
		}
	}
	for _, s := range o.Survivors {
		fmt.Fprintf(&b, "\n[still alive there: %d %s]", s.PID, s.Command)
	}
	return []string{b.String()}
}

func endLine(b *strings.Builder) {
	if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
		b.WriteString("\n")
	}
}

// run is the tool run_shell_command.
func (s *server) run(ctx context.Context, req *sdk.CallToolRequest, in runIn) (*runOut, error) {
	p, cmd, err := s.command(ctx, in)
	if err != nil {
		return nil, err
	}
	if in.Background {
		return s.start(ctx, p, cmd)
	}
	kept := newStreams(s.MaxOutput, nil)
	cmd.Hurry = s.hurry
	stop := progress(ctx, req, kept)
	receipt, err := s.runInto(ctx, kept, p, cmd)
	stop()
	if err != nil && receipt.Started.IsZero() {
		return nil, err
	}
	o := s.result(p, receipt, err)
	o.show(kept, s.MaxOutput)
	return o, err
}

// runInto runs a command and keeps what it writes, without secrets: they are
// taken out before anything is cut.
func (s *server) runInto(ctx context.Context, kept *streams, p Place, cmd exec.Command) (exec.Receipt, error) {
	out, errs := s.Redactor.Writer(&kept.out), s.Redactor.Writer(&kept.err)
	cmd.Stdout, cmd.Stderr = out, errs
	receipt, err := exec.Run(ctx, s.Masters, p.Target, cmd)
	_, _ = out.Close(), errs.Close() // what is kept takes everything
	return receipt, err
}

// command checks what is to be run, and where: the same that `bivy exec` runs.
func (s *server) command(ctx context.Context, in runIn) (Place, exec.Command, error) {
	p, err := s.place(in.Workspace)
	if err != nil {
		return p, exec.Command{}, err
	}
	dir, err := s.directory(p, in.Directory)
	if err != nil {
		return p, exec.Command{}, err
	}
	timeout := time.Duration(in.Timeout * float64(time.Second))
	switch {
	case strings.TrimSpace(in.Command) == "":
		return p, exec.Command{}, usage("command is empty")
	case in.Timeout < 0 || in.Timeout > maxTimeout.Seconds():
		return p, exec.Command{}, usage("timeout is %g seconds; it must be between 0 and %g", in.Timeout, maxTimeout.Seconds())
	case in.Timeout == 0 && !in.Background:
		timeout = defaultTimeout
	}
	env := p.Env
	if p.Secrets != nil {
		ours, err := p.Secrets(ctx)
		if err != nil {
			return p, exec.Command{}, err
		}
		env = slices.Concat(env, ours)
	}
	return p, exec.Command{
		Script: in.Command, Dir: dir, Env: env, Login: exec.LoginPath, Timeout: timeout, Log: int64(s.MaxOutput / 2),
	}, nil
}

// directory is where a command runs. Without --allow-outside it is checked by
// its words alone: a command may change it anyway.
func (s *server) directory(p Place, dir string) (string, error) {
	root := strings.TrimSuffix(p.Dir, "/")
	switch {
	case dir == "":
		return p.Dir, nil
	case path.IsAbs(dir):
		clean := path.Clean(dir)
		if s.AllowOutside || path.IsAbs(p.Dir) && (clean == root || strings.HasPrefix(clean, root+"/")) {
			return clean, nil
		}
	case dir == "~" || strings.HasPrefix(dir, "~/"):
		if s.AllowOutside {
			return dir, nil
		}
	default:
		if s.AllowOutside || !climbs(dir) {
			if p.Dir == "" {
				root = "~"
			}
			return root + "/" + path.Clean(dir), nil
		}
	}
	return "", &file.Error{Host: string(p.Target.Host), Op: "run a command in", Path: dir, Kind: file.Outside}
}

// result is a receipt as the agent gets it.
func (s *server) result(p Place, r exec.Receipt, err error) *runOut {
	o := &runOut{State: string(r.State), DurationMS: r.Duration.Milliseconds(), Lingering: r.Lingering}
	if r.State == exec.Exited {
		o.ExitCode = &r.Code
	}
	if r.Signal != 0 {
		name := exec.SignalName(r.Signal)
		o.Signal = &name
	}
	for _, one := range r.Survivors {
		o.Survivors = append(o.Survivors, survivor(one))
	}
	if err != nil {
		o.Class = s.trouble(err).Class
	}
	for _, log := range []struct {
		exec.Log
		bytes int64
		path  *string
	}{{r.StdoutLog, r.StdoutBytes, &o.StdoutFile}, {r.StderrLog, r.StderrBytes, &o.StderrFile}} {
		*log.path = log.Path
		s.allowLog(p, log.Path)
		if log.Path != "" && log.Bytes < log.bytes {
			zerolog.Ctx(s.life).Warn().Str("file", log.Path).Int64("bytes", log.Bytes).Int64("of", log.bytes).Msg("the host kept a part of the output only")
		}
	}
	return o
}

// show puts both streams into a result, and drops the names of files that hold
// nothing more than that.
func (o *runOut) show(s *streams, budget int) {
	stdout, stderr, _, _ := s.excerpts(0, 0, budget)
	o.fill(stdout, stderr, s)
	if o.StdoutGone == 0 {
		o.StdoutFile = ""
	}
	if o.StderrGone == 0 {
		o.StderrFile = ""
	}
}

func (o *runOut) fill(stdout, stderr excerpt, s *streams) {
	o.Stdout, o.StdoutGone, o.StdoutLen = stdout.text, stdout.omitted, s.out.bytes()
	o.Stderr, o.StderrGone, o.StderrLen = stderr.text, stderr.omitted, s.err.bytes()
	o.Cleaned = stdout.cleaned || stderr.cleaned
}
