package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// quarantine is a scratch inside the repository's object directory: of the
// same file system, so that a pack moves from one into the other by a rename.
// Its environment bounds what git allocates at once for one object, since a
// delta of a few bytes may claim to make any number of them: 213 bytes that
// claim 4 GiB end git at once. What is larger than 512 MiB and no delta git
// reads in pieces.
type quarantine struct {
	*scratch
	lock *flock.Flock
}

// allocation is the limit, which an honest host's pack stays below: git makes
// no deltas of files above core.bigFileThreshold, 512 MiB.
const allocation = "GIT_ALLOC_LIMIT=1g"

// quarantinePrefix begins as git's own quarantines do, so that `git gc` removes
// one that is left and two weeks old.
const quarantinePrefix = "tmp_objdir-bivy-"

func (r *Repo) newQuarantine() (*quarantine, error) {
	r.sweepQuarantines()
	dir, err := os.MkdirTemp(r.objects, quarantinePrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for what comes from the host: %w", err)
	}
	q := &quarantine{scratch: r.scratchIn(dir), lock: flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))}
	q.env = append(q.env, allocation)
	if _, err = q.lock.TryLock(); err == nil {
		err = os.MkdirAll(q.packDir(), 0o700)
	}
	if err != nil {
		_ = q.close()
		return nil, fmt.Errorf("make a directory for what comes from the host: %w", err)
	}
	return q, nil
}

func (q *quarantine) packDir() string { return filepath.Join(q.objects.dir, "pack") }

func (q *quarantine) close() error {
	err := os.RemoveAll(q.dir)
	if err := errors.Join(err, q.lock.Close()); err != nil {
		return fmt.Errorf("remove the directory for what came from the host: %w", err)
	}
	return nil
}

// alone is an environment in which git sees the quarantine's objects only.
func (q *quarantine) alone() []string {
	return append(slices.Clone(q.env), "GIT_ALTERNATE_OBJECT_DIRECTORIES=")
}

// sweepQuarantines removes what pulls left that were killed: those whose lock
// nobody holds. One without a lock may just be on its way to get it.
func (r *Repo) sweepQuarantines() {
	entries, err := os.ReadDir(r.objects)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), quarantinePrefix) {
			continue
		}
		dir := filepath.Join(r.objects, e.Name())
		if _, err := os.Lstat(filepath.Join(dir, "lock")); errors.Is(err, fs.ErrNotExist) {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
				_ = os.RemoveAll(dir)
			}
			continue
		}
		lock := flock.New(filepath.Join(dir, "lock"))
		if ok, err := lock.TryLock(); err == nil && ok {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
