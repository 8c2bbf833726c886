package transfer

import (
	"errors"
	"fmt"

	"bivy/exec"
	"bivy/internal/termsafe"
)

// CutError says that the link was lost in the middle, and that nothing was
// changed for that. It wraps what is known of the loss.
type CutError struct {
	Host string
	Err  error
}

func (e *CutError) Error() string {
	what := "the link to " + e.Host + " was lost"
	var lost *exec.LostError
	if errors.As(e.Err, &lost) {
		if lost.MasterAlive {
			what = "the session on " + e.Host + " was cut off"
		}
		if line := termsafe.LastLine(lost.Words); line != "" {
			return what + " on the way; nothing was changed; ssh said: " + termsafe.Line(line, 300)
		}
	}
	return what + " on the way; nothing was changed"
}

// Unwrap returns what is known of the loss.
func (e *CutError) Unwrap() error { return e.Err }

// unchanged says of an error before the rename that nothing has come of it,
// where its own words leave that open.
func unchanged(host string, err error) error {
	var lost *exec.LostError
	var cut *exec.CutError
	if errors.As(err, &lost) || errors.As(err, &cut) {
		return &CutError{Host: host, Err: err}
	}
	return err
}

// ChangedError says that a file changed while it was on its way, so that what
// arrived may be no version of it. Nothing was changed at the target.
type ChangedError struct {
	// Host is empty for a file of ours.
	Host, Path string
}

func (e *ChangedError) Error() string {
	where := ""
	if e.Host != "" {
		where = " on " + e.Host
	}
	return fmt.Sprintf("%s%s changed while it was read; nothing was written", quoted(e.Path), where)
}

// LimitError says that a host has more to send than is taken. Nothing was
// written.
type LimitError struct {
	Host, Path string
	// Limit is the most that is taken, of What: bytes, or files.
	Limit int64
	What  string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s on %s has more than %d %s, which is the most that is taken", quoted(e.Path), e.Host, e.Limit, e.What)
}

// ArchiveError says that a tree from a host is none that can be taken: it is
// damaged, or tries what no tree does. Nothing was written.
type ArchiveError struct {
	Host, Path string
	// Entry is the one that is wrong, as the host calls it.
	Entry string
	Why   string
}

func (e *ArchiveError) Error() string {
	if e.Entry == "" {
		return fmt.Sprintf("cannot take %s from %s: %s", quoted(e.Path), e.Host, e.Why)
	}
	return fmt.Sprintf("cannot take %s from %s: %s: %s", quoted(e.Path), e.Host, quoted(e.Entry), e.Why)
}

// TargetError says that something here is in the way of what was to be written.
type TargetError struct {
	Path string
	// Missing says that its directory is not there.
	Missing bool
	Why     string
	Err     error
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("cannot write %s: %s", quoted(e.Path), e.Why)
}

// Unwrap returns the system's error or nil.
func (e *TargetError) Unwrap() error { return e.Err }
