package main

import (
	"errors"
	"io/fs"

	"bivy/secrets"
	"bivy/workspace"
)

// explainSecrets covers secrets, and trust in a project.
func explainSecrets(err error, f *failure) bool {
	var (
		name      *secrets.NameError
		value     *secrets.ValueError
		pattern   *secrets.PatternError
		format    *secrets.FormatError
		missing   *secrets.NotFoundError
		busy      *secrets.BusyError
		store     *secrets.StoreError
		identity  *secrets.IdentityError
		reference *secrets.ReferenceError
		syntax    *secrets.SyntaxError
		include   *workspace.IncludeError
	)
	switch {
	case errors.As(err, &name) && name.Dangerous:
		f.Code, f.Class, f.Hint = exitProtected, "protected", "if you mean it, say --dangerous"
	case errors.As(err, &name), errors.As(err, &value), errors.As(err, &pattern), errors.As(err, &format), errors.As(err, &syntax):
		f.Code, f.Class, f.Hint = exitUsage, "usage", "see: bivy help secrets"
	case errors.As(err, &missing):
		f.Code, f.Class, f.Hint = exitNotFound, "not_found", "list them with: bivy secret ls"
	case errors.As(err, &busy):
		f.Code, f.Class = exitBusy, "busy"
	case errors.As(err, &reference):
		f.Code, f.Class, f.Hint = exitLocal, "local", "nothing was run; without the project's secrets it would be with --no-secrets"
	case errors.As(err, &store), errors.As(err, &identity):
		f.Code, f.Class = exitLocal, "local"
	case errors.As(err, &include) && errors.Is(err, fs.ErrNotExist):
		f.Code, f.Class = exitNotFound, "not_found"
	case errors.As(err, &include):
		f.Code, f.Class = exitLocal, "local"
	case errors.Is(err, errUntrusted):
		f.Code, f.Class, f.Hint = exitProtected, "protected", "look at it, and approve it with: bivy trust --yes"
	default:
		return false
	}
	return true
}
