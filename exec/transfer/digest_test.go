package transfer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// The CRC is that of cksum.
func TestCksum(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "a", noise(100_000)} {
		var out bytes.Buffer
		exit, err := proc.Run(t.Context(), proc.Spec{Args: []string{"cksum"}, Stdin: strings.NewReader(content), Stdout: &out})
		if err != nil || !exit.OK() {
			t.Fatal(exit, err)
		}
		s := newSums()
		s.crc = newCRC()
		_, _ = s.Write([]byte(content))
		if how, v := s.compare("cksum " + strings.TrimSpace(out.String())); how != byCksum || v != same {
			t.Errorf("of %d bytes: %s, %d", len(content), how, v)
		}
		if _, v := s.compare("cksum 1 2"); v != different {
			t.Errorf("another one is %d", v)
		}
		s.crc = nil
		if _, v := s.compare("cksum 1 2"); v != notComparable {
			t.Errorf("one that cannot be compared is %d", v)
		}
		for _, odd := range []string{"", "sha256", "sha256 abc", "md5 " + strings.Repeat("0", 64), "cksum 1"} {
			if _, v := s.compare(odd); v != nonsense {
				t.Errorf("%q is %d", odd, v)
			}
		}
	}
}

// A file that grows is hashed to its end, whatever the pace.
func TestSumGrowing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // a test's
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // a test's
	over, content := make(chan struct{}), noise(3<<20)
	seen := make(chan int64)
	s, done := newSums(), make(chan error)
	go func() { done <- sumGrowing(t.Context(), in, s, over, func(n int64) { seen <- n }) }()
	for rest := content; rest != ""; {
		n := min(1<<20, len(rest))
		if _, err := out.WriteString(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		for got := int64(0); got < int64(len(content)-len(rest)); {
			got = <-seen
		}
	}
	close(over)
	if err := <-done; err != nil || s.sha256() != sumOf(content) || s.n != int64(len(content)) {
		t.Errorf("%v, %d bytes", err, s.n)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	if err := sumGrowing(ctx, in, newSums(), nil, nil); !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
}
