package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// fed runs the binary with that on stdin.
func (w *world) fed(text string, args ...string) result {
	w.tb.Helper()
	path := w.root + "/fed"
	w.write(path, text)
	in, err := os.Open(path)
	w.must(err)
	defer in.Close() //nolint:errcheck // it was only read
	s := w.spec(args...)
	s.Stdin = in
	return w.run(s)
}

// fedWants is fed, and wants that exit code.
func (w *world) fedWants(code int, text string, args ...string) result {
	w.tb.Helper()
	got := w.fed(text, args...)
	if got.code != code {
		w.tb.Fatalf("bivy %q gives %v; want code %d", args, got, code)
	}
	return got
}

// said is an object that bivy printed.
func (w *world) said(text string) map[string]any {
	w.tb.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil || object["format"] != 1.0 {
		w.tb.Fatalf("%q is no object of format 1: %v", text, err)
	}
	return object
}

// wantsClass runs the binary with --json, and wants that code and class.
func (w *world) wantsClass(code int, class string, args ...string) {
	w.tb.Helper()
	got := w.wants(code, append(args, "--json")...)
	if e, _ := w.said(got.stderr)["error"].(map[string]any); e["class"] != class || e["message"] == "" {
		w.tb.Errorf("bivy %q says %q; want class %s", args, got.stderr, class)
	}
}

// wantsOut runs the binary and wants that on stdout, and nothing on stderr.
func (w *world) wantsOut(out string, args ...string) {
	w.tb.Helper()
	if got := w.wants(0, args...); got.stdout != out || got.stderr != "" {
		w.tb.Errorf("bivy %q gives %v; want stdout %q alone", args, got, out)
	}
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// withWorkspace is a world with a workspace called ws. The directory is that on
// the host.
func withWorkspace(t *testing.T, test func(t *testing.T, w *world, dir string)) {
	t.Helper()
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.wants(0, "new", "ws", "--host", "gpu1")
		test(t, w, w.remote+"/bivy/proj/ws")
		w.wants(0, "rm", "--force", "ws")
	})
}

// TestFsRead: the whole and parts, with what was left out said beside it.
func TestFsRead(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		w.write(dir+"/lines", "one\ntwo\nthree\nfour\n")
		w.wantsOut("one\ntwo\nthree\nfour\n", "fs", "read", "ws:lines")
		w.wantsOut("two\nthree\n", "fs", "read", "ws:lines", "--lines", "2:3")
		w.wantsOut("three\nfour\n", "fs", "read", "ws:lines", "--lines", "3:")
		w.wantsOut("e\nt", "fs", "read", "ws:lines", "--bytes", "2:3")
		w.wantsOut("r\n", "fs", "read", "ws:lines", "--bytes", "17:")
		w.wantsOut("four\n", "fs", "read", "--tail", "1", "proj/ws:lines")
		w.wantsOut("hello\n", "fs", "read", "--host", "gpu1", "--dir", "bivy/proj", "ws/src/main.txt")
		w.wantsOut("hello\n", "fs", "read", "ws:"+dir+"/src/main.txt")
		w.wantsOut("hello\n", "fs", "read", "ws:src/../src/main.txt")
		got := w.wants(0, "fs", "read", "ws:lines", "--max", "5")
		if got.stdout != "one\nt" || !strings.Contains(got.stderr, "14 more bytes behind") {
			t.Errorf("--max 5 gives %v", got)
		}
		object := w.said(w.wants(0, "fs", "read", "ws:lines", "--lines", "2:3", "--json").stdout)
		if object["content"] != "two\nthree\n" || object["first_line"] != 2.0 || object["lines"] != 4.0 || object["size"] != 19.0 ||
			object["sha256"] != hashed("one\ntwo\nthree\nfour\n") || object["whole"] != false || object["path"] != "lines" || object["mode"] != "0600" {
			t.Errorf("--json gives %v", object)
		}
		w.wantsClass(82, "not_found", "fs", "read", "ws:nothing")
		w.wantsClass(82, "not_found", "fs", "read", "nowhere:lines")
		w.wantsClass(81, "remote_denied", "fs", "read", "ws:src")
		for _, args := range [][]string{
			{"lines"},
			{"ws:lines", "--lines", "0:2"},
			{"ws:lines", "--lines", "3:2"},
			{"ws:lines", "--bytes", "x"},
			{"ws:lines", "--bytes", "1:0"},
			{"ws:lines", "--tail", "-1"},
			{"ws:lines", "--tail", "1", "--lines", "1:2"},
			{"ws:lines", "--dir", "x"},
			{"ws:lines", "--max=-1"},
		} {
			w.wantsClass(80, "usage", append([]string{"fs", "read"}, args...)...)
		}
	})
}

// TestFsSettings: what the configuration says for a host holds for its
// workspaces, too.
func TestFsSettings(t *testing.T) {
	withWorkspace(t, func(_ *testing.T, w *world, dir string) {
		w.write(dir+"/lines", "one\ntwo\n")
		w.write(w.root+"/set.toml", "[[when]]\nhost = \"gpu*\"\n[when.fs.read]\ntail = 1\n")
		w.wantsOut("two\n", "fs", "read", "ws:lines", "--config", w.root+"/set.toml")
		w.wantsOut("two\n", "fs", "read", "--host", "gpu1", "bivy/proj/ws/lines", "--config", w.root+"/set.toml")
		w.write(w.root+"/set.toml", "[[when]]\nhost = \"other\"\n[when.fs.read]\ntail = 1\n")
		w.wantsOut("one\ntwo\n", "fs", "read", "ws:lines", "--config", w.root+"/set.toml")
	})
}

// TestFsBinary: all bytes go there and come back, through pipes and JSON.
func TestFsBinary(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		var all []byte
		for i := range 300_000 {
			all = append(all, byte(i), byte(i>>8), byte(i*7>>3))
		}
		text := string(all)
		got := w.fedWants(0, text, "fs", "write", "ws:deep/er/all", "--mode", "0640")
		if !strings.Contains(got.stdout, "created deep/er/all: 900000 bytes, sha256 "+hashed(text)) || w.read(dir+"/deep/er/all") != text {
			t.Errorf("the write gives %v", got)
		}
		if info, err := os.Stat(dir + "/deep/er/all"); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("the file is %v, %v", info, err)
		}
		back := w.wants(0, "fs", "read", "ws:deep/er/all")
		if back.stdout != text || back.stderr != "" {
			t.Errorf("the read gives %d bytes, %q", len(back.stdout), back.stderr)
		}
		w.fedWants(0, back.stdout, "fs", "write", "ws:again")
		w.wants(0, "exec", "ws", "--", "cmp", "again", "deep/er/all")
		var object struct {
			Base64 []byte `json:"content_base64"`
			SHA256 string `json:"sha256"`
			Binary bool   `json:"binary"`
		}
		w.must(json.Unmarshal([]byte(w.wants(0, "fs", "read", "--json", "ws:again").stdout), &object))
		if !bytes.Equal(object.Base64, all) || object.SHA256 != hashed(text) || !object.Binary {
			t.Errorf("JSON has %d bytes, %s, %v", len(object.Base64), object.SHA256, object.Binary)
		}
		w.fedWants(0, "", "fs", "write", "ws:empty")
		w.wantsOut("", "fs", "read", "ws:empty")
	})
}

// TestFsWrite: conditions hold, or nothing is written.
func TestFsWrite(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		object := w.said(w.fedWants(0, "first", "fs", "write", "--json", "--create-only", "ws:f").stdout)
		if object["sha256"] != hashed("first") || object["created"] != true || object["length"] != 5.0 || object["path"] != "f" {
			t.Errorf("--json gives %v", object)
		}
		if got := w.fedWants(82, "other", "fs", "write", "--create-only", "ws:f"); got.stdout != "" || !strings.Contains(got.stderr, "exists already") {
			t.Errorf("--create-only gives %v", got)
		}
		got := w.fedWants(84, "other", "fs", "write", "--json", "--if-match", hashed("old"), "ws:f")
		if !strings.Contains(got.stderr, `"precondition"`) || !strings.Contains(got.stderr, hashed("first")) {
			t.Errorf("--if-match gives %v", got)
		}
		if now := w.read(dir + "/f"); now != "first" {
			t.Errorf("what was refused has written %q", now)
		}
		if got := w.fedWants(0, "second", "fs", "write", "--if-match", hashed("first"), "ws:f"); !strings.HasPrefix(got.stdout, "replaced f: 6 bytes") {
			t.Errorf("the write gives %v", got)
		}
		w.fedWants(84, "third", "fs", "write", "--if-match", hashed("x"), "ws:none")
		w.fedWants(81, "x", "fs", "write", "ws:src")
		for _, args := range [][]string{{"ws:f", "--if-match", "abc"}, {"ws:f", "--mode", "0999"}, {"ws:"}, {"ws:f", "--create-only", "--if-match", hashed("")}} {
			w.fedWants(80, "x", append([]string{"fs", "write"}, args...)...)
		}
		if now := w.read(dir + "/f"); now != "second" || exists(dir+"/none") {
			t.Errorf("in the end it is %q", now)
		}
	})
}

// TestFsEdit: what is meant is done, and what is not clear is refused.
func TestFsEdit(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		before := "a = 1\nb = 1\nc = \xff\n"
		w.write(dir+"/f", before)
		got := w.wants(0, "fs", "edit", "ws:f", "--old", "b = 1", "--new", "b = 2")
		if want := "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a = 1\n-b = 1\n+b = 2\n c = \xff\n"; got.stdout != want || !strings.Contains(got.stderr, "made 1 replacement in f") {
			t.Errorf("the edit gives %v; want %q", got, want)
		}
		w.wantsClass(84, "precondition", "fs", "edit", "ws:f", "--old", " = ", "--new", "=")
		w.wantsClass(84, "precondition", "fs", "edit", "ws:f", "--old", "nothing", "--new", "=")
		w.wantsClass(84, "precondition", "fs", "edit", "ws:f", "--old", "a", "--new", "=", "--if-match", hashed(before))
		w.wantsClass(82, "not_found", "fs", "edit", "ws:none", "--old", "a", "--new", "b")
		for _, args := range [][]string{{}, {"--old", "a"}, {"--old=", "--new=b"}, {"--old", "a", "--new", "a"}, {"--old", "a", "--new", "b", "--edits", "-"}} {
			w.wantsClass(80, "usage", append([]string{"fs", "edit", "ws:f"}, args...)...)
		}
		if now := w.read(dir + "/f"); now != "a = 1\nb = 2\nc = \xff\n" {
			t.Errorf("after refusals it is %q", now)
		}
		w.wants(0, "fs", "edit", "ws:f", "--all", "--old", " = ", "--new", "")
		object := w.said(w.fedWants(0, `[{"old":"a1","new":"x\ny"},{"old":"y","new":"-z"}]`, "fs", "edit", "ws:f", "--edits", "-", "--json").stdout)
		now := w.read(dir + "/f")
		if now != "x\n-z\nb2\nc\xff\n" || object["sha256"] != hashed(now) || object["changed"] != true || object["diff_base64"] == nil {
			t.Errorf("it is %q, and JSON says %v", now, object)
		}
		for _, edits := range []string{"", "{}", "[]", `[{"old":"x"}]`, `[{"old":"x","new":"y","al":true}]`, `[{"old":"x","new":"y"}] x`, "[{\"old\":\"\xff\",\"new\":\"\"}]"} {
			w.fedWants(80, edits, "fs", "edit", "ws:f", "--edits", "-")
		}
		w.fedWants(84, `[{"old":"x","new":"y"},{"old":"none","new":""}]`, "fs", "edit", "ws:f", "--edits", "-")
		if w.read(dir+"/f") != now {
			t.Errorf("edits that were refused have written %q", w.read(dir+"/f"))
		}
	})
}

// TestFsLook: stat, ls, find and grep.
func TestFsLook(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		w.write(dir+"/src/deep/b.go", "first\nFunc two\nthird\n")
		w.must(os.Symlink("main.txt", dir+"/src/link"))
		got := w.wants(82, "fs", "stat", "ws:README", "ws:none", "ws:src")
		if !strings.Contains(got.stdout, "README") || !strings.Contains(got.stdout, "src/") || strings.Contains(got.stdout, "none") || !strings.Contains(got.stderr, "none") {
			t.Errorf("stat gives %v", got)
		}
		var stat struct {
			Files []struct {
				Path, Type, Mode string
				Size             int
				Target           struct{ Path string }
				Error            struct{ Class string }
			}
		}
		w.must(json.Unmarshal([]byte(w.wants(82, "fs", "stat", "--json", "ws:README", "ws:none", "ws:src/link").stdout), &stat))
		if f := stat.Files; len(f) != 3 || f[0].Path != "README" || f[0].Size != 16 || f[0].Type != "file" || f[1].Error.Class != "not_found" ||
			f[1].Path != "none" || f[2].Target.Path != "main.txt" || f[2].Type != "symlink" {
			t.Errorf("stat --json gives %+v", f)
		}
		got = w.wants(0, "fs", "ls", "ws:src")
		if strings.Count(got.stdout, "\n") != 3 || !strings.Contains(got.stdout, "link -> main.txt\n") || !strings.Contains(got.stdout, "  deep/\n") {
			t.Errorf("ls gives %v", got)
		}
		if got = w.wants(0, "fs", "ls", "-r", "--json", "ws:src"); len(w.said(got.stdout)["entries"].([]any)) != 4 {
			t.Errorf("ls -r gives %v", got)
		}
		if got = w.wants(0, "fs", "ls", "--depth", "2", "ws:src"); !strings.Contains(got.stdout, "deep/b.go\n") {
			t.Errorf("ls --depth gives %v", got)
		}
		w.wantsClass(82, "not_found", "fs", "ls", "ws:none")
		w.wantsClass(81, "remote_denied", "fs", "ls", "ws:README")
		w.wantsClass(80, "usage", "fs", "ls", "-r", "--depth", "2", "ws:")
		w.wantsOut("src/deep/b.go\nsrc/main.txt\n", "fs", "find", "ws:", "src/**/*.{go,txt}")
		w.wantsOut("src/deep/b.go\n", "fs", "find", "ws:src/", "**/b*")
		w.wantsClass(80, "usage", "fs", "find", "ws:", "[")
		w.wantsClass(82, "not_found", "fs", "find", "ws:none", "*")
		w.wantsOut("src/deep/b.go:2:Func two\n", "fs", "grep", "-i", "ws:", "^func (one|two)")
		w.wantsOut("src/deep/b.go-1-first\nsrc/deep/b.go:2:Func two\nsrc/deep/b.go-3-third\n", "fs", "grep", "ws:src", "two", "-C", "1")
		w.wantsOut("src/deep/b.go:3:third\n", "fs", "grep", "ws:src/deep/b.go", "thi")
		w.wantsOut("", "fs", "grep", "ws:", "nothing has this")
		object := w.said(w.wants(0, "fs", "grep", "--max", "1", "--json", "ws:src", "ir").stdout)
		if line := object["lines"].([]any)[0].(map[string]any); object["count"] != 1.0 || object["truncated"] != true || line["text"] == "" || line["path"] != "src/deep/b.go" {
			t.Errorf("grep --json gives %v", object)
		}
		w.wantsClass(80, "usage", "fs", "grep", "ws:", "(")
		w.wantsClass(82, "not_found", "fs", "grep", "ws:none", "x")
	})
}
