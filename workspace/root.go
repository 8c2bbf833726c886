package workspace

import (
	"context"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"bivy/exec/mux"
	"bivy/internal/termsafe"
)

// RootError says that a path cannot be the directory for workspaces.
type RootError struct {
	// Root is the path as it was given; it may hold anything.
	Root   string
	Reason string
}

func (e *RootError) Error() string {
	return fmt.Sprintf("cannot use %q as the directory for workspaces: %s", e.Root, e.Reason)
}

// checkRoot refuses, with *RootError, what our scripts and lists of lines
// could not hold: control characters (C0, DEL, C1) and what is not UTF-8.
func checkRoot(root string) error {
	switch {
	case !utf8.ValidString(root):
		return &RootError{Root: root, Reason: "it is not UTF-8"}
	case strings.ContainsFunc(root, unicode.IsControl):
		return &RootError{Root: root, Reason: "it holds a control character"}
	}
	return nil
}

// otherRootError says that the host knows the root by a path with dot segments.
type otherRootError struct{ root string }

func (e *otherRootError) Error() string { return "the root is " + e.root }

// rootOf takes the root from what bivy_look answered: an absolute path. Dot
// segments go as a shell's cd takes them, by the text; with *otherRootError the
// host is to be asked about the path without them.
func rootOf(host string, there answer) (string, error) {
	got := there.one("root")
	if !strings.HasPrefix(got, "/") || checkRoot(got) != nil {
		return "", fmt.Errorf("%s answered with a root that is no usable absolute path: %s", host, termsafe.Line(got, 200))
	}
	root := path.Clean(got)
	if root != got && root != strings.TrimSuffix(got, "/") {
		return "", &otherRootError{root: root}
	}
	return root, nil
}

// look asks what a project's store on the host has.
func look(ctx context.Context, lease *mux.Lease, rec Record) (answer, error) {
	vars := []variable{{"W_root", rec.Root}, {"W_project", rec.Project}, {"W_name", rec.Name}, {"W_format", rec.ObjectFormat}}
	return ask(ctx, lease, lookScript+"bivy_look\n", vars, rec.Root, nil)
}
