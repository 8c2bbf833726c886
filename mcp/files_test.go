package mcp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bivy/integration/sshdtest"
)

func TestReadFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	for name, c := range map[string]struct {
		file, content     string
		in                args
		first, last, next int64
		ends, note        string
		escaped, bom      bool
	}{
		"whole":         {file: "one\ntwo\n", content: "one\ntwo\n", first: 1, last: 2, ends: "lf"},
		"no newline":    {file: "one\ntwo", content: "one\ntwo", first: 1, last: 2, ends: "lf"},
		"empty":         {ends: "lf", note: "the file is empty"},
		"from":          {file: "1\n2\n3\n", content: "2\n3\n", in: args{"offset": 2}, first: 2, last: 3, ends: "lf", note: "lines 2 to 3 of 3"},
		"some":          {file: "1\n2\n3\n", content: "2\n", in: args{"offset": 2, "limit": 1}, first: 2, last: 2, ends: "lf", note: "lines 2 to 2 of 3"},
		"behind":        {file: "1\n", in: args{"offset": 9}, ends: "lf", note: "there are no such lines"},
		"crlf":          {file: "1\r\n2\r\n", content: "1\n2\n", first: 1, last: 2, ends: "crlf", note: "crlf"},
		"mixed":         {file: "1\r\n2\n", content: "1\r\n2\n", first: 1, last: 2, ends: "mixed", note: "mixed"},
		"bom":           {file: "\ufeffone\n", content: "one\n", first: 1, last: 1, ends: "lf", bom: true},
		"escapes":       {file: "\x1b[31mred\r\x00x\n", content: "", ends: "lf", note: "content_base64"},
		"terminal":      {file: "\x1b]0;t\x07\rx\n", content: `\x1b]0;t\x07\x0dx` + "\n", first: 1, last: 1, ends: "lf", escaped: true},
		"not UTF-8":     {file: "caf\xe9\n", content: `caf\xe9` + "\n", first: 1, last: 1, ends: "lf", escaped: true},
		"bidirectional": {file: "a\u202eb\u0085c\n", content: `a\u202eb\u0085c` + "\n", first: 1, last: 1, ends: "lf", escaped: true},
		"UTF-8":         {file: "häß 漢字 \U0001f600\n", content: "häß 漢字 \U0001f600\n", first: 1, last: 1, ends: "lf"},
	} {
		w.put("f", c.file)
		in := args{"file_path": "f"}
		for k, v := range c.in {
			in[k] = v
		}
		o, text := call[readOut](a, "read_file", in)
		sum := sha256.Sum256([]byte(c.file))
		if o.Content != c.content || o.FirstLine != c.first || o.LastLine != c.last || o.LineEnds != c.ends || o.Escaped != c.escaped || o.BOM != c.bom {
			t.Errorf("%s: %+v", name, o)
		}
		if o.SHA256 == nil || *o.SHA256 != hex.EncodeToString(sum[:]) || o.Size != int64(len(c.file)) || o.Path != "f" {
			t.Errorf("%s: sha256 %v, size %d, path %q", name, o.SHA256, o.Size, o.Path)
		}
		if !strings.HasPrefix(text, c.content) || !strings.Contains(text, c.note) {
			t.Errorf("%s: the text is %q, want it to begin with %q and to say %q", name, text, c.content, c.note)
		}
		if o.Escaped || o.Binary {
			if data, err := base64.StdEncoding.DecodeString(o.Base64); err != nil || string(data) != c.file {
				t.Errorf("%s: content_base64 is %q, %v", name, data, err)
			}
		}
	}
}

// What is read piece by piece is all of it, and no result is larger than asked.
func TestReadLongFileByPieces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve(func(c *Config) { c.MaxOutput = 16 << 10 })
	var b strings.Builder
	for i := range 12_000 {
		fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("ä\x01", i%40))
	}
	w.put("long", b.String())
	var got strings.Builder
	next, calls := int64(0), 0
	for ; calls < 2000; calls++ {
		o, _ := call[readOut](a, "read_file", args{"file_path": "long", "offset": next})
		if len(o.Content) > 16<<10 || o.LineCut {
			t.Fatalf("a result has %d bytes, cut %v", len(o.Content), o.LineCut)
		}
		part := o.Content
		if o.Escaped {
			data, _ := base64.StdEncoding.DecodeString(o.Base64)
			part = string(data)
		}
		got.WriteString(part)
		if o.NextOffset == nil {
			break
		}
		next = *o.NextOffset
	}
	if got.String() != b.String() {
		t.Errorf("%d calls gave %d bytes, want %d", calls, got.Len(), b.Len())
	}
	w.put("line", strings.Repeat("ü", 20_000))
	o, text := call[readOut](a, "read_file", args{"file_path": "line"})
	if o.Content != strings.Repeat("ü", 8<<10) || !o.LineCut || !strings.Contains(text, "the end of line 1 is left out") {
		t.Errorf("one long line: %d bytes, cut %v", len(o.Content), o.LineCut)
	}
}

func TestEditTakesOneRoundTripAfterRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	w.put("a", "one\r\ntwo\r\n")
	call[readOut](a, "read_file", args{"file_path": "a"})
	w.calls.taken()
	for i, path := range []string{"a", "./a", filepath.Join(w.dir, "a")} {
		before := []string{"two", "2", "zwei"}[i]
		after := []string{"2", "zwei", "deux"}[i]
		o, text := call[editOut](a, "edit_file", args{"file_path": path, "old_string": "one\n" + before, "new_string": "one\n" + after})
		if ops := w.calls.taken(); ops != "write" {
			t.Errorf("an edit after a read asks the host for %q, want one write", ops)
		}
		w.want("a", "one\r\n"+after+"\r\n")
		if o.Replaced != 1 || !strings.Contains(text, "+"+after) || o.Before == o.SHA256 {
			t.Errorf("the edit says %+v", o)
		}
	}
	// Without a read there are two, and a part that was read is enough.
	w.put("b", "x x\n")
	if o, _ := call[editOut](a, "edit_file", args{"file_path": "b", "old_string": "x", "new_string": "y", "replace_all": true}); o.Replaced != 2 {
		t.Errorf("the edit says %+v", o)
	}
	if ops := w.calls.taken(); ops != "read write" {
		t.Errorf("an edit without a read asks the host for %q", ops)
	}
	w.put("c", strings.Repeat("line\n", 1000)+"last\n")
	call[readOut](a, "read_file", args{"file_path": "c", "offset": 3, "limit": 2})
	call[editOut](a, "edit_file", args{"file_path": "c", "old_string": "last", "new_string": "end"})
	if ops := w.calls.taken(); ops != "read write" {
		t.Errorf("a part that is read, and an edit, ask the host for %q", ops)
	}
}

func TestEditOfFileThatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return hex.EncodeToString(h[:])
	}
	for name, now := range map[string]string{"other place": "one\ntwo\nthree\n", "same place": "one\n2\n"} {
		w.put("a", "one\ntwo\n")
		call[readOut](a, "read_file", args{"file_path": "a"})
		w.put("a", now)
		w.calls.taken()
		in := args{"file_path": "a", "old_string": "two", "new_string": "deux"}
		if name == "same place" { // the agent knows, by a command of its own
			in = args{"file_path": "a", "old_string": "2", "new_string": "deux"}
		}
		a.fails("explained", sum(now), "edit_file", in)
		if ops := w.calls.taken(); strings.Contains(ops, " ") || ops == "" {
			t.Errorf("%s: the host was asked for %q, want one round trip", name, ops)
		}
		w.want("a", now)
		// It stays so until it is read again.
		a.fails("explained", sum(now), "edit_file", in)
		call[readOut](a, "read_file", args{"file_path": "a"})
		call[editOut](a, "edit_file", in)
	}
}

func TestEditThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	w.put("a", "x\nx\n")
	for range 2 { // unread, and read
		a.fails("explained", "is there 2 times", "edit_file", args{"file_path": "a", "old_string": "x", "new_string": "y"})
		a.fails("explained", "is not there", "edit_file", args{"file_path": "a", "old_string": "z", "new_string": "y"})
		call[readOut](a, "read_file", args{"file_path": "a"})
	}
	a.fails("usage", "are the same", "edit_file", args{"file_path": "a", "old_string": "x", "new_string": "x"})
	a.fails("usage", "old_string is empty", "edit_file", args{"file_path": "a", "old_string": "", "new_string": "x"})
	a.fails("explained", "it does not exist", "edit_file", args{"file_path": "none", "old_string": "x", "new_string": "y"})
	w.want("a", "x\nx\n")
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	o, _ := call[writeOut](a, "write_file", args{"file_path": "new/dir/a", "content": "1\r\n"})
	if !o.Created || o.Length != 3 {
		t.Errorf("the write says %+v", o)
	}
	w.want("new/dir/a", "1\r\n")
	// What was written is remembered.
	w.calls.taken()
	call[editOut](a, "edit_file", args{"file_path": "new/dir/a", "old_string": "1", "new_string": "2"})
	call[writeOut](a, "write_file", args{"file_path": "new/dir/a", "content": "3\n"})
	if ops := w.calls.taken(); ops != "write write" {
		t.Errorf("the host was asked for %q", ops)
	}
	// What the agent has not seen is replaced, what changed since is not.
	w.put("b", "unseen\n")
	call[writeOut](a, "write_file", args{"file_path": "b", "content": "seen\n"})
	w.put("b", "changed\n")
	a.fails("explained", "has changed", "write_file", args{"file_path": "b", "content": "mine\n"})
	w.want("b", "changed\n")
	// One that is gone is told once.
	if err := os.Remove(filepath.Join(w.dir, "b")); err != nil {
		t.Fatal(err)
	}
	a.fails("explained", "does not exist any more", "write_file", args{"file_path": "b", "content": "mine\n"})
	call[writeOut](a, "write_file", args{"file_path": "b", "content": "mine\n"})
	w.want("b", "mine\n")
}

// A host that knows no SHA-256 can be written to, but not edited.
func TestWriteWithoutHashes(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, sshdtest.Options{Programs: []string{
		"sh", "ps", "kill", "dd", "sleep", "stty", "cat", "chmod", "chown", "cksum", "cp", "find", "ls", "mkdir", "mv", "rm", "rmdir", "sed", "tail", "tr", "wc", "head", "readlink",
	}})
	a := w.serve()
	for _, content := range []string{"1\n", "2\n"} {
		call[writeOut](a, "write_file", args{"file_path": "a", "content": content})
		w.want("a", content)
	}
	w.put("a", "changed\n")
	a.fails("explained", "has changed", "write_file", args{"file_path": "a", "content": "3\n"})
	w.want("a", "changed\n")
	w.put("b", "one\n")
	a.fails("explained", "SHA-256", "edit_file", args{"file_path": "b", "old_string": "one", "new_string": "x"})
	w.want("b", "one\n")
}

func TestSecretsAreNotWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	w.put("env", "TOKEN=hunter2\n")
	a.fails("precondition", "[secret TOKEN]", "write_file", args{"file_path": "env", "content": "A=1\nTOKEN=[secret TOKEN]\n"})
	a.fails("precondition", "[secret TOKEN]", "edit_file", args{"file_path": "env", "old_string": "TOKEN=hunter2", "new_string": "TOKEN=[secret TOKEN]"})
	w.want("env", "TOKEN=hunter2\n")
	call[writeOut](a, "write_file", args{"file_path": "doc", "content": "a [secret hiding place] of [secret]s, [ secret X ]\n[secret \n]"})
}

func TestParallelEditsOfOneFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve()
	text, want := "", ""
	for i := range 8 {
		text += fmt.Sprintf("before%d\n", i)
		want += fmt.Sprintf("after%d\n", i)
	}
	w.put("a", text)
	call[readOut](a, "read_file", args{"file_path": "a"})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			result := a.try("edit_file", args{"file_path": "a", "old_string": fmt.Sprintf("before%d", i), "new_string": fmt.Sprintf("after%d", i)})
			if result.IsError {
				t.Errorf("edit %d fails: %s", i, textOf(result))
			}
		})
	}
	all.Wait()
	w.want("a", want)
}
