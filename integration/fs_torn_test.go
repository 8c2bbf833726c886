package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	// tornSize is that of the file which is overwritten.
	tornSize = 5 << 20
	// cuts is how many times that is cut off in all. A death of the client
	// costs the least, since it needs no new login.
	cuts, dearCuts = 200, 60
)

// cutting is a way to cut off a write that is under way.
type cutting struct {
	name  string
	count int
	// strike is called with the link held up at that byte. It returns when
	// the deed is done.
	strike func(s *torn)
}

var cuttings = []cutting{
	{"client", cuts - 2*dearCuts, func(s *torn) { _ = syscall.Kill(<-s.client, syscall.SIGKILL) }},
	{"master", dearCuts, func(s *torn) { _ = syscall.Kill(s.master, syscall.SIGKILL) }},
	{"link", dearCuts, func(s *torn) { s.line.cut(s.random.IntN(2) == 0) }},
}

// torn is a series of writes that are cut off in one way.
type torn struct {
	*world
	cutting
	random *rand.Rand
	line   *wire
	client chan int
	master int
	file   string
	// old is the content before, written what a write makes of it, and edited an
	// edit.
	old, written, edited []byte
}

// TestFsTorn cuts off overwrites of 5 MiB at bytes drawn at random, by the death
// of the client, of the master, and of the link itself. Afterwards the file is
// the old one or the new one, and the next command in that directory leaves
// nothing of the one that was cut off.
func TestFsTorn(t *testing.T) {
	t.Parallel()
	for _, c := range cuttings {
		t.Run(c.name, func(t *testing.T) {
			onSSHD(t, hostOptions{}, func(t *testing.T, w *world) { newTorn(t, w, c).run(t) })
		})
	}
}

func newTorn(t *testing.T, w *world, c cutting) *torn {
	t.Helper()
	seed := rand.Uint64() //nolint:gosec // a test
	t.Logf("seed %d", seed)
	s := &torn{world: w, cutting: c, random: rand.New(rand.NewPCG(seed, 1)), file: w.remote + "/d/file"} //nolint:gosec // a test
	if testing.Short() {
		s.count = 8
	}
	s.old, s.written = s.text("the old line\n"), s.text("the new line\n")
	s.edited = bytes.Replace(s.old, []byte("the old line"), []byte("the edited line"), 1)
	w.write(w.root+"/new", string(s.written))
	w.write(s.file, string(s.old))
	s.line = newWire(t, w.server.Addr)
	w.server.HostAt(t, "far", s.line.addr)
	return s
}

// text is a content of many lines, with one in the middle that it has once.
func (s *torn) text(line string) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	text := make([]byte, tornSize)
	for i := range text {
		text[i] = digits[s.random.IntN(len(digits))]
		if i%80 == 79 {
			text[i] = '\n'
		}
	}
	copy(text[tornSize/160*80:], line)
	return text
}

func (s *torn) run(t *testing.T) {
	t.Helper()
	whole := map[bool][2]int64{}
	s.wants(0, "exec", "--host", "far", "--", "true")
	for _, edit := range []bool{false, true} {
		s.must(os.WriteFile(s.file, s.old, 0o600))
		s.line.begin(wayUp, -1, nil)
		if got := s.overwrite(edit); got.code != 0 {
			t.Fatalf("an overwrite that nobody cuts off gives %v", got)
		}
		s.line.waits()
		whole[edit], _ = s.line.counted()
		s.wantFile("an overwrite", edit, true)
	}
	struck := 0
	for i := 0; struck < s.count && !t.Failed(); i++ {
		edit := i%8 == 7
		way, at := s.position(i, whole[edit])
		what := fmt.Sprintf("%s, %d: killed at byte %d of way %d of %v, edit %v", s.name, i, at, way, whole[edit], edit)
		s.must(os.WriteFile(s.file, s.old, 0o600))
		if s.name == "master" {
			s.master = s.onlyMaster()
		}
		s.client = make(chan int, 1)
		s.line.begin(way, at, func() { s.strike(s) })
		got := s.overwrite(edit)
		if s.line.waits() {
			// It was over with fewer bytes than the ones before. That is not
			// counted, but true all the same.
			s.judge(what+", in time", edit, got, true)
			continue
		}
		struck++
		s.judge(what, edit, got, false)
		s.next(what, i)
	}
}

// position draws a byte of the frame, of the content, or of the end, which are
// the last bytes there and the answer.
func (s *torn) position(i int, whole [2]int64) (way int, at int64) {
	const frame, end = 24 << 10, 4 << 10
	switch i % 4 {
	case 0:
		return wayUp, 1 + s.random.Int64N(frame)
	case 1:
		if whole[wayDown] < end && s.random.IntN(2) == 0 {
			return wayDown, 1 + s.random.Int64N(whole[wayDown])
		}
		return wayUp, whole[wayUp] - s.random.Int64N(end)
	default:
		return wayUp, frame + s.random.Int64N(whole[wayUp]-frame-end)
	}
}

// overwrite runs the command, and tells the strike of its process.
func (s *torn) overwrite(edit bool) result {
	s.tb.Helper()
	args := []string{"fs", "write", "--host", "far", "d/file"}
	if edit {
		args = []string{"fs", "edit", "--host", "far", "d/file", "--old", "the old line", "--new", "the edited line"}
	}
	in, err := os.Open(s.root + "/new")
	s.must(err)
	defer in.Close() //nolint:errcheck // it was only read
	spec := s.spec(args...)
	spec.Stdin = in
	b := s.start(spec)
	if s.client != nil {
		s.client <- b.process.Pid()
	}
	return b.wait()
}

// judge compares what the client says with the file.
func (s *torn) judge(what string, edit bool, got result, in bool) {
	s.tb.Helper()
	switch {
	case got.code == 0:
		s.wantFile(what, edit, true)
	case in:
		s.tb.Errorf("%s: %v", what, got)
	case got.code == 137 && s.name == "client", got.code == 94 && strings.Contains(got.stderr, "far"):
		s.wantFile(what, edit, false)
	case got.code == 90 || got.code == 81 && edit:
		// It says that nothing was done.
		now, err := os.ReadFile(s.file)
		if err != nil || !bytes.Equal(now, s.old) {
			s.tb.Errorf("%s: %v, but the file is not the old one any more", what, got)
		}
	default:
		s.tb.Errorf("%s: %v", what, got)
	}
}

// wantFile checks that the file is the new one or, unless it must be that, the
// old one.
func (s *torn) wantFile(what string, edit, isNew bool) {
	s.tb.Helper()
	want := s.written
	if edit {
		want = s.edited
	}
	now, err := os.ReadFile(s.file)
	if err != nil || !bytes.Equal(now, want) && (isNew || !bytes.Equal(now, s.old)) {
		s.tb.Errorf("%s: the file has %d bytes, %.40q…%.40q, %v", what, len(now), now, now[max(0, len(now)-40):], err)
	}
}

// next runs another command in the directory, after which nothing is left of
// what was cut off: the shell that does that may still be at it.
func (s *torn) next(what string, i int) {
	s.tb.Helper()
	var got result
	switch i % 3 {
	case 0:
		got = s.fed("x", "fs", "write", "--host", "far", "d/other")
	case 1:
		got = s.bivy("fs", "mkdir", "-p", "--host", "far", "d/dir")
	case 2:
		s.write(s.remote+"/d/other", "x")
		got = s.fed("y", "fs", "write", "--host", "far", "d/other", "--if-match", hashed("x"))
	}
	if got.code != 0 {
		s.tb.Errorf("%s: the next command gives %v", what, got)
	}
	s.eventually("nothing temporary is left", func() bool {
		left, err := filepath.Glob(s.remote + "/d/.bivy*")
		s.must(err)
		return len(left) == 0
	})
}

// onlyMaster is the process of the one master that there is.
func (s *torn) onlyMaster() int {
	s.tb.Helper()
	list := s.masters()
	if len(list) != 1 {
		s.tb.Fatalf("want one master, have %v", list)
	}
	return list[0].PID
}
