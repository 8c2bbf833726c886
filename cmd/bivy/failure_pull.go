package main

import (
	"errors"

	"bivy/archive"
	"bivy/workspace"
)

// explainPull covers what comes back from a host.
func explainPull(err error, f *failure) bool {
	var (
		refused *archive.RefusedError
		large   *archive.TooLargeError
		cut     *workspace.CutError
	)
	switch {
	case errors.As(err, &refused):
		f.Code, f.Class = exitLocal, "remote_denied"
		f.Hint = "an honest git sends no such thing: look at the workspace, and at who else has that host"
	case errors.As(err, &large):
		f.Code, f.Class = exitProtected, "protected"
		f.Hint = "if that is meant, allow more with: --max-bytes N"
	case errors.As(err, &cut):
		f.Code, f.Class, f.Host = exitLinkLost, "link_lost", cut.Host
		f.Hint = "nothing was changed here; repeat it when the host is back"
	default:
		return false
	}
	return true
}
