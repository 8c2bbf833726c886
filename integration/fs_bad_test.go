package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// moreMemory is what bad input may cost over a command that has nothing to do,
// in KiB.
const moreMemory = 64 << 10

// bad is a command that is refused, or that has more to do than it seems.
type bad struct {
	args  []string
	stdin string
	code  int
	class string // of the error, "" where there is none
	words string // that the message has
}

// bads are those that need nothing but the files of badFiles.
var bads = []bad{
	{args: []string{"read", "dir"}, code: 81, class: "remote_denied", words: "is a directory"},
	{args: []string{"read", "dir/"}, code: 81, class: "remote_denied", words: "is a directory"},
	{args: []string{"read", "fifo"}, code: 81, class: "remote_denied", words: "neither a file nor a directory"},
	{args: []string{"read", "fifo", "--tail", "1"}, code: 81, class: "remote_denied", words: "neither a file nor a directory"},
	{args: []string{"read", "/dev/zero"}, code: 81, class: "remote_denied", words: "neither a file nor a directory"},
	{args: []string{"read", "zero", "--lines", "1:"}, code: 81, class: "remote_denied", words: "neither a file nor a directory"},
	{args: []string{"read", "file/x"}, code: 81, class: "remote_denied", words: "not a directory"},
	{args: []string{"read", "none"}, code: 82, class: "not_found", words: "does not exist"},
	{args: []string{"read", "circle"}, code: 82, class: "not_found", words: "does not exist"},
	{args: []string{"read", "~no-such-user/x"}, code: 82, class: "not_found", words: "no such user"},
	{args: []string{"edit", "fifo", "--old", "a", "--new", "b"}, code: 81, class: "remote_denied", words: "neither a file nor a directory"},
	{args: []string{"edit", "dir", "--old", "a", "--new", "b"}, code: 81, class: "remote_denied", words: "is a directory"},
	{args: []string{"edit", "big", "--old", "a", "--new", "b"}, code: 81, class: "local", words: "at most 16777216 bytes"},
	{args: []string{"edit", "twice", "--old", "one", "--new", "b"}, code: 84, class: "precondition", words: "is there 2 times"},
	{args: []string{"edit", "twice", "--old", "none", "--new", "b"}, code: 84, class: "precondition", words: "is not there"},
	{args: []string{"edit", "nul", "--old", "a", "--new", "b"}, code: 81, class: "remote_denied", words: "not a text file"},
	{args: []string{"write", "fifo"}, code: 81, class: "remote_denied", words: "neither a file nor a directory"},
	{args: []string{"write", "/dev/null"}, code: 81, class: "remote_denied", words: "neither a file nor a directory"},
	{args: []string{"write", "circle"}, code: 81, class: "remote_denied", words: "in a circle"},
	{args: []string{"write", "file/x"}, code: 81, class: "remote_denied", words: "not a directory"},
	{args: []string{"ls", "fifo"}, code: 81, class: "remote_denied", words: "not a directory"},
	{args: []string{"find", "fifo", "*"}, code: 81, class: "remote_denied", words: "not a directory"},
	{args: []string{"find", ".", "/etc/*"}, code: 80, class: "usage", words: "below the directory"},
	{args: []string{"find", ".", "../*"}, code: 80, class: "usage", words: "below the directory"},
	{args: []string{"find", ".", strings.Repeat("{a,aa}", 40)}, code: 80, class: "usage", words: "too many patterns"},
	{args: []string{"grep", "fifo", "x"}, code: 81, class: "remote_denied", words: "not a directory"},
	{args: []string{"grep", "/dev/zero", "x"}, code: 81, class: "remote_denied", words: "not a directory"},
	{args: []string{"grep", ".", ""}, code: 80, class: "usage", words: "empty"},
	{args: []string{"grep", ".", "a\nb"}, code: 80, class: "usage", words: "line break"},
	{args: []string{"grep", ".", "("}, code: 80, class: "usage", words: "the pattern is not one"},
	{args: []string{"mkdir", "file"}, code: 82, class: "exists", words: "exists already"},
	{args: []string{"mkdir", "-p", "file/x/y"}, code: 81, class: "remote_denied", words: "not a directory"},
	{args: []string{"mv", "file", "file"}, code: 80, class: "usage", words: "both names are of the same"},
	{args: []string{"mv", "dir", "dir/"}, code: 80, class: "usage", words: "both names are of the same"},
	{args: []string{"mv", "dir", "dir/in/it"}, code: 80, class: "usage", words: "it would lie in itself"},
	{args: []string{"mv", "file", "twice"}, code: 82, class: "exists", words: "rename anything to"},
	{args: []string{"mv", "file", "~no-such-user/x"}, code: 82, class: "not_found", words: "no such user"},
	{args: []string{"rm", "fifo", "dir"}, code: 81, class: "remote_denied", words: "is a directory"},
	{args: []string{"rm", "-r", "dir/../dir/.."}, code: 83, class: "protected", words: "home directory"},
	{args: []string{"rm", "-r", "self"}, code: 0},
	// Parts of a file of 5 GiB.
	{args: []string{"read", "big", "--max", "10"}, code: 0},
	{args: []string{"read", "big", "--bytes", "5368709110:"}, code: 0},
	{args: []string{"read", "big", "--bytes", "5368709120:"}, code: 0},
	{args: []string{"read", "big", "--bytes", "576460752303423487:1", "--max", "1"}, code: 81, class: "remote_denied"},
	{args: []string{"read", "big", "--lines", "1:2"}, code: 0},
	{args: []string{"read", "big", "--json=false", "--lines", "3:3"}, code: 81, words: "at most 8388608 bytes"},
	{args: []string{"read", "big", "--json=false", "--bytes", "5:"}, code: 81, words: "at most 8388608 bytes"},
	{args: []string{"read", "big", "--lines", "2:", "--max", "1000000"}, code: 0},
	{args: []string{"stat", "big"}, code: 0},
	// Replacements that are none.
	edits(``, "ends too early"),
	edits(`x`, "at byte 1"),
	edits(`{"old":"one","new":"two"}`, "an object, not a list"),
	edits(`[["one","two"]]`, "change 1 is a list"),
	edits(`[{"old":"one"}]`, `change 1 has no "new"`),
	edits(`[{"old":"a","new":"b"},{"new":"b"}]`, `change 2 has no "old"`),
	edits(`[{"old":1,"new":"b"}]`, `"old" of change 1 is a number`),
	edits(`[{"old":"a","new":null}]`, `"new" of change 1 is null`),
	edits(`[{"old":"a","new":"b","all":"true"}]`, `"all" of change 1 is a text`),
	edits(`[{"old":"a","new":"b","All":true}]`, `change 1 has "All"`),
	edits(`[{"OLD":"a","new":"b"}]`, `change 1 has "OLD"`),
	edits(`[{"old":"one","old":"a","new":"b"}]`, `"old" twice`),
	edits(`[{"old":"a","new":"\ud800"}]`, "half of a character"),
	edits(`[{"old":"a","new":"\udc00\ud800"}]`, "half of a character"),
	edits(`[{"old":"a","new":"b"}`, "ends too early"),
	edits(`[{"old":"a","new":"b"}]]`, "goes on behind"),
	edits("[{\"old\":\"a\",\"new\":\"\xff\"}]", "not UTF-8"),
	edits(`[]`, "empty list"),
	edits(strings.Repeat("[", 8_000_000), "change 1 is a list"),
	edits(`[{"old":"a","new":`+strings.Repeat(`{"a":`, 1_500_000), `"new" of change 1 is an object`),
	edits(`[`+strings.Repeat("1", 8_000_000), "change 1 is a number"),
	edits(`"`+strings.Repeat("x", 8_000_000)+`"`, "is a text"),
	edits(`[{"`+strings.Repeat("x", 8_000_000)+`":1}]`, "change 1 has"),
	edits(`[`+strings.Repeat(`{"old":"none","new":"b"},`, 300_000), "more than 10000 changes"),
	edits(strings.Repeat("x", 50<<20), "more than 8388608 bytes"),
	{args: []string{"edit", "twice", "--edits", "/dev/zero"}, code: 80, class: "usage", words: "more than 8388608 bytes"},
	{args: []string{"edit", "twice", "--edits", "/no/such/file"}, code: 81, class: "local", words: "no such file"},
}

func edits(text, words string) bad {
	return bad{args: []string{"edit", "twice", "--edits", "-"}, stdin: text, code: 80, class: "usage", words: words}
}

// badFiles makes the files that the bads are about.
func (w *world) badFiles(dir string) {
	w.tb.Helper()
	w.must(os.MkdirAll(dir+"/dir/in", 0o700))
	w.must(syscall.Mkfifo(dir+"/fifo", 0o600))
	w.write(dir+"/file", "text\n")
	w.write(dir+"/twice", "one\none\n")
	w.write(dir+"/nul", "a\x00b")
	w.write(dir+"/big", "one\ntwo\n")
	w.must(os.Truncate(dir+"/big", 5<<30))
	for name, target := range map[string]string{"circle": "circle", "zero": "/dev/zero", "self": "."} {
		w.must(os.Symlink(target, dir+"/"+name))
	}
}

// TestFsBadInput: what cannot be done is said in so many words, with its code,
// soon and in little memory, and nothing has changed.
func TestFsBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	w.badFiles(w.remote)
	_, normal := w.peak("x", "stat", "file")
	for _, b := range bads {
		began := time.Now()
		got, peak := w.peak(b.stdin, b.args...)
		what := fmt.Sprintf("fs %.100q of %.60q", b.args, b.stdin)
		if got.code != b.code {
			t.Errorf("%s gives code %d, %.300q; want %d", what, got.code, got.stderr, b.code)
		}
		if peak > normal+moreMemory {
			t.Errorf("%s takes %d KiB, where another takes %d", what, peak, normal)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("%s takes %s", what, took)
		}
		if b.class == "" {
			if !strings.Contains(got.stderr, b.words) {
				t.Errorf("%s says %.300q; want %q", what, got.stderr, b.words)
			}
			continue
		}
		var said struct {
			Error struct{ Class, Message string }
		}
		if err := json.Unmarshal([]byte(got.stderr), &said); err != nil || said.Error.Class != b.class || !strings.Contains(said.Error.Message, b.words) || len(said.Error.Message) > 1000 {
			t.Errorf("%s says %.300q; want class %s and %q", what, got.stderr, b.class, b.words)
		}
	}
	if text := w.read(w.remote + "/twice"); text != "one\none\n" || w.read(w.remote+"/file") != "text\n" || !exists(w.remote+"/dir/in") {
		t.Errorf("in the end %q is there", text)
	}
}

// peak runs a command on files with --json, and returns how much memory it had
// at most, in KiB, or 0 where nobody can see that.
func (w *world) peak(stdin string, args ...string) (result, int) {
	w.tb.Helper()
	path := w.root + "/fed"
	w.write(path, stdin)
	in, err := os.Open(path)
	w.must(err)
	defer in.Close() //nolint:errcheck // it was only read
	s := w.spec(append([]string{"fs", args[0], "--host", "gpu1", "--json"}, args[1:]...)...)
	s.Stdin = in
	b := w.start(s)
	ended := make(chan result, 1)
	go func() { ended <- b.wait() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	peak := 0
	for {
		select {
		case got := <-ended:
			return got, peak
		case <-tick.C:
			peak = max(peak, highWater(b.process.Pid()))
		}
	}
}

// highWater is the most memory that a process has had until now, in KiB.
func highWater(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(line, "kB")))
	return n
}

// TestFsManyEntries lists a directory with 100,000 files: the first come, it is
// said that there are more, and memory has a limit.
func TestFsManyEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kindSandbox, hostOptions{})
	t.Cleanup(w.end)
	many := 100_000
	if testing.Short() {
		many = 20_000
	}
	w.must(os.Mkdir(w.remote+"/many", 0o700))
	for i := range many {
		w.must(os.WriteFile(fmt.Sprintf("%s/many/a-file-with-a-name-of-usual-length-%06d", w.remote, i), nil, 0o600))
	}
	_, normal := w.peak("", "stat", "many")
	for _, args := range [][]string{{"ls", "many"}, {"ls", "-r", "."}, {"find", "many", "**"}} {
		got, peak := w.peak("", args...)
		object := w.said(got.stdout)
		list, _ := object["entries"].([]any)
		if args[0] == "find" {
			list, _ = object["files"].([]any)
		}
		if got.code != 0 || len(list) != 10_000 || object["truncated"] != true || peak > normal+moreMemory {
			t.Errorf("fs %q gives code %d, %d entries, truncated %v, in %d KiB (%d)", args, got.code, len(list), object["truncated"], peak, normal)
		}
	}
}

// TestFsFullStdout: a result that cannot be printed is a failure.
func TestFsFullStdout(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		// Only Linux has one.
		t.Skip("there is no /dev/full")
	}
	t.Cleanup(func() { _ = full.Close() })
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.remote+"/f", "text\n")
		for _, args := range [][]string{{"read", "f"}, {"read", "f", "--tail", "1"}, {"stat", "f"}, {"ls", "."}, {"find", ".", "f"}, {"grep", "f", "text"}, {"mkdir", "d"}, {"edit", "f", "--old", "t", "--new", "T", "--all"}} {
			for _, more := range [][]string{nil, {"--json"}} {
				w.write(w.remote+"/f", "text\n")
				_ = os.Remove(w.remote + "/d")
				s := w.spec(append(append([]string{"fs", args[0], "--host", "gpu1"}, args[1:]...), more...)...)
				s.Stdout = full
				if got := w.run(s); got.code != 81 || !strings.Contains(got.stderr, "no space left on device") {
					t.Errorf("fs %q %q gives %v", args, more, got)
				}
			}
		}
	})
}
