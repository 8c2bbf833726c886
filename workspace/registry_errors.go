package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// NotFoundError says that there is no such workspace.
type NotFoundError struct {
	Ref Ref
	// Nearest are similar names that exist, the best first, at most three.
	Nearest []Ref
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("there is no workspace %s", e.Ref)
	if len(e.Nearest) == 0 {
		return text + "; `bivy ls` lists those that exist"
	}
	return text + "; did you mean " + joinRefs(e.Nearest, " or ") + "?"
}

// AmbiguousError says that several projects have a workspace of that name.
type AmbiguousError struct {
	Name string
	// Candidates are full names, sorted, at least two.
	Candidates []Ref
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%d workspaces have the name %s; say which: %s",
		len(e.Candidates), e.Name, joinRefs(e.Candidates, " or "))
}

// UnreadableError names a file of the registry that cannot be used.
type UnreadableError struct {
	// File is its absolute path.
	File string
	// Err is why: an *os.PathError, a *json.SyntaxError, a *FormatError, ….
	Err error
}

func (e *UnreadableError) Error() string {
	// The system's errors name the file themselves.
	var path *fs.PathError
	if errors.As(e.Err, &path) {
		return "cannot use a file of the registry: " + e.Err.Error()
	}
	return fmt.Sprintf("cannot use %s: %v", e.File, e.Err)
}

// Unwrap returns the reason.
func (e *UnreadableError) Unwrap() error { return e.Err }

// FormatError says that a file has a format that this version does not know.
type FormatError struct {
	// Format is the number found; zero where there is none.
	Format int
}

func (e *FormatError) Error() string {
	if e.Format < 1 {
		return fmt.Sprintf("it has no valid format number; %d is the one that this bivy writes", Format)
	}
	return fmt.Sprintf("it has format %d, this bivy knows up to %d; use the newer bivy that wrote it", e.Format, Format)
}

func joinRefs(refs []Ref, sep string) string {
	var words []string
	for _, ref := range refs {
		words = append(words, ref.String())
	}
	return strings.Join(words, sep)
}
