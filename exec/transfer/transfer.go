// Package transfer carries files and trees of files to a host and back.
//
// One file goes by the user's scp over the warm master, or where that cannot be
// as a stream through a session of ours; a tree goes as a tar stream. Either way
// it is staged under a temporary name in the directory where it shall be, the
// whole of it is checked by a hash, and then it is renamed: who is cut off, and
// wherever, leaves what was there before.
//
// The host is not trusted: what it sends is bounded and checked, and nothing of
// it is written outside of the target that was named.
package transfer

import (
	_ "embed"
	"time"

	"bivy/exec/file"
	"bivy/exec/mux"
)

// The scripts that run on the host, behind those of exec/file.
var (
	//go:embed stream.sh
	streamScript string
	//go:embed put.sh
	putScript string
	//go:embed tree.sh
	treeScript string
	//go:embed get.sh
	getScript string
)

const (
	// DefaultMaxFiles is how many entries a tree from a host may have.
	DefaultMaxFiles = 1_000_000
	// DefaultMaxBytes is how much may come from a host.
	DefaultMaxBytes = 1 << 40
	// large is the size in bytes from which a hash is worth a faster program
	// and the trouble of making it while the content is on its way.
	large = 16 << 20
)

// Place is a directory on a host.
type Place struct {
	Masters *mux.Masters
	Target  mux.Target
	// Root is what relative paths there are relative to, as in exec/file.
	Root string
	// SCP is the scp program, possibly of several words; without one nothing
	// goes by scp.
	SCP []string
	// SSH is the program that scp starts; empty leaves it to scp.
	SSH string
}

// Options are those of Put and Get.
type Options struct {
	// MaxBytes and MaxFiles are in place of the defaults, for Get.
	MaxBytes, MaxFiles int64
	// Progress is told how far it is, from any goroutine, one at a time.
	Progress func(Progress)
	// Skipped is told of each entry of a tree that is not carried over, and
	// why, in words for people.
	Skipped func(path, why string)
	// Hurry, when it is closed after the context's end, makes no more fuss
	// about the other side.
	Hurry <-chan struct{}
}

// Progress is how far a transfer is.
type Progress struct {
	// Bytes are those of content that have gone; Total is -1 where not known.
	Bytes, Total int64
	// Files is how many have been begun.
	Files int64
}

// Way is how a content went.
type Way string

// The ways.
const (
	BySCP    Way = "scp"
	ByStream Way = "stream"
	ByTar    Way = "tar"
)

// Result is what was done.
type Result struct {
	Way Way
	// Path is where it went: on the host for Put, here for Get.
	Path string
	// Bytes are those of all files' content, Files how many they are: links
	// count, directories do not.
	Bytes, Files int64
	// SHA256 is that of the one file, in hex; empty for a tree.
	SHA256 string
	// Checked says how the other side checked the whole: sha256, cksum (a CRC
	// and the length), or length, for a tree on a host that cannot hash a
	// stream.
	Checked string
	// Skipped is how many entries were left out.
	Skipped int64
	Took    time.Duration
}

func (p *Place) host() string { return string(p.Target.Host) }

// failed is an error about a path on the host.
func (p *Place) failed(op, path string, kind file.Kind, line string) error {
	return &file.Error{Host: p.host(), Op: op, Path: path, Kind: kind, Line: line}
}

// odd is the error for an answer that makes no sense.
func (p *Place) odd(op, why string) error {
	return &file.ProtocolError{Host: p.host(), Op: op, Why: why}
}
