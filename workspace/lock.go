package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"bivy/internal/atomicfile"
)

// BusyError says that another process holds a workspace's lock.
type BusyError struct {
	Ref Ref
	// PID is the holder's process id, and Host the name of its machine: a home
	// directory may be shared. PID is zero where the holder has not said yet.
	PID  int
	Host string
	// Doing is what the holder does, in its own words, such as "bivy new".
	Doing string
	// Since is when it took the lock.
	Since time.Time
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
		if here, err := os.Hostname(); err == nil && e.Host != "" && e.Host != here {
			who += " on " + e.Host
		}
	}
	text := fmt.Sprintf("workspace %s is busy: %s holds it", e.Ref, who)
	if e.Doing != "" {
		text += fmt.Sprintf(" (%s, since %s)", e.Doing, e.Since.Local().Format("15:04:05"))
	}
	return text + "; wait for its end and repeat"
}

// holder is the content of a lock file while the lock is held.
type holder struct {
	Format int       `json:"format"`
	PID    int       `json:"pid"`
	Host   string    `json:"host"`
	Doing  string    `json:"doing"`
	Since  time.Time `json:"since"`
}

// Lock takes the lock of a workspace, which need not exist, for whoever
// changes it; doing says what for, in a word or two that others will read, such
// as "bivy new". It does not wait: a lock that is held, by another process or
// by this one, gives *BusyError at once. The lock is the kernel's, flock(2): it
// ends with the process. The caller calls unlock once.
//
// Lock files are never deleted: somebody may just have opened one to lock it,
// and would then hold the lock of a file that nobody else can find.
func (r *Registry) Lock(ctx context.Context, project, name, doing string) (unlock func(), err error) {
	ref := Ref{Project: project, Name: name}
	if err := checkRef(ref); err != nil {
		return nil, fmt.Errorf("lock a workspace: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("lock workspace %s: %w", ref, err)
	}
	path := filepath.Join(r.dir, "locks", project, name+".lock")
	if err := atomicfile.PrivateDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("lock workspace %s: %w", ref, err)
	}
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock workspace %s: %w", ref, err)
	}
	if !ok {
		return nil, busy(path, ref)
	}
	if err := writeHolder(path, doing); err != nil {
		return nil, errors.Join(fmt.Errorf("lock workspace %s: %w", ref, err), l.Unlock())
	}
	return func() {
		// An empty file is a lock that nobody holds, to those who look with cat.
		_ = os.Truncate(path, 0)
		_ = l.Unlock()
	}, nil
}

// writeHolder writes into the file itself: a renamed one would be another
// file, with another lock.
func writeHolder(path, doing string) error {
	host, _ := os.Hostname() // only for the message
	text, err := json.Marshal(holder{
		Format: Format, PID: os.Getpid(), Host: host, Doing: doing, Since: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// busy reads who holds the lock. The file may be empty or half-written when
// the holder took the lock this very moment.
func busy(path string, ref Ref) *BusyError {
	e := &BusyError{Ref: ref}
	var h holder
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &h) != nil {
		return e
	}
	e.PID, e.Host, e.Doing, e.Since = h.PID, h.Host, h.Doing, h.Since
	return e
}
