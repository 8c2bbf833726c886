package workspace

import (
	"context"
	_ "embed"
	"slices"
	"strconv"
	"strings"

	"bivy/exec/mux"
	"bivy/internal/termsafe"
)

//go:embed prune.sh
var pruneScript string

// Leftover is something of ours on a host that nothing needs.
type Leftover struct {
	// Kind is store (a project's, without a workspace), staging (of a workspace
	// whose making was cut off), removed (what a cut removal left) or lock.
	Kind string `json:"kind"`
	Path string `json:"path"`
	// Bytes is its size on the disk.
	Bytes int64 `json:"bytes"`
}

// Pruned is what Prune found, or has removed.
type Pruned struct {
	Items []Leftover
	// Unknown are workspaces that this registry has no record of. They may be
	// another machine's, and stay.
	Unknown []string
}

// Prune looks for what is left of bivy under the roots that the registry knows
// on a host, the default one, and those given, in one round trip; with remove
// it removes it. Nothing that somebody may be at work with is listed, and no
// workspace is removed ever. An error of the kind "remove" comes with what was
// removed all the same.
func (w *Workspaces) Prune(ctx context.Context, target mux.Target, roots []string, remove bool) (Pruned, error) {
	known := map[string]bool{}
	all, _ := w.Registry.List() // one that cannot be read hides no other
	var places []string
	for _, rec := range all {
		if rec.Host != string(target.Host) {
			continue
		}
		known[rec.Dir] = true
		if rec.State == Renaming {
			known[rec.renamed().Dir] = true
		}
		if rec.Root != "" {
			places = append(places, rec.Root)
		}
	}
	for _, root := range roots {
		if err := checkRoot(root); err != nil {
			return Pruned{}, err
		}
	}
	slices.Sort(places)
	places = slices.Compact(append(append(places, "~/bivy"), roots...))
	lease, err := w.Masters.Lease(ctx, target)
	if err != nil {
		return Pruned{}, err
	}
	defer lease.Release()
	vars := append(lockVars("bivy prune"), variable{"W_roots", strings.Join(places, "\n")}, variable{"W_yes", "0"}, variable{"L_wait", "0"})
	if remove {
		vars[len(vars)-2].value = "1"
	}
	a, err := ask(ctx, lease, hostLockScript+pruneScript, vars, "", nil)
	if err != nil {
		return Pruned{}, err
	}
	var found Pruned
	for _, line := range a["item"] {
		found.Items = append(found.Items, leftoverOf(line))
	}
	for _, path := range a["workspace"] {
		if !known[path] {
			found.Unknown = append(found.Unknown, termsafe.Line(path, 300))
		}
	}
	if failed := a["failed"]; len(failed) > 0 {
		err = &Trouble{Host: lease.Host(), Kind: "remove", Path: leftoverOf(failed[0]).Path}
	}
	return found, err
}

func leftoverOf(line string) Leftover {
	kind, rest, _ := strings.Cut(line, " ")
	size, path, _ := strings.Cut(rest, " ")
	kib, _ := strconv.ParseInt(size, 10, 64) // zero where du could not tell
	return Leftover{Kind: termsafe.Line(kind, 20), Path: termsafe.Line(path, 300), Bytes: kib * 1024}
}
