package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"time"
)

// sums hashes a content as the other side may have: by SHA-256, and where that
// is all that there is, by the CRC of POSIX's cksum.
type sums struct {
	sha hash.Hash
	crc *crc // nil: not wanted
	n   int64
}

func newSums() *sums { return &sums{sha: sha256.New()} }

func (s *sums) Write(p []byte) (int, error) {
	_, _ = s.sha.Write(p)
	if s.crc != nil {
		s.crc.write(p)
	}
	s.n += int64(len(p))
	return len(p), nil
}

func (s *sums) sha256() string { return hex.EncodeToString(s.sha.Sum(nil)) }

// The kinds of sums that a host makes.
const (
	bySHA256 = "sha256"
	byCksum  = "cksum"
	byLength = "length"
)

// verdict is what comes of a host's sum.
type verdict int

const (
	same verdict = iota
	different
	notComparable // it is a CRC, and we have none
	nonsense
)

// compare judges the line that stream.sh writes: "sha256 HEX" or "cksum CRC LENGTH".
func (s *sums) compare(line string) (how string, v verdict) {
	f := strings.Fields(line)
	switch {
	case len(f) == 2 && f[0] == bySHA256 && len(f[1]) == 2*sha256.Size:
		if f[1] != s.sha256() {
			return bySHA256, different
		}
		return bySHA256, same
	case len(f) == 3 && f[0] == byCksum && s.crc == nil:
		return byCksum, notComparable
	case len(f) == 3 && f[0] == byCksum:
		if f[1] != fmt.Sprint(s.crc.sum(s.n)) || f[2] != fmt.Sprint(s.n) {
			return byCksum, different
		}
		return byCksum, same
	}
	return "", nonsense
}

// crc is the CRC of cksum, while it is made.
type crc struct {
	table [256]uint32
	value uint32
}

func newCRC() *crc {
	const polynomial = 0x04c11db7
	c := &crc{}
	for i := range c.table {
		v := uint32(i) << 24
		for range 8 {
			v = v<<1 ^ (v>>31)*polynomial
		}
		c.table[i] = v
	}
	return c
}

func (c *crc) write(p []byte) {
	v := c.value
	for _, b := range p {
		v = v<<8 ^ c.table[byte(v>>24)^b]
	}
	c.value = v
}

// sum is the CRC of what was written and of its length n behind it.
func (c *crc) sum(n int64) uint32 {
	v := c.value
	for ; n > 0; n >>= 8 {
		v = v<<8 ^ c.table[byte(v>>24)^byte(n)]
	}
	return ^v
}

const (
	// block is how much of a file is read at once, in bytes.
	block = 1 << 20
	// growPoll is how often a file is looked at that somebody else writes.
	growPoll = 20 * time.Millisecond
)

// sumFile hashes the whole of a file.
func sumFile(ctx context.Context, f *os.File, s *sums) error {
	over := make(chan struct{})
	close(over)
	return sumGrowing(ctx, f, s, over, nil)
}

// sumGrowing hashes a file while somebody else writes it in order, until over
// is closed, and tells how far it is.
func sumGrowing(ctx context.Context, f *os.File, s *sums, over <-chan struct{}, progress func(int64)) error {
	buf := make([]byte, block)
	tick := time.NewTicker(growPoll)
	defer tick.Stop()
	at, last := int64(0), false
	for {
		n, err := f.ReadAt(buf, at)
		_, _ = s.Write(buf[:n])
		at += int64(n)
		if progress != nil && n > 0 {
			progress(at)
		}
		switch {
		case err != nil && err != io.EOF:
			return fmt.Errorf("read it again: %w", err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case n > 0:
			continue
		case last:
			return nil
		}
		select {
		case <-over:
			last = true // what came just before that is still to be read
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
