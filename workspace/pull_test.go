package workspace

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/archive"
)

// TestInflow: head and body are told apart wherever the stream is cut.
func TestInflow(t *testing.T) {
	const stream = "tip=1\nbody=no\ntip=2\nbody\nbody\n\x00PACK"
	for size := 1; size <= len(stream); size++ {
		var head answer
		var body bytes.Buffer
		f := &inflow{host: "gpu1", begin: func(a answer) (io.Writer, error) {
			head = a
			return &body, nil
		}}
		for rest := stream; rest != ""; {
			n := min(size, len(rest))
			if _, err := f.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if strings.Join(head["tip"], ",") != "1,2" || body.String() != "body\n\x00PACK" {
			t.Errorf("cut into %d: %q, %q", size, head, body.String())
		}
	}
}

// TestEndlessHead: a host that never comes to the point is cut off.
func TestEndlessHead(t *testing.T) {
	f := &inflow{host: "gpu1", begin: func(answer) (io.Writer, error) { return nil, errors.New("begun") }}
	line := bytes.Repeat([]byte("tip=x\n"), 1000)
	for range maxAnswer/len(line) + 2 {
		if _, err := f.Write(line); err != nil {
			if !strings.Contains(err.Error(), "gpu1 answered more") {
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("%d bytes were taken", len(f.head))
}

func TestTipsOf(t *testing.T) {
	tips, main, err := tipsOf(answer{
		"branch": {"fix"}, "tip": {"1 refs/heads/fix", "2 refs/heads/a/b"}, "other": {"0123456789abcdef", "x"}, "dirty": {"3"},
	})
	want := []archive.Tip{
		{Name: "fix", Commit: "1"},
		{Name: "a/b", Commit: "2"},
		{Name: "+other/0123456789ab", Commit: "0123456789abcdef"},
		{Name: "+other/x", Commit: "x"},
		{Name: "fix+dirty", Commit: "3"},
	}
	if diff := cmp.Diff(want, tips); diff != "" || main != "fix+dirty" || err != nil {
		t.Errorf("%s%q %v", diff, main, err)
	}
	for _, line := range []string{"", "1", "1 refs/tags/x", "1 HEAD", "1 refs/heads/+was/x", "1 refs/heads/+other", "refs/heads/x"} {
		var refused *archive.RefusedError
		if tips, _, err := tipsOf(answer{"tip": {line}}); !errors.As(err, &refused) {
			t.Errorf("%q: %v %v", line, tips, err)
		}
	}
}

// TestNote: the record names each tip once, and where it is now.
func TestNote(t *testing.T) {
	landing := func(there, here, old, kept string) []archive.Landing {
		return []archive.Landing{{Tip: archive.Tip{Name: "a", Commit: there}, Here: here, Ref: "r/a", Old: old, Kept: kept}}
	}
	var rec Record
	for _, step := range []struct {
		l    []archive.Landing
		news bool
		want []Pulled
	}{
		{[]archive.Landing{{Tip: archive.Tip{Name: "a", Commit: "s"}, Here: "s"}}, false, nil},
		{landing("1", "1h", "", ""), true, []Pulled{{"1", "1h", "r/a"}}},
		{landing("1", "1h", "1h", ""), false, []Pulled{{"1", "1h", "r/a"}}},
		{landing("2", "2h", "1h", ""), true, []Pulled{{"2", "2h", "r/a"}}},
		{landing("3", "3h", "2h", "r/+was/2"), true, []Pulled{{"2", "2h", "r/+was/2"}, {"3", "3h", "r/a"}}},
		{landing("2", "2h", "3h", "r/+was/3"), true, []Pulled{{"2", "2h", "r/+was/2"}, {"3", "3h", "r/+was/3"}, {"2", "2h", "r/a"}}},
	} {
		if news := rec.note(step.l); news != step.news {
			t.Errorf("%+v: news %v", step.l, news)
		}
		if diff := cmp.Diff(step.want, rec.Pulled); diff != "" {
			t.Errorf("%+v:\n%s", step.l, diff)
		}
	}
}
