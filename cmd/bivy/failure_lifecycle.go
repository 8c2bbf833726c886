package main

import (
	"errors"
	"fmt"

	"bivy/workspace"
)

// explainLifecycle covers fork, rename, prune and adopted directories.
func explainLifecycle(err error, f *failure) bool {
	var (
		unfinished *workspace.UnfinishedError
		running    *workspace.RunningError
		adopted    *workspace.AdoptedError
		name       *workspace.NameError
	)
	switch {
	case errors.As(err, &unfinished):
		rec := unfinished.Record
		f.Code, f.Class, f.Host = exitNotFound, "not_found", rec.Host
		f.Hint = fmt.Sprintf("repeat the command that was cut off, or remove it: bivy rm %s", rec.FullName())
		if rec.State == workspace.Renaming {
			f.Hint = fmt.Sprintf("complete it: bivy rename %s %s", rec.FullName(), rec.RenameTo)
		}
	case errors.As(err, &running):
		f.Code, f.Class, f.Host = exitProtected, "protected", running.Status.Record.Host
		f.Details = workLines(running.Status)
		f.Hint = "end what runs there, and repeat"
	case errors.As(err, &adopted), errors.As(err, &name):
		f.Code, f.Class = exitUsage, "usage"
	default:
		return false
	}
	return true
}
