package workspace

import (
	"context"
	_ "embed"
	"fmt"
	"io"
)

//go:embed diff.sh
var diffScript string

// DiffWish says what to show of a workspace's changes.
type DiffWish struct {
	// Stat asks for a summary, Color for colours.
	Stat, Color bool
	// Out gets the text as the host sends it.
	Out io.Writer
}

// Diff shows what changed in a workspace since the last sync, committed or not,
// in one round trip. It returns directories that are repositories of their own
// and were left out. Errors: *Trouble, *CutError, those of mux and exec, and of
// Out.
func (w *Workspaces) Diff(ctx context.Context, rec Record, wish DiffWish) (nested []string, err error) {
	if !hexID().MatchString(rec.Snapshot) {
		return nil, fmt.Errorf("nothing was ever sent to workspace %s, so there is nothing to compare it with", rec.FullName())
	}
	vars := []variable{
		{"W_dir", rec.Dir},
		{"W_format", formatOf(rec.Snapshot)},
		{"W_snapshot", rec.Snapshot},
		{"W_stat", "0"},
		{"W_color", "never"},
	}
	if wish.Stat {
		vars[3].value = "1"
	}
	if wish.Color {
		vars[4].value = "always"
	}
	lease, err := w.Masters.Lease(ctx, rec.Target())
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	err = receive(ctx, lease, diffScript, vars, rec.Dir, func(a answer) (io.Writer, error) {
		nested = safeList(a["nested"])
		return wish.Out, nil
	})
	return nested, err
}

// formatOf tells git's hash by the length of an id.
func formatOf(id string) string {
	if len(id) == 64 {
		return "sha256"
	}
	return "sha1"
}
