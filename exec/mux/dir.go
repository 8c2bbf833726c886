package mux

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"bivy/internal/atomicfile"
	"bivy/sshcmd"
)

// idLength is the number of hex digits of a route's identity in file names.
const idLength = 16

// Dir is the private directory in which everything about masters lives:
// ID is the control socket, ID.* are its sidecars.
type Dir struct{ path string }

// OpenDir makes and checks the socket directory. It prefers the wanted one
// and falls back to /tmp/bivy-UID-XXXXXXXX (the digits name the wanted one,
// so that each BIVY_HOME has its own) where a socket in it would be too long
// or the disk is not local. It fails closed: a directory that somebody else
// owns or can enter is an error, since an ssh client talks to any socket it
// finds, whoever listens there.
func OpenDir(wanted string) (Dir, error) {
	path := wanted
	if sshcmd.ControlPathOK(socketIn(wanted), runtime.GOOS) != nil || !isLocal(wanted) {
		sum := sha256.Sum256([]byte(wanted))
		path = filepath.Join("/tmp", "bivy-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:4]))
	}
	if err := atomicfile.PrivateDir(path); err != nil {
		return Dir{}, fmt.Errorf("open the directory for control sockets: %w", err)
	}
	return Dir{path: path}, nil
}

// socketIn is a path as long as any socket in dir.
func socketIn(dir string) string {
	return filepath.Join(dir, secondID("0123456789abcdef"))
}

// Path is the directory itself.
func (d Dir) Path() string { return d.path }

func (d Dir) socket(id string) string { return filepath.Join(d.path, id) }
func (d Dir) sidecar(id, kind string) string {
	return filepath.Join(d.path, id+"."+kind)
}

// existingParent is the nearest directory above path that exists.
func existingParent(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}
