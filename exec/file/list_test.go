package file

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
		var want []string
		for range 60 {
			name := randomName(random)
			if _, err := os.Lstat(h.at(name)); err != nil {
				h.put(t, name, name)
				want = append(want, name)
			}
		}
		h.put(t, "d\n/e/f", "x")
		h.link(t, "d\n/link\n", "to\n")
		h.link(t, "d\n/up", "..")
		top := append([]string{"d\n"}, want...)
		all := append([]string{"d\n/e", "d\n/e/f", "d\n/link\n", "d\n/up"}, top...)
		slices.Sort(top)
		slices.Sort(all)
		f := h.fs()
		for depth, want := range map[int][]string{0: top, 1: top, -1: all} {
			l, err := f.List(t.Context(), ".", ListOptions{Depth: depth})
			var got []string
			for _, e := range l.Entries {
				got = append(got, e.Path)
				if e.Type == Regular && e.Path != "d\n/e/f" && e.Size != int64(len(e.Path)) {
					t.Errorf("%+v", e)
				}
				if e.Path == "d\n/link\n" && (e.Type != Symlink || e.Target != "to\n" && !h.lacks("readlink")) {
					t.Errorf("%+v", e)
				}
			}
			if err != nil || l.Truncated || l.Incomplete || !slices.Equal(got, want) {
				t.Errorf("depth %d: %q, %v; want %q", depth, got, err, want)
			}
		}
		l, err := f.List(t.Context(), ".", ListOptions{Depth: -1, Types: []Type{Dir, Symlink}})
		if err != nil || len(l.Entries) != 4 {
			t.Errorf("%+v, %v", l, err)
		}
		l, err = f.List(t.Context(), "d\n/e", ListOptions{})
		if err != nil || len(l.Entries) != 1 || l.Entries[0].Path != "f" {
			t.Errorf("%+v, %v", l, err)
		}
		l, err = f.List(t.Context(), ".", ListOptions{Max: 5})
		if err != nil || !l.Truncated || len(l.Entries) > 5 {
			t.Errorf("%+v, %v", l, err)
		}
		_, err = f.List(t.Context(), "none", ListOptions{})
		wantKind(t, err, NotFound)
		_, err = f.List(t.Context(), "d\n/e/f", ListOptions{})
		wantKind(t, err, NotDir)
		if err := os.Mkdir(h.at("none"), 0o755); err != nil {
			t.Fatal(err)
		}
		l, err = f.List(t.Context(), "none", ListOptions{})
		if err != nil || len(l.Entries) != 0 || l.Truncated {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

// Thousands of entries go through every shell, and every printf.
func TestListOfMany(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		const many = 3000
		long := strings.Repeat("n", 100)
		for i := range many {
			h.put(t, long+itoa(int64(i)), "")
		}
		l, err := h.fs().List(t.Context(), ".", ListOptions{})
		if err != nil || len(l.Entries) != many || l.Truncated || l.Incomplete {
			t.Errorf("%d entries, %v, %v, %v", len(l.Entries), l.Truncated, l.Incomplete, err)
		}
	})
}

func TestHostileListings(t *testing.T) {
	line := "c 81a4 5 1700000000 0 0 1 7"
	for name, body := range map[string]string{
		"nothing": "", "no end": "b1\x00./a\x00" + line + "\x00", "no number": "bx\x00e0\x00", "too many": "b999999999\x00./a\x00e0\x00",
		"negative": "b-1\x00e0\x00", "no name": "b1\x00./\x00" + line + "\x00e0\x00", "absolute": "b1\x00/etc/passwd\x00" + line + "\x00e0\x00",
		"a missing line": "b2\x00./a\x00./b\x00" + line + "\x00e0\x00", "a bad line": "b1\x00./a\x00x\x00e0\x00",
		"a target of none": "b1\x00./a\x00" + line + "\x005:x\x00e0\x00", "words behind": "e0\x00e0\x00", "no head": "\x00e0\x00",
	} {
		f := &FS{Runner: &stubborn{answer: func(m string) string { return body + m + "ok=1\x00done\x00" }}}
		_, err := f.List(t.Context(), ".", ListOptions{})
		var odd *ProtocolError
		if !errors.As(err, &odd) {
			t.Errorf("%s: the error is %v, want a *ProtocolError", name, err)
		}
	}
}

func FuzzListing(f *testing.F) {
	f.Add("b1\x00./a\x00c 81a4 5 1700000000 0 0 1 7\x00e0\x00", true)
	f.Add("b2\x00./a\x00./b\x00f 120777 5 1700000000 0 0 1 7\nl -rw-r--r-- 5 - 0 0 1 -\x001:x\x00e1\x00", false)
	f.Fuzz(func(t *testing.T, body string, cut bool) {
		l, why := parseListing(body, cut)
		for _, e := range l.Entries {
			if e.Path == "" || e.Path[0] == '/' || e.Type == "" || strings.Contains(e.Path, "\x00") {
				t.Errorf("%+v, %s", e, why)
			}
		}
	})
}
