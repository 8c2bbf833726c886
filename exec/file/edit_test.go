package file

import (
	"errors"
	"strings"
	"testing"
)

func TestReplaceAll(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		changes []Replacement
		want    string
		index   int
		count   int // of an error; want is empty then
	}{
		"one":                 {text: "a b c", changes: []Replacement{{Old: "b", New: "x"}}, want: "a x c"},
		"one after the other": {text: "a b", changes: []Replacement{{Old: "a", New: "b"}, {Old: "b b", New: "c"}}, want: "c"},
		"all":                 {text: "a a a", changes: []Replacement{{Old: "a", New: "b", All: true}}, want: "b b b"},
		"to nothing":          {text: "a b", changes: []Replacement{{Old: " b", New: ""}}, want: "a"},
		"twice":               {text: "a a", changes: []Replacement{{Old: "a", New: "b"}}, count: 2},
		"overlapping":         {text: "aaa", changes: []Replacement{{Old: "aa", New: "b"}}, count: 2},
		"none":                {text: "a", changes: []Replacement{{Old: "a", New: "b"}, {Old: "a", New: "b"}}, index: 1, count: 0},
		"empty":               {text: "a", changes: []Replacement{{Old: "", New: "b"}}, count: -1},
		"the same":            {text: "a", changes: []Replacement{{Old: "a", New: "a"}}, count: -1},
		"no change":           {text: "a", count: -1},
		"CRLF":                {text: "a\r\nb\r\nc\r\n", changes: []Replacement{{Old: "a\nb", New: "x\ny\nz"}}, want: "x\r\ny\r\nz\r\nc\r\n"},
		"CRLF, said so":       {text: "a\r\nb\r\n", changes: []Replacement{{Old: "a\r\n", New: "x\r\ny\n"}}, want: "x\r\ny\r\nb\r\n"},
		"CRLF, one line":      {text: "a\r\nb\r\n", changes: []Replacement{{Old: "b", New: "c\nd"}}, want: "a\r\nc\r\nd\r\n"},
		"mixed":               {text: "a\r\nb\n", changes: []Replacement{{Old: "b\n", New: "c\nd\n"}}, want: "a\r\nc\nd\n"},
		"mixed, not the same": {text: "a\r\nb\n", changes: []Replacement{{Old: "a\n", New: "c"}}, count: 0},
		"BOM":                 {text: "\ufeffa\nb", changes: []Replacement{{Old: "a\nb", New: "c"}}, want: "\ufeffc"},
		"no UTF-8":            {text: "\xff\xfea", changes: []Replacement{{Old: "\xfe", New: "\xfd"}}, want: "\xff\xfda"},
	} {
		got, counts, err := replaceAll(c.text, c.changes)
		var e *EditError
		switch {
		case c.want != "":
			if err != nil || got != c.want || len(counts) != len(c.changes) {
				t.Errorf("%s: %q, %v, %v; want %q", name, got, counts, err, c.want)
			}
		case !errors.As(err, &e) || e.Index != c.index || e.Count != c.count:
			t.Errorf("%s: %q, %v; want an error of %d, count %d", name, got, err, c.index, c.count)
		}
	}
}

func TestEdit(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		if h.lacksSHA256() {
			h.put(t, "file", "old")
			_, err := h.fs().Edit(t.Context(), "file", []Replacement{{Old: "old", New: "new"}}, EditOptions{})
			var lacks *HostLacksError
			if !errors.As(err, &lacks) {
				t.Errorf("the error is %v, want a *HostLacksError", err)
			}
			h.want(t, "file", "old")
			return
		}
		f := h.fs()
		h.put(t, "file", "one\ntwo\nthree\n")
		e, err := f.Edit(t.Context(), "file", []Replacement{{Old: "two", New: "2"}}, EditOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h.want(t, "file", "one\n2\nthree\n")
		diff := "--- a/file\n+++ b/file\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
		if e.Diff != diff || e.Before != sumOf("one\ntwo\nthree\n") || e.SHA256 != sumOf("one\n2\nthree\n") || string(e.Content) != "one\n2\nthree\n" {
			t.Errorf("%+v", e)
		}
		// What is known saves the read; what is known no more is refused.
		c, err := f.Read(t.Context(), "file", ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Edit(t.Context(), "file", []Replacement{{Old: "one", New: "1"}}, EditOptions{Known: &c}); err != nil {
			t.Fatal(err)
		}
		_, err = f.Edit(t.Context(), "file", []Replacement{{Old: "three", New: "3"}}, EditOptions{Known: &c})
		var changed *PreconditionError
		if !errors.As(err, &changed) || changed.Have != sumOf("1\n2\nthree\n") {
			t.Errorf("the error is %v, want a *PreconditionError", err)
		}
		_, err = f.Edit(t.Context(), "file", []Replacement{{Old: "three", New: "3"}}, EditOptions{IfMatch: sumOf("else")})
		if !errors.As(err, &changed) || changed.Have != sumOf("1\n2\nthree\n") {
			t.Errorf("the error is %v, want a *PreconditionError", err)
		}
		_, err = f.Edit(t.Context(), "file", []Replacement{{Old: "1", New: "x"}, {Old: "four", New: "4"}}, EditOptions{})
		var edit *EditError
		if !errors.As(err, &edit) || edit.Index != 1 || edit.Count != 0 || edit.SHA256 != changed.Have {
			t.Errorf("the error is %v, want an *EditError of the second", err)
		}
		h.want(t, "file", "1\n2\nthree\n")
		h.put(t, "binary", "a\x00b")
		_, err = f.Edit(t.Context(), "binary", []Replacement{{Old: "a", New: "b"}}, EditOptions{})
		wantKind(t, err, Binary)
		h.put(t, "large", strings.Repeat("x", MaxEdit+1))
		_, err = f.Edit(t.Context(), "large", []Replacement{{Old: "a", New: "b"}}, EditOptions{})
		var large *TooLargeError
		if !errors.As(err, &large) || large.Size != MaxEdit+1 {
			t.Errorf("the error is %v, want a *TooLargeError", err)
		}
	})
}
