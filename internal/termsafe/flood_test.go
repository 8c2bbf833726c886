package termsafe

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// counter counts what arrives.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// TestFlood streams 256 MiB without the end of a line through both kinds of
// watcher, which take no memory for it.
func TestFlood(t *testing.T) {
	const bound = 1 << 20
	for _, tt := range []struct {
		name, start, piece string
		length             int
		all                bool // it arrives, and else none of it
	}{
		{"one line", "", "x", 256 << 20, true},
		{"a string that does not end", "\x1b]52;c;", "QUJD", 32 << 20, false},
		{"a link that does not end", "\x1b]8;;https://", "a", 32 << 20, false},
		// This is read byte by byte.
		{"a sequence that does not end", "\x1b[", "1;", 4 << 20, false},
	} {
		chunk := bytes.Repeat([]byte(tt.piece), 256<<10/len(tt.piece))
		rounds := tt.length / len(chunk)
		out := &counter{}
		writers := io.MultiWriter(NewWriter(out), &Modes{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = io.WriteString(writers, tt.start)
		for range rounds {
			if _, err := writers.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > bound {
			t.Errorf("%s: %d bytes were allocated, want at most %d", tt.name, n, bound)
		}
		if want := int64(rounds * len(chunk)); tt.all && out.n != want || !tt.all && out.n != 0 {
			t.Errorf("%s: %d of %d bytes arrive", tt.name, out.n, want)
		}
	}
}
