package file

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"time"

	"bivy/exec/frame"
)

var (
	//go:embed write.sh
	writeScript string
	//go:embed parent.sh
	parentScript string
	//go:embed lock.sh
	lockScript string
)

const (
	// MaxWrite is the largest content that Write takes, in bytes.
	MaxWrite = 256 << 20
	// DefaultLockWait is how long a conditional write waits for another one in
	// the same directory.
	DefaultLockWait = 10 * time.Second
)

// WriteOptions choose how a file is written.
type WriteOptions struct {
	// IfMatch is the SHA-256, in hex, that the file must have now; the write is
	// then a compare-and-swap among those that use IfMatch: of two with the
	// same one wins. Programs that do not know of our lock may still come in
	// between.
	IfMatch string
	// CreateOnly fails with Exists where anything is there, a link too.
	CreateOnly bool
	// Mode, when set, is the file's in the end. Otherwise a file keeps its own,
	// and a new one gets what the umask there gives.
	Mode *fs.FileMode
	// NoSync does not wait until the host's disk holds the content.
	NoSync bool
	// LockWait is in place of DefaultLockWait.
	LockWait time.Duration
}

// Written says what a write has done.
type Written struct {
	// SHA256 and Length are those of the content.
	SHA256 string
	Length int64
	// Created says that there was no such file before.
	Created bool
	// Verified says how the host checked what it got: sha256 or cksum, which
	// is a CRC and the length.
	Verified string
	// OwnerChanged says that the file belonged to somebody else, and is ours
	// now. LinksBroken says that it had other names, which keep the old
	// content. Both are so because a file is replaced, not overwritten.
	OwnerChanged, LinksBroken bool
}

// Write replaces a file's content, or makes the file and the directories above
// it. Whatever happens on the way, the file has the old content or the new. A
// symbolic link is followed, and what it leads to is replaced. Access control
// lists and extended attributes are not kept.
func (f *FS) Write(ctx context.Context, path string, content []byte, o WriteOptions) (Written, error) {
	if len(content) > MaxWrite {
		return Written{}, &TooLargeError{Host: f.Runner.Host(), Op: "write", Path: path, Size: int64(len(content)), Limit: MaxWrite}
	}
	if path == "" || o.IfMatch != "" && (!isSHA256(o.IfMatch) || o.CreateOnly) {
		return Written{}, &Error{Host: f.Runner.Host(), Op: "write", Path: path, Kind: Invalid}
	}
	mode, wait, create, sync := "", o.LockWait, flag(o.CreateOnly), flag(!o.NoSync)
	if o.Mode != nil {
		mode = octal(*o.Mode)
	}
	if wait == 0 {
		wait = DefaultLockWait
	}
	sum := sha256.Sum256(content)
	w := Written{SHA256: hex.EncodeToString(sum[:]), Length: int64(len(content))}
	known, err := f.call(ctx, Call{
		Op: "write", Function: "bivy_write", Changes: true, Stdin: content,
		Script: frame.Strip(linesScript) + frame.Strip(hashScript) + frame.Strip(lockScript) + frame.Strip(parentScript) + frame.Strip(writeScript),
		Args: []string{
			path, itoa(w.Length), w.SHA256, fmt.Sprintf("%d %d", cksum(content), len(content)), mode, o.IfMatch, create, sync,
			itoa(int64(wait / (100 * time.Millisecond))),
		},
	}, path, nil)
	if err != nil {
		return Written{}, err
	}
	w.Created, w.OwnerChanged, w.Verified = known["created"] == "1", known["owner"] == "1", known["checked"]
	if was, ok := parseInfo(known["was"]); ok {
		w.LinksBroken = was.Links > 1
	}
	if w.Verified != "sha256" && w.Verified != "cksum" {
		return Written{}, f.odd("write", "it does not say how it checked the content")
	}
	return w, nil
}

// cksum is the CRC of POSIX's cksum: of the content, and of its length behind
// it.
func cksum(content []byte) uint32 {
	table := cksumTable()
	crc := uint32(0)
	for _, b := range content {
		crc = crc<<8 ^ table[byte(crc>>24)^b]
	}
	for n := uint64(len(content)); n > 0; n >>= 8 {
		crc = crc<<8 ^ table[byte(crc>>24)^byte(n)]
	}
	return ^crc
}

func cksumTable() *[256]uint32 {
	const polynomial = 0x04c11db7
	var table [256]uint32
	for i := range table {
		crc := uint32(i) << 24
		for range 8 {
			high := crc >> 31
			crc = crc<<1 ^ high*polynomial
		}
		table[i] = crc
	}
	return &table
}
