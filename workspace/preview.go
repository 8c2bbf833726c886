package workspace

import (
	"context"

	"bivy/archive"
)

// Preview is what a sync would send.
type Preview struct {
	Files []archive.Change
	// Nested are the repositories inside the project that would stay here.
	Nested []string
	// Untrusted says that .bivy/include is not approved, and counts for nothing.
	Untrusted bool
}

// Preview lists what would cross to the workspace, beyond what was sent to it
// last. Nobody is asked for that but the project.
func (w *Workspaces) Preview(ctx context.Context, rec Record, wish SyncWish) (Preview, error) {
	if rec.Adopted {
		return Preview{}, &AdoptedError{Record: rec, Doing: "bivy sync"}
	}
	snap, left, err := w.take(ctx, rec, wish)
	if err != nil {
		return Preview{}, err
	}
	defer snap.Close() //nolint:errcheck // a temporary directory; the system cleans /tmp too
	files, err := snap.Preview(ctx, rec.Source)
	return Preview{Files: files, Nested: snap.Nested, Untrusted: left}, err
}
