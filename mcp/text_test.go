package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"bivy/exec/file"
)

// An excerpt is valid text, not much longer than asked, and tells how much is
// missing, wherever it is cut.
func TestExcerpt(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test wants the same numbers again
	pieces := []string{"a", "ä", "漢", "\U0001f600", "\n", "\xff", "\x1b[31m", "\x07", "word "}
	for range 3000 {
		var b strings.Builder
		for range rng.IntN(3000) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		data := []byte(b.String())
		k := kept{limit: 256 + rng.IntN(2000)}
		for rest := data; len(rest) > 0; {
			n := min(1+rng.IntN(500), len(rest))
			_, _ = k.Write(rest[:n])
			rest = rest[n:]
		}
		from := int64(rng.IntN(len(data) + 1))
		front, gap, back, to := k.since(from)
		if to != int64(len(data)) || int64(len(front))+gap+int64(len(back)) != to-from || !bytes.HasPrefix(data[from:], front) || !bytes.HasSuffix(data, back) {
			t.Fatalf("from %d of %d: %d, a gap of %d, %d", from, len(data), len(front), gap, len(back))
		}
		budget := 128 + rng.IntN(k.limit)
		e := excerptOf(front, gap, back, budget)
		if !utf8.ValidString(e.text) || len(e.text) > budget+100 || e.total != to-from || strings.Contains(e.text, "\x1b") {
			t.Fatalf("%d bytes for a budget of %d, of %d", len(e.text), budget, e.total)
		}
		if (e.omitted > 0) != strings.Contains(e.text, fmt.Sprintf("[… %d of %d bytes are left out here …]", e.omitted, e.total)) {
			t.Fatalf("%d bytes are left out, and it says %q", e.omitted, e.text)
		}
	}
	// Of plain text the sum is right.
	plain := []byte(strings.Repeat("abcdefghi\n", 1000))
	e := excerptOf(plain, 0, nil, 1000)
	front, back, _ := strings.Cut(e.text, "[… ")
	_, back, _ = strings.Cut(back, "…]\n")
	if int64(len(front)+len(back))+e.omitted != 10_000 || !strings.HasSuffix(front, "hi\n") || !strings.HasPrefix(back, "abc") {
		t.Errorf("%q", e.text)
	}
}

func TestSharedBudget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ out, err, shownOut, shownErr int }{
		{100, 100, 100, 100}, {10_000, 0, 1000, 0}, {0, 10_000, 0, 1000}, {10_000, 100, 900, 100}, {100, 10_000, 100, 900}, {10_000, 10_000, 500, 500},
	} {
		s := newStreams(1000, nil)
		_, _ = s.out.Write(bytes.Repeat([]byte("x"), c.out))
		_, _ = s.err.Write(bytes.Repeat([]byte("y"), c.err))
		out, err, toOut, toErr := s.excerpts(0, 0, 1000)
		o, e := strings.Count(out.text, "x"), strings.Count(err.text, "y")-strings.Count(err.text, "bytes")
		if o != c.shownOut || e != c.shownErr || toOut != int64(c.out) || toErr != int64(c.err) {
			t.Errorf("of %d and %d bytes %d and %d are shown; want %d and %d", c.out, c.err, o, e, c.shownOut, c.shownErr)
		}
	}
}

// What is remembered is bounded, and the oldest goes first.
func TestMemory(t *testing.T) {
	t.Parallel()
	m := newMemory()
	content := func(size int) file.Content {
		data := make([]byte, size)
		sum := sha256.Sum256(data)
		return file.Content{Data: data, Whole: true, SHA256: hex.EncodeToString(sum[:])}
	}
	for i := range 200 {
		m.remember(fmt.Sprint(i), content(1<<20))
		m.recall("0")
		if m.size > memoryLimit {
			t.Fatalf("%d bytes are remembered", m.size)
		}
	}
	for key, want := range map[string]bool{"0": true, "1": false, "199": true} {
		if c, ok := m.recall(key); ok != want || ok && !c.Whole {
			t.Errorf("%s is remembered: %v", key, ok)
		}
	}
	m.remember("large", content(memoryLargest+1))
	if c, ok := m.recall("large"); !ok || c.Whole || c.Data != nil || c.SHA256 == "" {
		t.Errorf("of a large file %v, %d bytes are remembered", ok, len(c.Data))
	}
	m.remember("0", file.Content{})
	if _, ok := m.recall("0"); ok {
		t.Error("a file of no known hash is remembered")
	}
	for key := range m.files {
		m.forget(key)
	}
	if m.size != 0 || m.order.Len() != 0 {
		t.Errorf("%d bytes are left of nothing", m.size)
	}
}
