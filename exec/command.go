// Package exec runs one command on a host and says exactly what became of it.
//
// The command line that ssh carries is a constant; the script of a small
// supervisor, the environment and the arguments travel on stdin (frame.go).
// The supervisor reports on both streams (marks.go) when the command starts
// and how it ends; from that, from ssh's own log and from the state of the
// master follows the outcome (receipt.go).
package exec

import (
	"fmt"
	"io"
	"strings"
	"time"

	"bivy/exec/mux"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
)

// DefaultGrace is the time between TERM and KILL when a command is ended.
const DefaultGrace = 5 * time.Second

// LoginShell is a script that becomes the account's own shell, as a login
// shell. -l alone is what all of them take, csh too.
const LoginShell = `exec "${SHELL:-/bin/sh}" -l`

// Command is what to run on the host.
type Command struct {
	// Argv is run without a shell; Script, instead, by the host's /bin/sh.
	Argv   []string
	Script string
	// Inline runs Script by a child of the supervisor's own shell, which saves
	// the start of another. It is for scripts of ours, which define functions as
	// they like and end by themselves: what ends a command ends what the script
	// has started, and not the shell that runs it.
	Inline bool
	// Dir is where: absolute, ~ or ~/…; empty means the remote home.
	Dir string
	// Env is set for the command, after what Login brings.
	Env []EnvVar
	// Login is what comes from the user's login environment on the host.
	Login Login
	// Stdin is the command's stdin; nil means none (its /dev/null). A reader
	// that blocks for ever, such as a terminal, is not waited for.
	Stdin io.Reader
	// Early sends Stdin before the command has begun, which saves a round trip.
	// Stdin is an io.ReadSeeker then, and is sent from its beginning again where
	// nothing has run.
	Early bool
	// TTY asks for a terminal on the host.
	TTY *TTY
	// Timeout ends the command so long after its start; zero means never.
	Timeout time.Duration
	// Grace is the time from TERM to KILL; zero means DefaultGrace. Seconds
	// count, fractions do not.
	Grace time.Duration
	// Hurry, when it is closed after the command was canceled or its time was
	// over, cuts the grace short: KILL at once.
	Hurry <-chan struct{}
	// Keep lets the command live on where its link is lost, or we are killed.
	// What it writes from then on is kept on the host (KeptFile).
	Keep bool
	// Log, when it is above zero, keeps what the command writes on the host as
	// well: each stream that is longer than so many bytes, in a file of its own
	// (Receipt.StdoutLog), which is removed there after a week or later. Such a
	// command has no terminal and no Keep.
	Log int64
	// Began, when set, is called once when the host says that the command
	// started. It must not block.
	Began func()

	Stdout, Stderr io.Writer
}

func (c Command) grace() time.Duration {
	if c.Grace == 0 {
		return DefaultGrace
	}
	return max(c.Grace, time.Second)
}

// tell passes on that the command started.
func (c Command) tell() {
	if c.Began != nil {
		c.Began()
	}
}

// CommandError says what is wrong with a command, before anything is sent.
type CommandError struct{ Why string }

func (e *CommandError) Error() string { return e.Why }

// check finds what cannot be sent, before anything is.
func (c Command) check() error {
	switch {
	case len(c.Argv) == 0 && c.Script == "":
		return &CommandError{"there is no command to run"}
	case len(c.Argv) > 0 && c.Script != "":
		return &CommandError{"there are both a command and a script to run"}
	case c.Early && !c.rewind():
		return &CommandError{"what is sent early must be one that can be sent again"}
	case c.Keep && c.TTY != nil:
		return &CommandError{"a command with a terminal ends with its link"}
	case c.Log > 0 && (c.Keep || c.TTY != nil):
		return &CommandError{"what a command writes on a terminal, or is to keep without its link, has no log"}
	case len(c.Argv) > 0 && c.Argv[0] == "":
		return &CommandError{"the command's name is empty"}
	}
	for _, s := range append([]string{c.Script, c.Dir}, c.Argv...) {
		if strings.IndexByte(s, 0) >= 0 {
			return &CommandError{"a command line cannot hold a NUL byte"}
		}
	}
	for _, v := range c.Env {
		if err := v.Check(); err != nil {
			return err
		}
	}
	return nil
}

// rewind goes to the beginning of what is sent early.
func (c Command) rewind() bool {
	from, ok := c.Stdin.(io.Seeker)
	if !ok || c.TTY != nil {
		return false
	}
	_, err := from.Seek(0, io.SeekStart)
	return err == nil
}

// NotStartedError says why a command never started. Nothing ran.
type NotStartedError struct {
	Host string
	// Dir is set where the directory is not there.
	Dir string
	// Said is what ssh said, if that was the reason.
	Said *sshcmd.Error
	// Noise is what the host printed instead of starting our shell.
	Noise string
	// ExitCode is the session's status in that case.
	ExitCode int
	// Silent is how long the host gave no answer at all, if that was it.
	Silent time.Duration
}

func (e *NotStartedError) Error() string {
	switch {
	case e.Said != nil:
		return e.Said.Error()
	case e.Silent != 0:
		return fmt.Sprintf("%s did not answer within %s; nothing was run", e.Host, e.Silent.Round(100*time.Millisecond))
	case e.Dir != "":
		return fmt.Sprintf("%s has no directory %s that can be entered", e.Host, termsafe.Line(e.Dir, 200))
	}
	msg := fmt.Sprintf("%s did not start /bin/sh for us (status %d)", e.Host, e.ExitCode)
	if line := termsafe.LastLine(e.Noise); line != "" {
		return msg + "; it said: " + termsafe.Line(line, 300)
	}
	return msg
}

// Unwrap returns what ssh said.
func (e *NotStartedError) Unwrap() error {
	if e.Said == nil {
		return nil
	}
	return e.Said
}

// LostError says that a command's outcome is unknown.
type LostError struct {
	Host string
	// Started says whether the start mark was seen.
	Started bool
	// Ended says that the host ended the command for it.
	Ended bool
	// MasterAlive says that the link is up all the same.
	MasterAlive bool
	// Words are the last that ssh said.
	Words string
	// Kept is set for a command that was to live on without its link.
	Kept string
}

func (e *LostError) Error() string {
	var msg string
	switch {
	case e.Ended:
		msg = fmt.Sprintf("the session on %s was cut off, and the command was ended there", e.Host)
	case e.MasterAlive && e.Started:
		msg = fmt.Sprintf("the session on %s ended without a report, though the link is up: something there killed it (out of memory, an administrator?)", e.Host)
	case e.MasterAlive:
		msg = fmt.Sprintf("%s gave no word of having started our shell", e.Host)
	default:
		msg = fmt.Sprintf("the link to %s was lost; what became of the command is unknown", e.Host)
	}
	if line := termsafe.LastLine(e.Words); line != "" {
		msg += "; ssh said: " + termsafe.Line(line, 300)
	}
	if e.Kept != "" {
		msg += "; it was told to go on there, and writes to " + e.Kept + ".out and .err, its status to .exit"
	}
	return msg
}

// KeptFile is where a command with Keep writes to once its link is lost, on the
// host: this path with .out and .err; with .exit it is the status in the end.
func KeptFile(run string) string { return "~/.bivy/kept/" + run }

// CutError says that a command's end is known, and that of its output is lost:
// the session was cut off before all of it had arrived.
type CutError struct {
	Host string
	// Code is the command's exit status.
	Code int
}

func (e *CutError) Error() string {
	return fmt.Sprintf("the command on %s ended with status %d, but the end of its output was lost with the session", e.Host, e.Code)
}

// TimeoutError says that a command was ended because its time was over.
type TimeoutError struct {
	Host      string
	After     time.Duration
	Confirmed bool
	// Why is what stood in the way where the end is not confirmed, Left what
	// could not be ended.
	Why  string
	Left []mux.Survivor
}

func (e *TimeoutError) Error() string {
	if e.Confirmed {
		return fmt.Sprintf("the command ran on %s for %s and was ended", e.Host, e.After)
	}
	return fmt.Sprintf("the command ran on %s for %s and was told to end; the host did not confirm that it did", e.Host, e.After) + because(e.Why)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// OutputError says that what the command wrote could not be passed on: the
// reader is gone, a disk is full. The command was ended if it still ran. It
// wraps the error of the writer.
type OutputError struct {
	Host string
	// Ended says that the command was ended for it.
	Ended bool
	Err   error
}

func (e *OutputError) Error() string {
	msg := fmt.Sprintf("cannot pass on the output of the command on %s: %v", e.Host, e.Err)
	if e.Ended {
		msg += "; the command was ended"
	}
	return msg
}

// Unwrap returns the writer's error.
func (e *OutputError) Unwrap() error { return e.Err }

// CanceledError says that a command was ended because its caller's context
// ended. It wraps the cause.
type CanceledError struct {
	Host      string
	Started   bool
	Confirmed bool
	Cause     error
	// Why is what stood in the way where the end is not confirmed, Left what
	// could not be ended.
	Why  string
	Left []mux.Survivor
}

func (e *CanceledError) Error() string {
	switch {
	case !e.Started:
		return "canceled before the command started on " + e.Host
	case e.Confirmed:
		return "canceled; the command on " + e.Host + " was ended"
	default:
		return "canceled; " + e.Host + " did not confirm that the command ended" + because(e.Why)
	}
}

// Unwrap returns the cause.
func (e *CanceledError) Unwrap() error { return e.Cause }
