package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"bivy/archive"
	"bivy/exec"
	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/internal/termsafe"
	"bivy/workspace"
)

// The exit codes of the contract (docs/exit-codes.md).
const (
	exitUsage        = 80
	exitLocal        = 81
	exitNotFound     = 82
	exitProtected    = 83
	exitPrecondition = 84
	exitUnreachable  = 90
	exitAuth         = 91
	exitHostKey      = 92
	exitHostLacks    = 93
	exitLinkLost     = 94
	exitTimedOut     = 95
	exitCanceled     = 96
	exitBusy         = 97
	exitOutputClosed = 141
)

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// exitError carries a remote command's own exit code; nothing is printed.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// errOutputClosed says that the reader of our stdout is gone.
var errOutputClosed = errors.New("the reader of our stdout is gone")

// failure is an error as the surface shows it.
type failure struct {
	Code    int
	Class   string
	Message string
	Hint    string
	Host    string
	// Details are lines below the message, such as what would be lost.
	Details []string
}

// fail prints an error, if there is one to print, and returns the exit code.
func (u *UI) fail(err error) int {
	if err == nil {
		return 0
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	f := explain(err)
	if f.Code == exitOutputClosed {
		return f.Code
	}
	f.Message, f.Hint = u.secrets.Text(f.Message), u.secrets.Text(f.Hint)
	for i, line := range f.Details {
		f.Details[i] = u.secrets.Text(line)
	}
	if u.JSON {
		type body struct {
			Class   string   `json:"class"`
			Message string   `json:"message"`
			Hint    string   `json:"hint,omitempty"`
			Host    string   `json:"host,omitempty"`
			Details []string `json:"details,omitempty"`
		}
		enc := json.NewEncoder(u.Err)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(map[string]any{"format": 1, "error": body{f.Class, f.Message, f.Hint, f.Host, f.Details}})
		return f.Code
	}
	_, _ = fmt.Fprintf(u.Err, "bivy: %s\n", f.Message)
	for _, line := range f.Details {
		_, _ = fmt.Fprintf(u.Err, "  %s\n", line)
	}
	if f.Hint != "" {
		_, _ = fmt.Fprintf(u.Err, "bivy: %s\n", f.Hint)
	}
	return f.Code
}

// explain maps an error to its class. Errors are typed where they are made;
// this is the one place that knows all of them. Messages that hold text from
// a host have been made safe there, and once more here, where it costs nothing.
func explain(err error) failure {
	f := failure{Message: termsafe.Line(err.Error(), 1000)}
	for _, try := range []func(error, *failure) bool{
		explainUsage, explainCanceled, explainPull, explainTransfer, explainCommand, explainSSH, explainTree, explainLifecycle, explainWorkspace, explainFiles, explainSecrets,
		explainProject, explainLocal,
	} {
		if try(err, &f) {
			return f
		}
	}
	f.Code, f.Class = exitLocal, "local"
	return f
}

// explainCanceled covers what was ended by us while nothing ran on a host, or
// something that only failed since it was ended.
func explainCanceled(err error, f *failure) bool {
	var command *exec.CanceledError
	if !errors.Is(err, context.Canceled) || errors.As(err, &command) {
		return false
	}
	f.Code, f.Class, f.Message = exitCanceled, "canceled", "canceled"
	return true
}

func explainUsage(err error, f *failure) bool {
	var usage *usageError
	var env *exec.EnvError
	var command *exec.CommandError
	var root *workspace.RootError
	var way *mux.WayError
	if !errors.As(err, &usage) && !errors.As(err, &env) && !errors.As(err, &command) && !errors.As(err, &root) && !errors.As(err, &way) {
		return false
	}
	f.Code, f.Class, f.Hint = exitUsage, "usage", "see: bivy --help"
	return true
}

// stdoutClosed reports whether the reader of our stdout was gone when a result
// was printed.
func stdoutClosed(err error) bool {
	var write *fs.PathError
	return errors.As(err, &write) && write.Path == os.Stdout.Name() && errors.Is(write, syscall.EPIPE)
}

// explainWorkspace covers the registry and the host's side of a workspace.
func explainWorkspace(err error, f *failure) bool {
	var (
		missing   *workspace.NotFoundError
		ambiguous *workspace.AmbiguousError
		exists    *workspace.ExistsError
		busy      *workspace.BusyError
		work      *workspace.WorkError
		trouble   *workspace.Trouble
	)
	switch {
	case errors.As(err, &missing):
		f.Code, f.Class = exitNotFound, "not_found"
		if len(missing.Nearest) > 0 { // else the message says so itself
			f.Hint = "list all with: bivy ls"
		}
	case errors.As(err, &ambiguous):
		f.Code, f.Class = exitUsage, "usage"
	case errors.As(err, &exists):
		f.Code, f.Class, f.Host = exitNotFound, "exists", exists.Record.Host
		f.Hint = "use another name, or remove it: bivy rm " + exists.Record.FullName().String()
	case errors.Is(err, errHalfMade):
		f.Code, f.Class, f.Hint = exitNotFound, "not_found", "repeat the bivy new that was cut off, or remove it: bivy rm NAME"
	case errors.As(err, &busy):
		f.Code, f.Class = exitBusy, "busy"
	case errors.As(err, &work):
		f.Code, f.Class, f.Host = exitProtected, "protected", work.Status.Record.Host
		f.Details = workLines(work.Status)
		f.Hint = rescueHint(work.Status)
	case errors.As(err, &trouble):
		f.Host = trouble.Host
		f.Code, f.Class = troubleCode(trouble)
	default:
		return false
	}
	return true
}

func troubleCode(t *workspace.Trouble) (int, string) {
	switch {
	case t.Kind == "exists":
		return exitNotFound, "exists"
	case t.Kind == "replaced":
		return exitProtected, "protected"
	case t.Kind == "gone", t.Kind == "no_dir":
		return exitNotFound, "not_found"
	case t.Kind == "busy", t.Kind == "git_busy", t.Kind == "lock_lost":
		return exitBusy, "busy"
	case t.Kind == "nested":
		return exitProtected, "protected"
	case t.Lacks():
		return exitHostLacks, "host_lacks"
	default:
		return exitLocal, "remote_denied"
	}
}

// explainProject covers the local repository.
func explainProject(err error, f *failure) bool {
	var repo *archive.RepoError
	var ref *archive.RefError
	var git *archive.GitError
	var missing *archive.MissingError
	switch {
	case errors.As(err, &repo):
		f.Code, f.Class = exitLocal, "local"
		if repo.Reason == archive.NotFound {
			f.Code, f.Class = exitNotFound, "not_found"
		}
	case errors.As(err, &ref):
		f.Code, f.Class = refCode(ref.Reason)
	case errors.As(err, &missing), errors.As(err, &git):
		f.Code, f.Class = exitLocal, "local"
	default:
		return false
	}
	return true
}

func refCode(r archive.RefReason) (int, string) {
	switch r {
	case archive.RefUnknown:
		return exitNotFound, "not_found"
	case archive.RefNoCommits, archive.RefMissing:
		return exitLocal, "local"
	default:
		return exitUsage, "usage"
	}
}

// explainLocal covers this machine.
func explainLocal(err error, f *failure) bool {
	var program *proc.NotFoundError
	switch {
	case errors.As(err, &program):
		f.Code, f.Class, f.Hint = exitLocal, "local", "install it, or name it with BIVY_SSH"
		if program.Program == "git" {
			f.Hint = "install git on this machine"
		}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		f.Code, f.Class = exitLocal, "local"
	default:
		return false
	}
	return true
}
