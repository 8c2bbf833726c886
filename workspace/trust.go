package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"bivy/internal/atomicfile"
)

const (
	// IncludeFile is what a project says of the files that git ignores and that
	// are to be taken along, relative to its top. It is inert until the user has
	// trusted its content.
	IncludeFile = ".bivy/include"
	// maxInclude bounds it, in bytes: somebody is to read it.
	maxInclude = 64 << 10
)

// trustFile is trust/PROJECT.json: the content that the user has approved.
type trustFile struct {
	Format  int       `json:"format"`
	Project string    `json:"project"`
	SHA256  string    `json:"include_sha256"`
	Since   time.Time `json:"since"`
}

// IncludeError says why a project's IncludeFile is not read.
type IncludeError struct {
	File string
	// Why is the end of a sentence.
	Why string
	Err error
}

func (e *IncludeError) Error() string { return fmt.Sprintf("cannot use %s: %s", e.File, e.Why) }

// Unwrap returns the system's error or nil.
func (e *IncludeError) Unwrap() error { return e.Err }

// ReadInclude returns the content of the IncludeFile below a project's top. The
// error is an *IncludeError, which wraps fs.ErrNotExist where there is none. A
// symlink is not followed: what was approved must be what the project holds.
func ReadInclude(topDir string) ([]byte, error) {
	path := filepath.Join(topDir, IncludeFile)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &IncludeError{path, reason(err), err}
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, &IncludeError{path, "it is no ordinary file", err}
	}
	content, err := io.ReadAll(io.LimitReader(f, maxInclude+1))
	switch {
	case err != nil:
		return nil, &IncludeError{path, reason(err), err}
	case len(content) > maxInclude:
		return nil, &IncludeError{path, fmt.Sprintf("it has more than %d bytes, which nobody reads; name directories instead", maxInclude), nil}
	}
	return content, nil
}

// reason is an error of the system without the path.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// Trusted reports whether the user has approved just this content of a
// project's IncludeFile. A record that cannot be read is an *UnreadableError,
// and no approval.
func (r *Registry) Trusted(project string, content []byte) (bool, error) {
	if err := checkProject(project); err != nil {
		return false, err
	}
	var t trustFile
	err := readJSON(r.trustFile(project), &t)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return t.Project == project && t.SHA256 == IncludeSum(content), nil
}

// Trust records that the user has approved this content, in place of any other.
func (r *Registry) Trust(project string, content []byte) error {
	if err := checkProject(project); err != nil {
		return err
	}
	file := r.trustFile(project)
	if err := atomicfile.PrivateDir(filepath.Dir(file)); err != nil {
		return fmt.Errorf("trust %s: %w", project, err)
	}
	return writeJSON(file, trustFile{
		Format: Format, Project: project, SHA256: IncludeSum(content), Since: time.Now().UTC().Truncate(time.Second),
	})
}

// Untrust takes the approval back; one that was never given is no error.
func (r *Registry) Untrust(project string) error {
	if err := checkProject(project); err != nil {
		return err
	}
	if err := os.Remove(r.trustFile(project)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take back the trust in %s: %w", project, err)
	}
	return nil
}

// IncludeSum is what is remembered of a content: its SHA-256 in hex digits.
func IncludeSum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (r *Registry) trustFile(project string) string {
	return filepath.Join(r.dir, "trust", project+".json")
}
