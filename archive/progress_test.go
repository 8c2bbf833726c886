package archive_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bivy/archive"
)

func TestParseProgress(t *testing.T) {
	for line, want := range map[string]archive.Progress{
		"Enumerating objects: 15, done.":                          {Phase: "counting", Percent: -1, Done: 15},
		"Enumerating objects: 3":                                  {Phase: "counting", Percent: -1, Done: 3},
		"Counting objects:  50% (1/2)":                            {Phase: "counting", Percent: 50, Done: 1, Total: 2},
		"Compressing objects: 100% (9/9)":                         {Phase: "compressing", Percent: 100, Done: 9, Total: 9},
		"Writing objects:   0% (0/14)":                            {Phase: "writing", Percent: 0, Done: 0, Total: 14},
		"Writing objects:  42% (6/14), 1.20 MiB | 2.30 MiB/s":     {Phase: "writing", Percent: 42, Done: 6, Total: 14},
		"Writing objects: 100% (14/14), 1.2 MiB | 1 MiB/s, done.": {Phase: "writing", Percent: 100, Done: 14, Total: 14},
	} {
		got, ok := archive.ParseProgress(line)
		if !ok {
			t.Errorf("%q is no progress", line)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
	for _, line := range []string{
		"", "Delta compression using up to 2 threads", "Total 3 (delta 0), reused 0 (delta 0), pack-reused 0",
		"fatal: Writing objects: 1% (1/2)", "Writing objects: ", "Writing objects: x% (1/2)", "writing objects: 1% (1/2)",
	} {
		if got, ok := archive.ParseProgress(line); ok {
			t.Errorf("%q is progress %+v", line, got)
		}
	}
}

func TestMeter(t *testing.T) {
	now := time.Unix(1700000000, 0)
	var seen []archive.Progress
	m := archive.NewMeter(func(p archive.Progress) { seen = append(seen, p) }, func() time.Time { return now })
	say := func(s string) {
		if n, err := m.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatalf("write: %d %v", n, err)
		}
	}
	// A line comes in pieces; a flood without a line's end is dropped.
	say("Counting obj")
	say("ects:  50% (1/2)\rnoise\nWriting objects:  10% (1/10)\r")
	say(strings.Repeat("x", 100000))
	m.Wrote(1000) // the first point; no rate from one
	now = now.Add(time.Second)
	m.Wrote(3000)
	now = now.Add(10 * time.Millisecond)
	m.Wrote(3001) // too soon after the last
	now = now.Add(2 * time.Second)
	m.Wrote(3001)
	say("\rWriting objects: 100% (10/10)\r")
	want := []archive.Progress{
		{Phase: "counting", Percent: 50, Done: 1, Total: 2},
		{Phase: "writing", Percent: 10, Done: 1, Total: 10},
		{Phase: "writing", Percent: 10, Done: 1, Total: 10, Bytes: 3000, Rate: 2000},
		{Phase: "writing", Percent: 10, Done: 1, Total: 10, Bytes: 3001, Rate: 2001 / 3.01},
		{Phase: "writing", Percent: 100, Done: 10, Total: 10, Bytes: 3001, Rate: 2001 / 3.01},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

// The rate forgets what was more than a few seconds ago.
func TestMeterRateIsRecent(t *testing.T) {
	now := time.Unix(1700000000, 0)
	var last archive.Progress
	m := archive.NewMeter(func(p archive.Progress) { last = p }, func() time.Time { return now })
	total := int64(0)
	for second := range 60 {
		step := int64(1000000)
		if second >= 30 {
			step = 10
		}
		total += step
		m.Wrote(total)
		now = now.Add(time.Second)
	}
	if last.Rate != 10 {
		t.Errorf("rate %v, want 10", last.Rate)
	}
}
