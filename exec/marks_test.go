package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/exec/mux"
)

const rs = "\x1e"

func mark(text string) string { return rs + "bivy:" + testNonce + " " + text + rs }

// scanned is everything that a scanner made of a stream.
type scanned struct {
	Out, Noise string
	Marks      marks
	Bytes      int64
}

// scan passes a stream through a scanner, in pieces as cut says.
func scan(t testing.TB, stream string, cut func(rest int) int) scanned {
	t.Helper()
	var out bytes.Buffer
	s := newScanner(testNonce, &out, nil)
	for rest := []byte(stream); len(rest) > 0; {
		n := max(1, min(len(rest), cut(len(rest))))
		// The reader's buffer is used again for the next piece.
		piece := bytes.Clone(rest[:n])
		if k, err := s.Write(piece); k != n || err != nil {
			t.Fatalf("Write(%d bytes) = %d, %v", n, k, err)
		}
		clear(piece)
		rest = rest[n:]
		if held := len(s.held); held >= maxMark {
			t.Fatalf("the scanner holds %d bytes back", held)
		}
	}
	if err := s.finish(); err != nil {
		t.Fatal(err)
	}
	m, n := s.state()
	return scanned{Out: out.String(), Noise: s.noiseText(), Marks: m, Bytes: n}
}

func whole(rest int) int { return rest }

var allowMarks = cmp.AllowUnexported(marks{})

func TestScanner(t *testing.T) {
	t.Parallel()
	const boot = "c3ea61be-1981-42ec-8c75-1445a049d332"
	begun := marks{started: true, pid: 12, pgid: 34, bootID: boot}
	start := mark("start 12 34 " + boot)
	sure := func(m marks) marks { m.complete = true; return m }
	leaving := func(m marks, s ...mux.Survivor) marks { m.left = s; return m }
	ended := func(code, signal int, ended bool) marks {
		m := begun
		m.exited, m.code, m.signal, m.ended = true, code, signal, ended
		return m
	}
	long := func(n int) string { // a mark of n bytes that only its length can spoil
		return rs + "bivy:" + testNonce + " " + strings.Repeat(" ", n-len(mark("exit 3"))) + "exit 3" + rs
	}
	for name, c := range map[string]struct {
		in, out, noise string
		marks          marks
	}{
		"empty":      {},
		"noise only": {in: "motd\n", noise: "motd\n"},
		"plain":      {in: start + "hello" + mark("exit 0"), out: "hello", marks: ended(0, 0, false)},
		"noise":      {in: "motd\n" + start + "hello" + mark("exit 7") + "late", noise: "motd\n", out: "hellolate", marks: ended(7, 0, false)},
		"no boot id": {in: mark("start 1 2 -"), marks: marks{started: true, pid: 1, pgid: 2}},
		"ended":      {in: start + mark("ended 1") + mark("exit 143"), marks: sure(ended(143, 0, true))},
		"survivors": {
			in:    start + mark("left 7 su\x1b[31m  root") + mark("left 8") + mark("ended 0") + mark("exit 137"),
			marks: leaving(ended(137, 0, true), mux.Survivor{PID: 7, Command: "su root"}, mux.Survivor{PID: 8}),
		},
		"survivors before the start":   {in: mark("left 7 su") + mark("ended 1") + start + mark("exit 0"), marks: ended(0, 0, false)},
		"signal":                       {in: start + mark("signal 9") + mark("exit 137"), marks: ended(137, 9, false)},
		"signal after the exit":        {in: start + mark("exit 137") + mark("signal 9"), marks: ended(137, 0, false)},
		"signal before the start":      {in: mark("signal 9") + start + mark("exit 0"), marks: ended(0, 0, false)},
		"exit before the start":        {in: mark("exit 0") + start, marks: begun},
		"only an exit":                 {in: "x" + mark("exit 0") + "y", noise: "xy"},
		"second start":                 {in: start + mark("start 9 9 -"), marks: begun},
		"second exit":                  {in: start + mark("exit 1") + mark("ended 1") + mark("exit 2"), marks: ended(1, 0, false)},
		"failure":                      {in: mark("fail dir"), marks: marks{failed: "dir"}},
		"failure after the start":      {in: start + mark("fail dir"), marks: begun},
		"junk numbers":                 {in: mark("start x -5 "+boot) + mark("exit 1e3"), marks: marks{started: true, bootID: boot, exited: true}},
		"huge number":                  {in: start + mark("exit 99999999999999999999999") + "o", out: "o", marks: ended(0, 0, false)},
		"exit of 256":                  {in: start + mark("exit 256"), marks: begun},
		"exit of one word":             {in: start + mark("exit"), marks: begun},
		"exit of three words":          {in: start + mark("exit 0 0"), marks: begun},
		"start of three words":         {in: mark("start 1 2")},
		"empty mark":                   {in: start + "a" + mark("") + "b", out: "ab", marks: begun},
		"unknown mark":                 {in: start + "a" + mark("hello world") + "b", out: "ab", marks: begun},
		"another nonce":                {in: start + strings.ReplaceAll(mark("exit 0"), testNonce, "fedcba9876543210"), out: rs + "bivy:fedcba9876543210 exit 0" + rs, marks: begun},
		"separators":                   {in: start + rs + rs + "a" + rs + mark("exit 0"), out: rs + rs + "a" + rs, marks: ended(0, 0, false)},
		"half a prefix, then a mark":   {in: start + rs + "bivy:01" + mark("exit 0"), out: rs + "bivy:01", marks: ended(0, 0, false)},
		"half a mark at the end":       {in: start + "a" + rs + "bivy:" + testNonce + " exit 0", out: "a" + rs + "bivy:" + testNonce + " exit 0", marks: begun},
		"half a prefix at the end":     {in: start + "a" + rs + "bivy:0123", out: "a" + rs + "bivy:0123", marks: begun},
		"separator at the end":         {in: start + "a" + rs, out: "a" + rs, marks: begun},
		"half a start mark":            {in: "a" + start[:len(start)-1], noise: "a" + start[:len(start)-1]},
		"longest mark":                 {in: start + long(maxMark), marks: ended(3, 0, false)},
		"mark that is one too long":    {in: start + long(maxMark+1), out: long(maxMark + 1), marks: begun},
		"endless mark, and a real one": {in: start + long(5000)[:4000] + mark("exit 4"), out: long(5000)[:4000], marks: ended(4, 0, false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := scanned{Out: c.out, Noise: c.noise, Marks: c.marks, Bytes: int64(len(c.out))}
			for size := range 70 {
				cut := whole
				if size > 0 {
					cut = func(int) int { return size }
				}
				if diff := cmp.Diff(want, scan(t, c.in, cut), allowMarks); diff != "" {
					t.Fatalf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

// Noise is kept for an error message, and no more than that needs.
func TestScannerKeepsLittleNoise(t *testing.T) {
	t.Parallel()
	noise := strings.Repeat("0123456789", 10_000)
	got := scan(t, noise+mark("start 1 1 -")+"out", func(int) int { return 999 })
	if got.Noise != noise[:maxNoise] || got.Out != "out" || got.Bytes != 3 {
		t.Errorf("noise of %d bytes, output %q, %d bytes", len(got.Noise), got.Out, got.Bytes)
	}
}

func TestScannerTellsOfEachMark(t *testing.T) {
	t.Parallel()
	var seen []string
	s := newScanner(testNonce, io.Discard, func(m marks) { seen = append(seen, fmt.Sprint(m.started, m.signal, m.exited)) })
	if _, err := s.Write([]byte("x" + mark("start 1 1 -") + "y" + mark("signal 9") + mark("exit 137"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"true 0 false", "true 9 false", "true 9 true"}, seen); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
}

// On a terminal ssh itself says goodbye behind the command's end.
func TestScannerEndsAtExit(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newScanner(testNonce, &out, nil)
	s.endAtExit = true
	stream := mark("start 1 1 -") + "out" + mark("exit 3") + "Shared connection to bivy.invalid closed.\r\n"
	for i := range len(stream) {
		if _, err := s.Write([]byte(stream[i : i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.finish(); err != nil || out.String() != "out" {
		t.Errorf("output %q, %v", out.String(), err)
	}
	if m, n := s.state(); !m.exited || m.code != 3 || n != 3 {
		t.Errorf("marks %+v, %d bytes", m, n)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// The report is read to its end, whatever became of the writer.
func TestScannerTellsOfTheWritersErrorAndGoesOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var told []error
	s := newScanner(testNonce, failingWriter{broken}, nil)
	s.fail = func(err error) { told = append(told, err) }
	stream := "noise" + mark("start 1 1 -")
	if n, err := s.Write([]byte(stream)); n != len(stream) || err != nil || told != nil {
		t.Errorf("Write = %d, %v; told %v of noise", n, err, told)
	}
	stream = "out" + mark("signal 9") + "more" + mark("exit 137")
	if n, err := s.Write([]byte(stream)); n != len(stream) || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if m, _ := s.state(); !m.exited || m.signal != 9 {
		t.Errorf("marks %+v", m)
	}
	if len(told) != 1 || !errors.Is(told[0], broken) || !errors.Is(s.finish(), broken) {
		t.Errorf("told %v, want the writer's error once", told)
	}
}

// A stream made to be held back costs no memory: 64 MiB of the first byte of
// a mark, and of beginnings of marks that never end.
func TestScannerMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"separators": rs, "prefixes": rs + "bivy:" + testNonce + " ", "broken prefixes": rs + "bivy:" + testNonce[:8],
	} {
		t.Run(name, func(t *testing.T) {
			const total, piece = 64 << 20, 64 << 10
			s := newScanner(testNonce, io.Discard, nil)
			if _, err := s.Write([]byte(mark("start 1 1 -"))); err != nil {
				t.Fatal(err)
			}
			data := []byte(strings.Repeat(unit, piece/len(unit)+1)[:piece])
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for range total / piece {
				if _, err := s.Write(data); err != nil {
					t.Fatal(err)
				}
				if len(s.held) >= maxMark {
					t.Fatalf("%d bytes are held back", len(s.held))
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 { //nolint:gosec // far below 2^63
				t.Errorf("the heap has grown by %d bytes", grown)
			}
		})
	}
}

func FuzzScanner(f *testing.F) {
	f.Add("noise"+mark("start 1 2 b")+"out"+mark("signal 9")+mark("exit 137"), uint8(3))
	f.Add(mark("start 1 2 b")+rs+"bivy:"+testNonce+" "+strings.Repeat("x", 600)+rs, uint8(1))
	f.Add(strings.Repeat(rs, 40)+mark("fail dir"), uint8(17))
	f.Fuzz(func(t *testing.T, stream string, size uint8) {
		// The fuzzer does not guess nonces.
		stream = strings.ReplaceAll(stream, "@", rs+"bivy:"+testNonce+" ")
		want := scan(t, stream, whole)
		got := scan(t, stream, func(int) int { return int(size) })
		if diff := cmp.Diff(want, got, allowMarks); diff != "" {
			t.Errorf("in pieces of %d (-whole +pieces):\n%s", size, diff)
		}
		if !want.Marks.started && (want.Out != "" || want.Bytes != 0) {
			t.Errorf("%q passed before the start", want.Out)
		}
		if want.Marks.exited && !want.Marks.started {
			t.Error("an end without a start")
		}
		if int64(len(want.Out)) != want.Bytes {
			t.Errorf("counted %d bytes of %d", want.Bytes, len(want.Out))
		}
	})
}
