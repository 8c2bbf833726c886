package integration

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestFsOddNames: names of any bytes go there and come back whole in JSON, and
// harm nobody as text.
func TestFsOddNames(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		w.wants(0, "fs", "mkdir", "ws:odd")
		names := []string{"a\nb", "\xff\xfe", "-rf", "$(touch hit)", "'q\"", "evil\x1b]0;owned\a\x1b[31m\u202e", " ", "*", "größe"}
		for _, name := range names {
			w.fedWants(0, name, "fs", "write", "ws:odd/"+name)
			w.wantsOut(name, "fs", "read", "ws:odd/"+name)
			if got := w.read(dir + "/odd/" + name); got != name {
				t.Errorf("%q holds %q", name, got)
			}
		}
		var list struct {
			Entries []struct {
				Path   string `json:"path"`
				Base64 []byte `json:"path_base64"`
			} `json:"entries"`
		}
		w.must(json.Unmarshal([]byte(w.wants(0, "fs", "ls", "--json", "ws:odd").stdout), &list))
		seen := map[string]bool{}
		for _, e := range list.Entries {
			seen[e.Path+string(e.Base64)] = true
		}
		for _, name := range names {
			if !seen[name] {
				t.Errorf("ls --json does not have %q: %v", name, list)
			}
		}
		for _, args := range [][]string{{"ls", "ws:odd"}, {"find", "ws:odd", "*"}, {"grep", "ws:odd", "."}, {"stat", "ws:odd/" + names[5]}, {"read", "ws:odd/" + names[5]}} {
			sc := w.onTerminal(w.spec(append([]string{"fs"}, args...)...))
			if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "evil") {
				t.Errorf("%q on a terminal gives %d, %q", args, code, sc.text())
			}
			harmless(t, strings.Join(args, " "), sc.text())
		}
		if got := w.wants(0, "fs", "find", "ws:odd", "*"); !strings.Contains(got.stdout, `"odd/a\nb"`+"\n") || !strings.Contains(got.stdout, "odd/größe\n") {
			t.Errorf("find gives %q", got.stdout)
		}
		got := w.wants(82, "fs", "read", "ws:no/"+names[5])
		harmless(t, "an error", got.stderr)
		w.fedWants(0, "x", "fs", "write", "--host", "gpu1", "--", "-odd")
		w.wantsOut("x", "fs", "read", "--host", "gpu1", "--", "-odd")
		w.wants(0, "fs", "rm", "-r", "ws:odd")
	})
}

// TestFsCutCharacter: a text that --max cuts is a text in JSON.
func TestFsCutCharacter(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		w.write(dir+"/f", "aa€€€\n"+strings.Repeat("€", 1000)+"\n")
		for max, want := range map[string]string{"4": "aa", "5": "aa€", "7": "aa€", "8": "aa€€"} {
			object := w.said(w.wants(0, "fs", "read", "--json", "ws:f", "--lines", "1:1", "--max", max).stdout)
			if object["content"] != want || object["length"] != float64(len(want)) {
				t.Errorf("--max %s gives %v; want %q", max, object, want)
			}
		}
		if object := w.said(w.wants(0, "fs", "read", "--json", "ws:f", "--tail", "1", "--max", "6").stdout); object["content"] != "€\n" {
			t.Errorf("--tail gives %v", object)
		}
		object := w.said(w.wants(0, "fs", "grep", "--json", "ws:f", "€€€€").stdout)
		if line := object["lines"].([]any)[0].(map[string]any); line["text"] != strings.Repeat("€", 333) || line["cut"] != true {
			t.Errorf("grep gives %v", object)
		}
	})
}

// TestFsCalledOff: a write that waits for its content ends with ^C, and a read
// with its reader.
func TestFsCalledOff(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		r, pipe, err := os.Pipe()
		w.must(err)
		s := w.spec("fs", "write", "ws:f")
		s.Stdin = r
		b := w.start(s)
		w.must(r.Close())
		_, err = pipe.WriteString(strings.Repeat("x", 32<<20)) // so much takes longer than to begin to hear signals
		w.must(err)
		w.must(b.process.Signal(syscall.SIGINT))
		if got := b.wait(); got.code != 96 || got.stdout != "" || exists(dir+"/f") {
			t.Errorf("^C gives %v", got)
		}
		w.must(pipe.Close())
		w.write(dir+"/big", strings.Repeat("a line\n", 1<<20))
		r, pipe, err = os.Pipe()
		w.must(err)
		w.must(r.Close())
		s = w.spec("fs", "read", "ws:big")
		s.Stdout = pipe
		if got := w.run(s); got.code != 141 || got.stderr != "" {
			t.Errorf("a closed stdout gives %v", got)
		}
		w.must(pipe.Close())
	})
}
