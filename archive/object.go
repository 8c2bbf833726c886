package archive

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // git's object ids
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// objectStore is a directory of loose objects, laid out as git does.
//
// Objects are written here without git's help: git, asked to write an object
// that the repository already has, sets the time stamp of the user's file
// instead, and its commands take names, dates, encodings and signatures from
// the user's configuration.
type objectStore struct {
	dir    string
	format string // "sha1" or "sha256"

	z *zlib.Writer // kept, since each new one costs most of a megabyte
}

// put writes one object ("tree", "commit" or "blob") and returns its id.
func (o *objectStore) put(kind string, content []byte) (string, error) {
	raw := framed(kind, content)
	id := o.hash(raw)
	var packed bytes.Buffer
	if err := o.deflate(&packed, raw); err != nil {
		return "", fmt.Errorf("write a %s: %w", kind, err)
	}
	path := filepath.Join(o.dir, id[:2], id[2:])
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("write a %s: %w", kind, err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("write a %s: %w", kind, err)
	}
	return id, nil
}

// framed is an object as git hashes it: with its kind and size in front.
func framed(kind string, content []byte) []byte {
	return slices.Concat([]byte(kind+" "+strconv.Itoa(len(content))+"\x00"), content)
}

func (o *objectStore) deflate(to io.Writer, raw []byte) error {
	if o.z == nil {
		z, err := zlib.NewWriterLevel(to, zlib.BestSpeed)
		if err != nil {
			return err
		}
		o.z = z
	}
	o.z.Reset(to)
	if _, err := o.z.Write(raw); err != nil {
		return err
	}
	return o.z.Close()
}

func (o *objectStore) hash(raw []byte) string {
	if o.format == "sha256" {
		sum := sha256.Sum256(raw)
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(raw) //nolint:gosec // git's object ids
	return hex.EncodeToString(sum[:])
}
