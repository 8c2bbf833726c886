// Package workspace holds what a person names: the registry of workspaces on
// this machine, and the operations on a workspace as a whole.
package workspace

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"bivy/internal/atomicfile"
)

// Format is the number in the `format` field of the files that this version
// writes. It reads no higher one.
const Format = 1

// State says how far the making of a workspace has come.
type State string

const (
	// Creating is a workspace that is being made, or whose making was cut off.
	Creating State = "creating"
	// Ready is a workspace that was made to the end.
	Ready State = "ready"
)

// Record is what the registry knows of one workspace. It holds no secret.
type Record struct {
	Format int `json:"format"`
	// ID is 16 random hex digits, made by NewID; it names the workspace for
	// good, across renames.
	ID      string `json:"id"`
	Project string `json:"project"`
	Name    string `json:"name"`
	// ProjectDir is the absolute path of the project's top directory here.
	ProjectDir string `json:"project_dir"`
	// Host is the alias as the user typed it.
	Host string `json:"host"`
	// SSHConfig is the user's --ssh-config, an absolute path, or empty.
	SSHConfig string `json:"ssh_config,omitempty"`
	// SSHOptions are the user's -o, each KEY=VALUE.
	SSHOptions []string `json:"ssh_options,omitempty"`
	// Root and Dir are absolute paths on the host, empty until known.
	Root string `json:"root,omitempty"`
	Dir  string `json:"dir,omitempty"`
	// Snapshot is the object id of the commit that was sent, Source that of
	// the commit it was made from, Ref what the user called that.
	Snapshot string `json:"snapshot,omitempty"`
	Source   string `json:"source,omitempty"`
	Ref      string `json:"ref,omitempty"`
	// Branch is the branch that is checked out there at first.
	Branch string `json:"branch,omitempty"`
	// Sent is every state that was sent to it, the newest last: what its
	// commits may stand on. Snapshot and Source are those of the last.
	Sent []Sent `json:"sent,omitempty"`
	// History says that commits were sent as they are, Depth how many
	// generations of them, or 0 for all. Included is the tree of the files that
	// went along beside the last commit.
	History  bool   `json:"history,omitempty"`
	Depth    int    `json:"depth,omitempty"`
	Included string `json:"included,omitempty"`
	// Pulled says where its commits are kept here.
	Pulled []Pulled `json:"pulled,omitempty"`
	// Adopted is a directory that was there before: nothing is sent to it, and
	// removing the workspace leaves it alone.
	Adopted bool `json:"adopted,omitempty"`
	// Init says how the project's InitFile ended there; nil where none ran.
	Init *Init `json:"init,omitempty"`
	// ObjectFormat is git's name of the hash: sha1 or sha256.
	ObjectFormat string `json:"object_format,omitempty"`
	State        State  `json:"state"`
	// RenameTo is the name that it is to get, in the state Renaming.
	RenameTo string `json:"rename_to,omitempty"`
	// ForkOf tells one fork from another, in the state Forking.
	ForkOf  string    `json:"fork_of,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Sent is one state of the project as it was sent.
type Sent struct {
	// Snapshot is the commit that the host got, Source the commit here that it
	// was made from. They are the same where history was sent.
	Snapshot string `json:"snapshot"`
	Source   string `json:"source"`
	// Dirty says that Snapshot holds changes that Source does not have.
	Dirty bool `json:"dirty,omitempty"`
}

// Pulled is a tip of a workspace that was brought here.
type Pulled struct {
	// There is the commit's id in the workspace, Here the one that it got in
	// the project, where it stands on Source instead of Snapshot; Ref leads to
	// it there.
	There string `json:"there"`
	Here  string `json:"here"`
	Ref   string `json:"ref"`
}

// FullName returns the full name of the record's workspace.
func (r Record) FullName() Ref { return Ref{Project: r.Project, Name: r.Name} }

// NewID returns 16 random hex digits.
func NewID() string {
	var b [8]byte
	// crypto/rand.Read never fails since Go 1.24.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Registry is the list of workspaces, in a private directory:
//
//	workspaces/PROJECT/NAME.json   one file a workspace
//	projects/PROJECT.json          which directory has that project name
//	locks/…                        flock(2) files, never deleted
//
// Every file is renamed into place, so readers take no lock. Methods may be
// called from several goroutines and processes at once.
type Registry struct{ dir string }

// OpenRegistry opens the registry in dir, an absolute path, and makes the
// directory, mode 0700, where it is missing. A directory that others may write
// to, or that somebody else owns, is refused.
func OpenRegistry(dir string) (*Registry, error) {
	for _, d := range []string{dir, filepath.Join(dir, "workspaces"), filepath.Join(dir, "projects"), filepath.Join(dir, "locks")} {
		if err := atomicfile.PrivateDir(d); err != nil {
			return nil, fmt.Errorf("open the registry: %w", err)
		}
	}
	return &Registry{dir: dir}, nil
}

// List returns all records, sorted by project and name. What cannot be read is
// returned as errors, each an *UnreadableError, and hides no other record.
func (r *Registry) List() ([]Record, []error) {
	refs, err := r.names()
	if err != nil {
		return nil, []error{err}
	}
	var records []Record
	var errs []error
	for _, ref := range refs {
		rec, err := r.read(ref)
		switch {
		case err == nil:
			records = append(records, rec)
		case errors.Is(err, fs.ErrNotExist): // it was removed meanwhile
		default:
			errs = append(errs, err)
		}
	}
	return records, errs
}

// Put writes the record; Format, Updated and, where it is zero, Created are
// filled in. Whoever changes a workspace holds its Lock. A record that a newer
// version has written is not overwritten.
func (r *Registry) Put(rec Record) error {
	ref := rec.FullName()
	if err := checkRef(ref); err != nil {
		return fmt.Errorf("write a workspace's record: %w", err)
	}
	if rec.ID == "" {
		return fmt.Errorf("write the record of %s: it has no id", ref)
	}
	for _, text := range append([]string{rec.ProjectDir, rec.Host, rec.SSHConfig, rec.Root, rec.Dir, rec.Ref, rec.Branch}, rec.SSHOptions...) {
		if err := checkText(text); err != nil {
			return fmt.Errorf("write the record of %s: %w", ref, err)
		}
	}
	if err := rec.check(); err != nil {
		return fmt.Errorf("write the record of %s: %w", ref, err)
	}
	var newer *FormatError
	if _, err := r.read(ref); errors.As(err, &newer) && newer.Format > Format {
		return err
	}
	rec.Format = Format
	rec.Updated = time.Now().UTC().Truncate(time.Millisecond)
	if rec.Created.IsZero() {
		rec.Created = rec.Updated
	}
	file := r.file(ref)
	if err := atomicfile.PrivateDir(filepath.Dir(file)); err != nil {
		return fmt.Errorf("write the record of %s: %w", ref, err)
	}
	return writeJSON(file, rec)
}

// Delete removes the record; one that is not there is no error. The name of
// the project is remembered.
func (r *Registry) Delete(project, name string) error {
	ref := Ref{Project: project, Name: name}
	if err := checkRef(ref); err != nil {
		return fmt.Errorf("remove a workspace's record: %w", err)
	}
	if err := os.Remove(r.file(ref)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the record of %s: %w", ref, err)
	}
	return nil
}

func (r *Registry) file(ref Ref) string {
	return filepath.Join(r.dir, "workspaces", ref.Project, ref.Name+".json")
}

func (r *Registry) read(ref Ref) (Record, error) {
	var rec Record
	file := r.file(ref)
	if err := readJSON(file, &rec); err != nil {
		return Record{}, err
	}
	err := rec.check()
	if err == nil && rec.State == Renaming && rec.FullName() != ref {
		rec = rec.renamed()
	}
	if rec.FullName() != ref {
		err = fmt.Errorf("it is the record of %s", rec.FullName())
	}
	if err != nil {
		return Record{}, &UnreadableError{File: file, Err: err}
	}
	return rec, nil
}

// readJSON reads a file of the registry. Errors are *UnreadableError.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return &UnreadableError{File: path, Err: err}
	}
	// The number comes first: a newer file may have fields of other types.
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return &UnreadableError{File: path, Err: err}
	}
	if head.Format < 1 || head.Format > Format {
		return &UnreadableError{File: path, Err: &FormatError{Format: head.Format}}
	}
	if err := json.Unmarshal(data, into); err != nil {
		return &UnreadableError{File: path, Err: err}
	}
	return nil
}

// checkText refuses what JSON cannot hold: it would come back as another path.
func checkText(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%q is not UTF-8, and bivy cannot remember such a name; rename it", text)
	}
	return nil
}

func writeJSON(path string, value any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := atomicfile.Write(path, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
