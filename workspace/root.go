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

// look asks what is on the host already, and where: the answer's root is an
// absolute path without dot segments. These go as a shell's cd takes them, by
// the text; the host is then asked about the path without them.
func look(ctx context.Context, lease *mux.Lease, root string, rec Record) (answer, string, error) {
	for range 2 {
		vars := []variable{{"W_root", root}, {"W_project", rec.Project}, {"W_name", rec.Name}, {"W_format", rec.ObjectFormat}}
		there, err := ask(ctx, lease, lookScript, vars, root, nil)
		if err != nil {
			return nil, "", err
		}
		got := there.one("root")
		if !strings.HasPrefix(got, "/") || checkRoot(got) != nil {
			return nil, "", fmt.Errorf("%s answered with a root that is no usable absolute path: %s", rec.Host, termsafe.Line(got, 200))
		}
		root = path.Clean(got)
		if root == got || root == strings.TrimSuffix(got, "/") {
			return there, root, nil
		}
	}
	return nil, "", fmt.Errorf("%s answered with another root each time: %s", rec.Host, termsafe.Line(root, 200))
}
