package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bivy/exec/frame"
	"bivy/internal/termsafe"
)

// Put carries files and directories to the host. With one source, path is what
// it shall be called, or a directory that it shall go into; with several it is
// a directory.
//
// A file that is there is replaced and keeps its mode; a symbolic link is
// followed. A new file gets the mode of its source, less the umask there. A
// directory that is there gets what it does not have, and files of the same name
// are replaced one by one: nothing is removed. Special files are left out.
func (p *Place) Put(ctx context.Context, sources []string, path string, o Options) (Result, error) {
	began := time.Now()
	found, err := lookAt(sources)
	if err != nil {
		return Result{}, err
	}
	lease, err := p.Masters.LeaseSoon(ctx, p.Target)
	if err != nil {
		return Result{}, err
	}
	defer lease.Release()
	s := &sending{Place: p, Options: o, lease: lease, path: path}
	var done Result
	if len(found) == 1 && !found[0].info.IsDir() {
		done, err = s.file(ctx, found[0])
	} else {
		done, err = s.tree(ctx, found)
	}
	done.Took = time.Since(began)
	return done, err
}

// source is what is to be sent.
type source struct {
	path string
	// name is what it is called there; empty for the content of a directory.
	name string
	info fs.FileInfo
}

// SourceError says that something here cannot be sent.
type SourceError struct {
	Path string
	// Missing says that it is not there.
	Missing bool
	Why     string
	Err     error
}

func (e *SourceError) Error() string { return fmt.Sprintf("cannot send %s: %s", quoted(e.Path), e.Why) }

// Unwrap returns the system's error or nil.
func (e *SourceError) Unwrap() error { return e.Err }

func lookAt(paths []string) ([]source, error) {
	var all []source
	names := map[string]string{}
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, cannotSend(path, err)
		case !info.IsDir() && !info.Mode().IsRegular():
			return nil, &SourceError{Path: path, Why: "it is neither a file nor a directory"}
		}
		name := nameOf(path)
		if name == "" && len(paths) > 1 {
			if name, err = absoluteName(path); err != nil {
				return nil, err
			}
		}
		if other, twice := names[name]; twice {
			return nil, &SourceError{Path: path, Why: "it would overwrite " + quoted(other) + ", which has the same name"}
		}
		names[name] = path
		all = append(all, source{path, name, info})
	}
	return all, nil
}

func cannotSend(path string, err error) error {
	e := &SourceError{Path: path, Missing: errors.Is(err, fs.ErrNotExist), Err: err, Why: err.Error()}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		e.Why = errno.Error()
	}
	return e
}

// nameOf is the name that something has in a directory that it goes into: the
// last part of its path. It is empty for a path that ends in . or .. and so means
// the content of a directory.
func nameOf(path string) string {
	path = strings.TrimRight(path, "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	if name == "." || name == ".." {
		return ""
	}
	return name
}

func absoluteName(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	if name := nameOf(abs); name != "" {
		return name, nil
	}
	return "", &SourceError{Path: path, Why: "it has no name to be called by there"}
}

// open begins the dialog for something of a length, and returns its first answer.
func (s *sending) open(ctx context.Context, name, what string, length int64) (facts, error) {
	big := ""
	if length >= large {
		big = "1"
	}
	s.dialog = s.talk(ctx, s.lease, "put", s.path, "bivy_put", frame.Strip(putScript)+frame.Strip(treeScript), s.Hurry,
		s.path, name, what, strconv.FormatInt(length, 10), big)
	known, err := s.dialog.wait(ctx, "open")
	if err != nil {
		return nil, s.blame(ctx, err)
	}
	umask, err := strconv.ParseUint(known["umask"], 8, 32)
	if err != nil {
		return nil, s.odd("put", "its umask is none")
	}
	s.umask = fs.FileMode(umask) & fs.ModePerm
	s.final = known["path"]
	return known, nil
}

// blame says of an error before the rename that nothing was changed, where that
// is in doubt.
func (s *sending) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return unchanged(s.host(), err)
}

// quoted makes a path of ours fit for a message.
func quoted(path string) string { return termsafe.Line(path, 300) }
