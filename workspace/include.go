package workspace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// IncludeFile is the file, in a project, that names ignored files to take
// along, in the syntax of gitignore(5).
const IncludeFile = ".bivy/include"

// maxInclude bounds IncludeFile, in bytes.
const maxInclude = 1 << 20

// ReadInclude returns the content of a project's IncludeFile, nothing where
// there is none. It must be a plain file.
func ReadInclude(projectDir string) ([]byte, error) {
	path := filepath.Join(projectDir, IncludeFile)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read what to include: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read what to include: %s is no plain file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read what to include: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxInclude+1))
	if err == nil && len(text) > maxInclude {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxInclude)
	}
	if err != nil {
		return nil, fmt.Errorf("read what to include: %w", err)
	}
	return text, nil
}
