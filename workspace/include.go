package workspace

import (
	"errors"
	"fmt"
	"io/fs"
)

// UntrustedError says that nobody has approved what a project's IncludeFile
// says now.
type UntrustedError struct{ Dir string }

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("%s in %s names files to take along, and its content was not approved", IncludeFile, e.Dir)
}

// included returns the content of a project's IncludeFile, nothing where there
// is none. Where it is not approved, that is an *UntrustedError.
func (r *Registry) included(topDir string) ([]byte, error) {
	content, err := ReadInclude(topDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	project, known, err := r.ProjectOf(topDir)
	if err != nil {
		return nil, err
	}
	if known {
		if known, err = r.Trusted(project, content); err != nil {
			return nil, err
		}
	}
	if !known {
		return nil, &UntrustedError{Dir: topDir}
	}
	return content, nil
}

// choose is included for who may go on without it: left says that it was not
// approved and stays here.
func (r *Registry) choose(topDir string, skip bool) (content []byte, left bool, err error) {
	content, err = r.included(topDir)
	var untrusted *UntrustedError
	if skip && errors.As(err, &untrusted) {
		return nil, true, nil
	}
	return content, false, err
}
