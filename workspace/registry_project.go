package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// projectFile is projects/NAME.json: which directory has that name.
type projectFile struct {
	Format int    `json:"format"`
	Name   string `json:"name"`
	// Dir is the project's top directory, absolute.
	Dir string `json:"dir"`
}

// projectLockWait bounds the wait for other processes that name a project at
// the same moment, which takes each of them milliseconds.
const projectLockWait = 10 * time.Second

// Project returns the name of the project whose top directory is topDir, an
// absolute path, and remembers it. That is base, usually the directory's name,
// with every character that a name cannot have made a dash; where another
// directory has that name already (upper and lower case count as the same, for
// the file systems of macOS), a dash and 4 hex digits of the SHA-256 of topDir
// follow.
func (r *Registry) Project(topDir, base string) (string, error) {
	if name, ok, err := r.ProjectOf(topDir); err != nil || ok {
		return name, err
	}
	unlock, err := r.lockProjects()
	if err != nil {
		return "", err
	}
	defer unlock()
	return r.addProject(filepath.Clean(topDir), base)
}

// ProjectOf returns the name of the project at topDir, an absolute path, if it
// has one. Files that cannot be read are of other projects, as far as this can
// tell.
func (r *Registry) ProjectOf(topDir string) (string, bool, error) {
	if !filepath.IsAbs(topDir) {
		return "", false, fmt.Errorf("name the project at %q: the path is not absolute", topDir)
	}
	if err := checkText(topDir); err != nil {
		return "", false, fmt.Errorf("name the project: %w", err)
	}
	topDir = filepath.Clean(topDir)
	projects, _, err := r.projects()
	if err != nil {
		return "", false, err
	}
	for name, dir := range projects {
		if dir == topDir {
			return name, true, nil
		}
	}
	return "", false, nil
}

// addProject is called with the lock held.
func (r *Registry) addProject(topDir, base string) (string, error) {
	projects, broken, err := r.projects()
	if err != nil {
		return "", err
	}
	base = cleanProject(base)
	taken := map[string]error{}
	for name, dir := range projects {
		if dir == topDir {
			return name, nil
		}
		taken[strings.ToLower(name)] = nil
	}
	for name, err := range broken {
		taken[strings.ToLower(name)] = err
	}
	sum := sha256.Sum256([]byte(topDir))
	digits := hex.EncodeToString(sum[:])
	name := base
	// Each round but the first takes more digits, should even those be taken.
	for n := 4; ; n += 4 {
		err, found := taken[strings.ToLower(name)]
		if err != nil {
			// That file may be this very project's: a second name would hide
			// its workspaces.
			return "", err
		}
		if !found {
			break
		}
		if n > len(digits) {
			return "", fmt.Errorf("name the project at %s: every name is taken", topDir)
		}
		name = base + "-" + digits[:n]
	}
	return name, writeJSON(r.projectFile(name), projectFile{Format: Format, Name: name, Dir: topDir})
}

// projects returns the directory of each project, and the error of each file
// that cannot be used, by the project's name.
func (r *Registry) projects() (dirs map[string]string, broken map[string]error, err error) {
	files, err := os.ReadDir(filepath.Join(r.dir, "projects"))
	if err != nil {
		return nil, nil, fmt.Errorf("list projects: %w", err)
	}
	dirs, broken = map[string]string{}, map[string]error{}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok || checkProject(name) != nil {
			continue
		}
		var p projectFile
		err := readJSON(r.projectFile(name), &p)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed by hand meanwhile
		case err != nil:
			broken[name] = err
		case p.Name != name:
			broken[name] = &UnreadableError{File: r.projectFile(name), Err: fmt.Errorf("it is the file of project %q", p.Name)}
		default:
			dirs[name] = p.Dir
		}
	}
	return dirs, broken, nil
}

func (r *Registry) projectFile(name string) string {
	return filepath.Join(r.dir, "projects", name+".json")
}

func (r *Registry) lockProjects() (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), projectLockWait)
	defer cancel()
	path := filepath.Join(r.dir, "locks", "projects.lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLockContext(ctx, 5*time.Millisecond)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !ok {
		return nil, fmt.Errorf("lock %s: another process holds it", path)
	}
	return func() { _ = l.Unlock() }, nil
}
