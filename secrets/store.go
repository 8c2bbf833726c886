package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"bivy/internal/atomicfile"
)

const (
	suffix = ".age"
	// lockWait bounds the wait for others that change the store.
	lockWait = 10 * time.Second
)

// Config says where secrets are kept, and who may open them.
type Config struct {
	// Dir is a directory of ours alone; it is made where it is missing.
	Dir string
	// Identity is a file of the user's: an age identity, one of an age plugin,
	// or an ssh private key. Where it is empty, an identity is kept in Dir.
	Identity string
	// Ask asks the user, without an echo where the answer is hidden; nil means
	// that nobody is there. Tell tells something; it may be nil, too.
	Ask  func(question string, hidden bool) (string, error)
	Tell func(message string)
}

// Store keeps a Vault for each project, in an encrypted file of its own. Several
// processes may use it at once.
type Store struct {
	Config

	mu     sync.Mutex
	opened map[string]opened
	keys   []key // once they were needed
}

// opened is a store as it was read, and the file that it was.
type opened struct {
	info fs.FileInfo
	file content
}

// Open returns the store. Nothing is read or made before it is needed.
func Open(c Config) *Store { return &Store{Config: c, opened: map[string]opened{}} }

// Problem says what is wrong with a store.
type Problem int

// The problems.
const (
	Unreadable Problem = iota + 1 // the system does not let us
	Damaged                       // it is not what was written
	Foreign                       // it is for another identity
	Newer                         // a later version has written it
)

// StoreError says why a project's secrets cannot be read or written. The file is
// as it was.
type StoreError struct {
	File    string
	Problem Problem
	Err     error
}

func (e *StoreError) Error() string {
	switch e.Problem {
	case Damaged:
		return fmt.Sprintf("the secrets in %s are damaged (%v); bring the file back from a copy, or move it away and set them anew", e.File, e.Err)
	case Foreign:
		return fmt.Sprintf("the secrets in %s are for another identity; name that one in config.toml (bivy help secrets), or move the file away and set them anew", e.File)
	case Newer:
		return fmt.Sprintf("the secrets in %s were written by a later version of bivy (%v); use that one", e.File, e.Err)
	case Unreadable:
	}
	return fmt.Sprintf("cannot use the secrets in %s: %v", e.File, e.Err)
}

// Unwrap returns what lies beneath.
func (e *StoreError) Unwrap() error { return e.Err }

// BusyError says that another process changes the secrets.
type BusyError struct{ Project string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another process has been changing the secrets of %s for %s; wait for its end and repeat", e.Project, lockWait)
}

// Read returns what a project keeps, which is nothing where it has no store.
// Errors are *StoreError and *IdentityError. The vault is shared, for reading
// only.
func (s *Store) Read(project string) (*Vault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.read(project)
	return &c.Vault, err
}

// Projects are the projects that have a store.
func (s *Store) Projects() []string {
	var names []string
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

// Peek is Read for who can do without: it asks nobody, and starts no plugin. It
// returns nil where the store cannot be read so, or at all.
func (s *Store) Peek(project string) *Vault {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := s.file(project)
	if err != nil || !exists(file) {
		return nil
	}
	keys, err := s.identity(false)
	if err != nil {
		return nil
	}
	known, ok := s.opened[project]
	c := known.file
	if !slices.ContainsFunc(keys, func(k key) bool { return k.outside }) {
		c, err = s.read(project)
		ok = err == nil
	}
	if !ok {
		return nil
	}
	return &c.Vault
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// Change lets change edit what a project keeps, and writes it. Where that
// returns an error, which Change passes on, nothing is written. Other errors are
// those of Read, and *BusyError.
func (s *Store) Change(ctx context.Context, project string, change func(*Vault) error) error {
	file, err := s.file(project)
	if err != nil {
		return err
	}
	if err := atomicfile.PrivateDir(s.Dir); err != nil {
		return fmt.Errorf("keep secrets: %w", err)
	}
	unlock, err := s.lock(ctx, project)
	if err != nil {
		return err
	}
	defer unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.read(project)
	if err != nil {
		return err
	}
	edited := content{Format: Format, Project: project, Vault: old.clone()}
	if err := change(&edited.Vault); err != nil {
		return err
	}
	data, err := s.seal(edited)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(file, data, 0o600); err != nil {
		return &StoreError{File: file, Problem: Unreadable, Err: err}
	}
	return nil
}

func (v Vault) clone() Vault {
	v.Secrets = append([]Secret(nil), v.Secrets...)
	return v
}

// file is the store of a project. Names of projects are the registry's; this
// keeps anything else from becoming a path.
func (s *Store) file(project string) (string, error) {
	if project == "" || project[0] == '.' || filepath.Base(project) != project {
		return "", fmt.Errorf("keep the secrets of %q: that is no name of a project", project)
	}
	return filepath.Join(s.Dir, project+suffix), nil
}

// lock is held while a store is changed; files of locks are never deleted, see
// workspace.Registry.Lock.
func (s *Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	limited, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	l := flock.New(filepath.Join(s.Dir, name+".lock"), flock.SetPermissions(0o600))
	ok, err := l.TryLockContext(limited, 5*time.Millisecond)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil, err == nil && !ok:
		return nil, &BusyError{name}
	case err != nil:
		return nil, fmt.Errorf("lock the secrets of %s: %w", name, err)
	}
	return func() { _ = l.Unlock() }, nil
}

// read reads a store, unless it is the file that was read last.
func (s *Store) read(project string) (content, error) {
	none := content{Format: Format, Project: project}
	file, err := s.file(project)
	if err != nil {
		return none, err
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, &StoreError{file, Unreadable, err}
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	info, err := f.Stat()
	if err != nil {
		return none, &StoreError{file, Unreadable, err}
	}
	if known, ok := s.opened[project]; ok && os.SameFile(known.info, info) && known.info.ModTime().Equal(info.ModTime()) && known.info.Size() == info.Size() {
		return known.file, nil
	}
	c, err := s.open(file, project, f)
	if err != nil {
		return none, err
	}
	s.opened[project] = opened{info, c}
	return c, nil
}
