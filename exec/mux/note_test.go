package mux

import (
	"path/filepath"
	"testing"
	"time"
)

func TestNotes(t *testing.T) {
	t.Parallel()
	file, err := openLock(filepath.Join(t.TempDir(), "s0"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // the end of the test
	s := &slot{file: file}
	now := time.Unix(1_800_000_000, 0)
	for _, n := range []note{
		{}, {run: true}, {refused: true}, {run: true, lost: now}, {lost: now}, {refused: true, lost: now}, {},
	} {
		s.write(n)
		if got := s.read(); got.run != n.run || got.refused != n.refused || !got.lost.Equal(n.lost) {
			t.Errorf("the note %+v reads as %+v", n, got)
		}
	}
	for _, text := range []string{"lost", "lost x\n", "lost -\nwalk\n", "\x00\x00"} {
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
		if got := s.read(); got != (note{}) {
			t.Errorf("%q reads as %+v", text, got)
		}
	}
}

func TestInheritedNotes(t *testing.T) {
	t.Parallel()
	file, err := openLock(filepath.Join(t.TempDir(), "s0"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // the end of the test
	s := &slot{file: file}
	now := time.Unix(1_800_000_000, 0)
	before := now.Add(-unendedLife / 2)
	for _, c := range []struct{ was, want note }{
		{note{}, note{}},
		{note{refused: true}, note{}},
		{note{run: true}, note{lost: now}},
		{note{run: true, lost: before}, note{lost: now}},
		{note{lost: before}, note{lost: before}},
		{note{lost: now.Add(-unendedLife)}, note{}},
	} {
		s.write(c.was)
		got := s.inherit(now)
		if read := s.read(); !got.lost.Equal(c.want.lost) || got.run || got.refused || !read.lost.Equal(got.lost) || read.run || read.refused {
			t.Errorf("%+v is inherited as %+v, and written as %+v; want %+v", c.was, got, read, c.want)
		}
		if got.unended(now) != !got.lost.IsZero() {
			t.Errorf("%+v: unended %v", got, got.unended(now))
		}
	}
}
