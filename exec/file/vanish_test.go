package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that vanishes between two steps of a read is one that does not exist. (A
// whole one is read while we look at it, and is there or not.)
func TestReadOfAVanishingFile(t *testing.T) {
	for name, c := range map[string]struct {
		program string
		o       ReadOptions
	}{
		"capped": {"stat", ReadOptions{Max: 2}},
		"bytes":  {"stat", ReadOptions{Bytes: &ByteRange{1, 2}}},
		"lines":  {"tail", ReadOptions{Lines: &LineRange{2, 2}}},
		"tail":   {"tail", ReadOptions{Tail: 1}},
		"hashed": {"sha256sum", ReadOptions{Tail: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			h := dashHost(t)
			h.put(t, "file", "one\ntwo\nthree\n")
			bin := t.TempDir()
			script(t, bin, c.program, filepath.Join("/usr/bin", c.program)+` "$@"; code=$?; rm -f `+h.at("file")+`; exit $code`)
			h.path = bin + ":" + h.path
			_, err := h.fs().Read(t.Context(), "file", c.o)
			wantKind(t, err, NotFound)
		})
	}
}

// The end of a file without lines is found without reading all of it.
func TestTailOfAnEnormousLine(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.put(t, "big", "begin\n")
		if err := os.Truncate(h.at("big"), 1<<40); err != nil {
			// Not every file system has files of that size.
			t.Skip(err)
		}
		began := time.Now()
		got, err := h.fs().Read(t.Context(), "big", ReadOptions{Tail: 1, Max: 10})
		if err != nil || string(got.Data) != "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" || got.Omitted != -1 {
			t.Errorf("%q, omitted %d, %v", got.Data, got.Omitted, err)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("it took %s", took)
		}
		h.put(t, "lines", "one\ntwo\nthree")
		for n, want := range map[int64]string{1: "three", 2: "two\nthree", 3: "one\ntwo\nthree", 4: "one\ntwo\nthree", 1 << 59: "one\ntwo\nthree"} {
			got, err := h.fs().Read(t.Context(), "lines", ReadOptions{Tail: n})
			if err != nil || string(got.Data) != want {
				t.Errorf("the last %d lines are %q, %v", n, got.Data, err)
			}
		}
	})
}
