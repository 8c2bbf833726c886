package archive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // git's checksum of a pack
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// packStore writes objects one after the other into one pack, since thousands
// of files of one object each would take ten times as long. They can be read
// once the pack is finished. The format is that of gitformat-pack(5), without
// deltas.
type packStore struct {
	*objectStore
	path string
	file *os.File
	out  *bufio.Writer
	has  map[string]bool
}

// packHeader is "PACK", the version and the number of objects.
const packHeader = 12

func newPackStore(objects *objectStore, path string) (*packStore, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o444) //nolint:gosec // as git does; umask decides
	if err != nil {
		return nil, fmt.Errorf("begin a pack: %w", err)
	}
	p := &packStore{objectStore: objects, path: path, file: file, out: bufio.NewWriterSize(file, 1<<18), has: make(map[string]bool)}
	_, _ = p.out.Write(make([]byte, packHeader)) // the count is not known yet
	return p, nil
}

// put writes one object ("tree" or "commit") and returns its id.
func (p *packStore) put(kind string, content []byte) (string, error) {
	id := p.hash(slices.Concat([]byte(kind+" "+strconv.Itoa(len(content))+"\x00"), content))
	if p.has[id] {
		return id, nil
	}
	p.has[id] = true
	number := byte(1) // a commit
	if kind == "tree" {
		number = 2
	}
	// Four bits of the size go with the number, and seven into each byte more.
	size := len(content)
	b := number<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		_ = p.out.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	_ = p.out.WriteByte(b)
	if err := p.deflate(p.out, content); err != nil {
		return "", fmt.Errorf("write a %s: %w", kind, err)
	}
	return id, nil
}

// finish completes the pack, and gives it an index and its name in dir.
func (p *packStore) finish(ctx context.Context, r *Repo, dir string) error {
	if len(p.has) == 0 {
		return nil
	}
	sum, err := p.seal()
	if err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	path := filepath.Join(dir, "pack-"+sum+".pack")
	if err := os.Rename(p.path, path); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	return call{dir: r.dir, env: r.env, args: []string{"index-pack", path}, stdout: &bytes.Buffer{}}.run(ctx)
}

// seal writes the count and the checksum.
func (p *packStore) seal() (string, error) {
	header := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(p.has))) //nolint:gosec // bounded by maxCommits
	if err := p.out.Flush(); err != nil {
		return "", err
	}
	if _, err := p.file.WriteAt(header, 0); err != nil {
		return "", err
	}
	sum := sha1.New() //nolint:gosec // git's checksum of a pack
	if p.format == "sha256" {
		sum = sha256.New()
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if _, err := io.Copy(sum, p.file); err != nil {
		return "", err
	}
	trailer := sum.Sum(nil)
	_, err := p.file.Write(trailer)
	return hex.EncodeToString(trailer), errors.Join(err, p.file.Sync())
}

func (p *packStore) close() { _ = p.file.Close() }
