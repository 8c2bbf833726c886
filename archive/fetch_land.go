package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Land moves what came into the repository and then the refs, those that Plan
// has named and no others, all or none. A crash in between leaves objects that
// nothing leads to, which `git gc` removes in its time.
func (in *Intake) Land(ctx context.Context, plan []Landing) error {
	changed := false
	for _, l := range plan {
		changed = changed || l.Changed()
	}
	if !changed && !in.received {
		return nil
	}
	if err := in.packLoose(ctx); err != nil {
		return err
	}
	if err := in.migrate(); err != nil {
		return err
	}
	refs, err := in.refs(ctx)
	if err != nil {
		return err
	}
	moves, updates := in.transactions(plan, refs)
	for _, t := range []string{moves, updates} {
		if t == "" {
			continue
		}
		if _, err := in.repo.git(ctx, t, "update-ref", "--no-deref", "-m", "bivy pull", "--stdin"); err != nil {
			return err
		}
	}
	return nil
}

// packLoose puts what was written here, which may be thousands of commits and
// trees, into one pack.
func (in *Intake) packLoose(ctx context.Context) error {
	dirs, err := filepath.Glob(in.q.objects.dir + "/[0-9a-f][0-9a-f]/*")
	if err != nil {
		return fmt.Errorf("list what was written: %w", err)
	}
	if len(dirs) == 0 {
		return nil
	}
	var ids bytes.Buffer
	for _, path := range dirs {
		fmt.Fprintln(&ids, filepath.Base(filepath.Dir(path))+filepath.Base(path))
	}
	return call{
		dir: in.inside.dir, env: in.inside.env, stdin: &ids, stdout: &bytes.Buffer{},
		args: []string{"pack-objects", "-q", "--non-empty", filepath.Join(in.q.packDir(), "pack")},
	}.run(ctx)
}

// migrate moves the packs. The index goes last: it makes a pack visible.
func (in *Intake) migrate() error {
	packs, err := in.q.packs()
	if err != nil {
		return err
	}
	to := filepath.Join(in.repo.objects, "pack")
	if err := os.MkdirAll(to, 0o777); err != nil { //nolint:gosec // as git does; umask decides
		return fmt.Errorf("take in a pack: %w", err)
	}
	for _, from := range packs {
		for _, kind := range []string{".pack", ".rev", ".idx"} {
			target := filepath.Join(to, filepath.Base(from)+kind)
			if _, err := os.Lstat(target); err == nil {
				continue // a pack is called by what it holds
			}
			if err := os.Rename(from+kind, target); err != nil && (kind != ".rev" || !errors.Is(err, fs.ErrNotExist)) {
				return fmt.Errorf("take in a pack: %w", err)
			}
		}
	}
	dir, err := os.Open(to)
	if err != nil {
		return fmt.Errorf("take in a pack: %w", err)
	}
	defer dir.Close() //nolint:errcheck // only read
	// Refs must not reach the disk before what they lead to. Not every file
	// system can do this to a directory, and git does not try.
	_ = dir.Sync()
	return nil
}

// transactions writes what git update-ref is to do. A branch that was a file
// here and is a directory there now, or the other way round, makes two of it,
// since git takes both at once for a conflict: first the old refs go to where
// old tips are kept, and then the new ones come.
func (in *Intake) transactions(plan []Landing, refs map[string]string) (moves, updates string) {
	var first, then strings.Builder
	create := func(b *strings.Builder, name, id string) {
		if refs[name] != id {
			_, _ = fmt.Fprintf(b, "update %s %s %s\n", name, id, orZero(refs[name], id))
			refs[name] = id
		}
	}
	for _, l := range plan {
		if !l.Changed() {
			continue
		}
		for name, id := range refs {
			if inTheWay(name, l.Ref) {
				create(&first, in.prefix+keptName(strings.TrimPrefix(name, in.prefix), id), id)
				_, _ = fmt.Fprintf(&first, "delete %s %s\n", name, id)
				delete(refs, name)
			}
		}
		if l.Kept != "" {
			create(&then, l.Kept, l.Old)
		}
		_, _ = fmt.Fprintf(&then, "update %s %s %s\n", l.Ref, l.Here, orZero(l.Old, l.Here))
	}
	return first.String(), then.String()
}

// inTheWay reports whether one name is a directory of the other.
func inTheWay(a, b string) bool {
	return strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// orZero is what git calls the value of a ref that does not exist.
func orZero(id, like string) string {
	if id == "" {
		return strings.Repeat("0", len(like))
	}
	return id
}
