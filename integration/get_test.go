package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

// TestGet: a file, a directory, and what cannot be.
func TestGet(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		content := lump(3_000_000)
		w.write(dir+"/f", content)
		object := w.said(w.wants(0, "get", "--json", "ws:f", "g").stdout)
		if object["way"] != "scp" || object["bytes"] != 3_000_000.0 || object["sha256"] != hashed(content) || object["files"] != 1.0 ||
			object["verified"] != "sha256" || object["path"] != "g" || object["duration_ms"] == nil || w.read(w.proj+"/g") != content {
			t.Errorf("--json gives %v", object)
		}
		w.must(os.Mkdir(w.proj+"/in", 0o700))
		got := w.wants(0, "get", "ws:f", "in")
		if want := "fetched in/f: 1 file, 3000000 bytes, sha256 " + hashed(content) + ", checked by sha256\n"; got.stdout != want || got.stderr != "" {
			t.Errorf("get gives %v, want %q", got, want)
		}
		w.write(dir+"/empty", "")
		w.wants(0, "get", "ws:empty", "in/f")
		if w.read(w.proj+"/in/f") != "" {
			t.Error("the empty file has something in it")
		}
		for _, name := range oddFiles {
			w.write(dir+"/odd/"+name, name)
			w.wants(0, "get", "ws:odd/"+name, "in/")
			w.wants(0, "get", "--", "ws:odd/"+name, name)
			if w.read(w.proj+"/in/"+name) != name || w.read(w.proj+"/"+name) != name {
				t.Errorf("%q holds %q", name, w.read(w.proj+"/in/"+name))
			}
		}
		w.must(os.Symlink("/etc/passwd", dir+"/odd/out"))
		got = w.wants(0, "get", "--json", "ws:odd", "new")
		object = w.said(got.stdout)
		if object["way"] != "tar" || object["sha256"] != nil || object["files"] != float64(len(oddFiles)) || object["path"] != "new" || object["skipped"] != 1.0 {
			t.Errorf("--json of a directory gives %v", object)
		}
		if got := w.wants(0, "get", "ws:odd", "new"); got.stderr != "bivy: left out: odd/out: it is a link that leads out of the tree\n" {
			t.Errorf("a link outside gives %v", got)
		}
		for _, name := range oddFiles {
			if w.read(w.proj+"/new/"+name) != name || w.read(w.proj+"/new/odd/"+name) != name {
				t.Errorf("%q is not in the directory", name)
			}
		}
		w.wants(0, "get", "ws:", "whole")
		if w.read(w.proj+"/whole/f") != content || !exists(w.proj+"/whole/src/main.txt") {
			t.Error("the workspace is not whole")
		}
		w.must(syscall.Mkfifo(dir+"/fifo", 0o600))
		w.wantsClass(82, "not_found", "get", "ws:none", "x")
		w.wantsClass(82, "not_found", "get", "ws:f", "none/x")
		w.wantsClass(82, "not_found", "get", "nowhere:f", "x")
		w.wantsClass(81, "remote_denied", "get", "ws:fifo", "x")
		w.wantsClass(81, "local", "get", "ws:odd", "g")
		w.wantsClass(81, "local", "get", "ws:f", "x", "--max-bytes", "100")
		w.wantsClass(81, "local", "get", "ws:odd", "x", "--max-files", "3")
		w.wantsClass(80, "usage", "get", "ws:f")
		w.wantsClass(80, "usage", "get", "f", "x")
		w.wantsClass(80, "usage", "get", "ws:f", "x", "--max-bytes=-1")
		if exists(w.proj+"/x") || len(staged(w.proj)) > 0 {
			t.Errorf("something is left: %q", staged(w.proj))
		}
	})
}

// TestGetCanceled: ^C in the middle of each way ends it at once, with nothing
// of it left here.
func TestGetCanceled(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.remote+"/d/f", lump(40_000_000))
		w.write(w.proj+"/to/f", "old")
		w.script(w.root+"/slow", `scp "$@"; exec sleep 1000`)
		for _, test := range []struct{ source, scp string }{{"d/f", w.root + "/slow"}, {"d/f", "/nonexistent"}, {"d/.", "scp"}} {
			b := w.start(w.with(w.spec("get", "--host", "gpu1", test.source, "to"), "BIVY_SCP="+test.scp))
			w.eventually("something is staged", func() bool { return len(staged(w.proj+"/to")) > 0 })
			began := time.Now()
			w.must(b.process.Signal(syscall.SIGINT))
			got := b.wait()
			if late := got.code == 0 && test.scp != w.root+"/slow"; !late && (got.code != 96 || !strings.Contains(got.stderr, "canceled") || w.read(w.proj+"/to/f") != "old") {
				t.Errorf("%v gives %v", test, got)
			}
			if took := time.Since(began); took > patience {
				t.Errorf("%v took %s to end", test, took)
			}
			if left := staged(w.proj + "/to"); len(left) > 0 {
				t.Errorf("%v leaves %q", test, left)
			}
			w.write(w.proj+"/to/f", "old")
		}
	})
}

// TestGetHostile: a host whose tar and hashes lie, and names that harm a
// terminal.
func TestGetHostile(t *testing.T) {
	bin := t.TempDir()
	force := "PATH=" + bin + ":$PATH; export PATH; exec sh -c \"$SSH_ORIGINAL_COMMAND\""
	onServer(t, sshdtest.Start, sshdtest.Options{ForceCommand: force}, func(t *testing.T, w *world) {
		w.write(w.remote+"/d/f", "f")
		evil := "evil\x1b]0;owned\a\x1b[31m\u202e"
		w.must(os.Symlink("/etc", w.remote+"/d/"+evil))
		sc := w.onTerminal(w.spec("get", "--host", "gpu1", "d", "d"))
		if code := sc.wait(); code != 0 || !strings.Contains(sc.text(), "left out") {
			t.Errorf("code %d, the terminal shows %q", code, sc.text())
		}
		harmless(t, "what is left out", sc.text())
		w.write(w.remote+"/"+evil, "x")
		sc = w.onTerminal(w.spec("get", "--host", "gpu1", evil, "."))
		if code := sc.wait(); code != 0 {
			t.Errorf("code %d, the terminal shows %q", code, sc.text())
		}
		harmless(t, "a result", sc.text())
		wrong := "cat >/dev/null; echo " + strings.Repeat("0", 64)
		w.script(bin+"/sha256sum", wrong)
		w.script(bin+"/openssl", wrong)
		w.write(w.proj+"/old", "old")
		w.write(w.remote+"/old", "old")
		w.wantsClass(81, "remote_denied", "get", "--host", "gpu1", "d/f", "old")
		w.wantsClass(81, "remote_denied", "put", "d/f", "--host", "gpu1", "old")
		if w.read(w.proj+"/old") != "old" || w.read(w.remote+"/old") != "old" {
			t.Error("the old file is gone")
		}
		for what, text := range map[string]string{"endless": "cat /dev/zero", "noise": "cat /dev/urandom", "nothing": "exit 0", "failure": "echo no >&2; exit 2"} {
			w.script(bin+"/tar", text)
			got := w.bivy("get", "--host", "gpu1", "d", "x")
			if got.code != 81 || exists(w.proj+"/x") || len(staged(w.proj)) > 0 {
				t.Errorf("%s gives %v, and leaves %q", what, got, staged(w.proj))
			}
		}
	})
}
