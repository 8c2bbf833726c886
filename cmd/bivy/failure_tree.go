package main

import (
	"errors"
	"fmt"

	"bivy/archive"
	"bivy/internal/termsafe"
	"bivy/workspace"
)

// explainTree covers the way of the project's tree to a workspace.
func explainTree(err error, f *failure) bool {
	var (
		refused *workspace.RefusedError
		suspect *archive.SuspectError
		choice  *archive.ChoiceError
		trust   *workspace.UntrustedError
	)
	switch {
	case errors.As(err, &refused):
		f.Code, f.Class, f.Host = exitProtected, "protected", refused.Status.Record.Host
		f.Details = refused.Clashes
		if refused.Kind == "work" {
			f.Details = append(f.Details, workLines(refused.Status)...)
		}
		f.Hint = refusedHint(refused)
	case errors.As(err, &suspect):
		f.Code, f.Class = exitProtected, "protected"
		for _, p := range suspect.Paths {
			f.Details = append(f.Details, safePath(p))
		}
		f.Hint = "let git ignore it, or name it in " + workspace.IncludeFile + " by its whole path"
	case errors.As(err, &trust):
		f.Code, f.Class, f.Hint = exitProtected, "protected", "look at it and approve it: bivy trust "+safePath(trust.Dir)
	case errors.As(err, &choice):
		f.Code, f.Class = exitUsage, "usage"
	default:
		return false
	}
	return true
}

func refusedHint(e *workspace.RefusedError) string {
	name := e.Status.Record.FullName()
	force := fmt.Sprintf("bivy sync --force %s, which sets it aside there", name)
	switch {
	case e.Kind == "conflict":
		return fmt.Sprintf("bring it home and merge it here: bivy pull %s — or %s", name, force)
	case e.Kind == "included":
		return "fetch them with bivy get, or remove them there, and sync again"
	case e.Status.CommitCount > 0:
		return fmt.Sprintf("put its commits on top: bivy sync --rebase %s — bring them home: bivy pull %s — or %s", name, name, force)
	}
	return "commit it there, or " + force
}

// safePath is a file's name as a terminal may see it.
func safePath(p string) string { return termsafe.Line(p, 300) }
