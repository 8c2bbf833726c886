// Command bivy gives agents, scripts and people a working place on any machine
// that `ssh HOST` reaches. One file holds one command; what they share is in
// app.go, what a person reads in ui.go and failure.go.
//
// Rules of the surface: stdout carries results only, stderr everything else;
// messages are lower case without a period, start with "bivy:", and say what
// was tried, what was seen and what to do; whatever a host said is made safe
// before it is printed.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// version is set by the linker for releases.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:]))
}

// run parses the command line, runs the command and returns the exit code.
func run(args []string) int {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Println("bivy " + version)
		return 0
	}
	dropEmptyVariables()
	cli := &CLI{}
	ui := newUI(os.Stdin, os.Stdout, os.Stderr)
	ui.JSON = wantsJSON(args)
	kctx, command, err := parse(cli, args)
	if err != nil {
		return ui.fail(err)
	}
	if kctx == nil { // help was asked for, and given
		return 0
	}
	ui.JSON, ui.Quiet, ui.Verbose = cli.JSON, cli.Quiet, cli.Verbose
	// Without a handler the runtime would end us at the first write to a
	// closed pipe, before the command on the host is cancelled.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer ui.takeBack() // for a panic: it comes by here on its way out
	ctx, hurry, stop := cancelOnSignal(ui.logged(context.Background()), ui.takeBack)
	defer stop()
	app := &App{Globals: &cli.Globals, UI: ui, Command: command, Hurry: hurry}
	kctx.BindTo(ctx, (*context.Context)(nil))
	return ui.fail(kctx.Run(app))
}

// dropEmptyVariables takes our variables that are set to nothing for unset, as
// ssh and git do: `BIVY_JSON= bivy ls` is how a shell says so.
func dropEmptyVariables() {
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); value == "" && strings.HasPrefix(name, "BIVY_") {
			_ = os.Unsetenv(name) // fails for names that are none, and this is one
		}
	}
}

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "ended by " + e.signal.String() }

// cancelOnSignal returns a context that the first ^C, SIGTERM or SIGHUP ends,
// and a channel that the second closes: what runs on the host is then killed
// without a grace. A third ends the process at once, whatever it waits for;
// what a command has of the terminal is taken back first.
func cancelOnSignal(parent context.Context, takeBack func()) (ctx context.Context, hurry <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	done, twice := make(chan struct{}), make(chan struct{})
	restore := terminalModes()
	go func() {
		signals := catch()
		for count := 1; ; count++ {
			select {
			case s := <-signals:
				switch count {
				case 1:
					cancel(&signalError{s})
				case 2:
					close(twice)
				default:
					takeBack()
					restore()
					os.Exit(exitCanceled)
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, twice, func() {
		close(done)
		cancel(nil)
	}
}

// catch begins to catch signals. The runtime takes a fifth of a millisecond for
// that, which passes while the command looks for its host: until it is done, a
// signal ends us as it does during all of the start.
func catch() <-chan os.Signal {
	signals := make(chan os.Signal, 3)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		// Who started us under nohup wants us to go on.
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

// terminalModes remembers the modes of the terminal on stdin, for the one way
// out on which nothing else restores them.
func terminalModes() (restore func()) {
	fd := int(os.Stdin.Fd())
	modes, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(fd, modes) }
}

// wantsJSON finds --json before the arguments are parsed, so that a mistyped
// flag is reported in the form that was asked for.
func wantsJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "--json" || strings.HasPrefix(arg, "--json=") && arg != "--json=false" {
			return true
		}
	}
	switch strings.ToLower(os.Getenv("BIVY_JSON")) {
	case "1", "true", "yes", "on":
		return true
	}
	return false
}
