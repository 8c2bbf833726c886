package integration

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

// oddFiles are names that a shell, scp or tar could take for something else.
var oddFiles = []string{"a b", "it's \"q\"", "new\nline", "-rf", "c:o", "host:file", "[x]*?", `b\s`, "$(id)", "\xff\xfe", "~x"}

// lump is a content of n bytes.
func lump(n int) string {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // it hides nothing
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return string(b[:n])
}

// with is a spec with more in its environment.
func (w *world) with(s proc.Spec, variables ...string) proc.Spec {
	s.Env = append(append([]string{}, s.Env...), variables...)
	return s
}

// staged are the names of what a transfer has staged in a directory.
func staged(dir string) []string {
	names, _ := filepath.Glob(dir + "/.bivy-*")
	return names
}

// TestPut: one file, several, directories, and what cannot be.
func TestPut(t *testing.T) {
	withWorkspace(t, func(t *testing.T, w *world, dir string) {
		content := lump(3_000_000)
		w.write(w.proj+"/f", content)
		object := w.said(w.wants(0, "put", "--json", "f", "ws:src/g").stdout)
		if object["way"] != "scp" || object["bytes"] != 3_000_000.0 || object["sha256"] != hashed(content) || object["files"] != 1.0 ||
			object["verified"] != "sha256" || object["path"] != dir+"/src/g" || object["duration_ms"] == nil || w.read(dir+"/src/g") != content {
			t.Errorf("--json gives %v", object)
		}
		got := w.wants(0, "put", "f", "ws:")
		if want := "sent " + dir + "/f: 1 file, 3000000 bytes, sha256 " + hashed(content) + ", checked by sha256\n"; got.stdout != want || got.stderr != "" {
			t.Errorf("put gives %v, want %q", got, want)
		}
		w.write(w.proj+"/empty", "")
		w.wants(0, "put", "empty", "ws:f")
		if w.read(dir+"/f") != "" {
			t.Error("the empty file has something in it")
		}
		for _, name := range oddFiles {
			w.write(w.proj+"/odd/"+name, name)
			w.wants(0, "put", "--", "odd/"+name, "ws:src/")
			if w.read(dir+"/src/"+name) != name {
				t.Errorf("%q holds %q", name, w.read(dir+"/src/"+name))
			}
		}
		w.write(w.proj+"/-dash", "dash")
		w.wants(0, "put", "--", "-dash", "ws:-to")
		object = w.said(w.wants(0, "put", "odd", "ws:new", "--json").stdout)
		if object["way"] != "tar" || object["sha256"] != nil || object["files"] != float64(len(oddFiles)) || object["path"] != dir+"/new" {
			t.Errorf("--json of a directory gives %v", object)
		}
		w.wants(0, "put", "f", "odd", "empty", "ws:new")
		for _, name := range oddFiles {
			if w.read(dir+"/new/"+name) != name || w.read(dir+"/new/odd/"+name) != name {
				t.Errorf("%q is not in the directory", name)
			}
		}
		w.must(syscall.Mkfifo(w.proj+"/odd/fifo", 0o600))
		if got := w.wants(0, "put", "odd/.", "ws:new"); got.stderr != "bivy: left out: odd/fifo: it is neither a file nor a directory\n" {
			t.Errorf("a FIFO gives %v", got)
		}
		w.wantsClass(82, "not_found", "put", "none", "ws:x")
		w.wantsClass(82, "not_found", "put", "f", "none", "ws:src")
		w.wantsClass(82, "not_found", "put", "f", "ws:none/x")
		w.wantsClass(82, "not_found", "put", "f", "empty", "ws:none")
		w.wantsClass(82, "not_found", "put", "f", "nowhere:x")
		w.wantsClass(81, "remote_denied", "put", "f", "empty", "ws:README")
		w.wantsClass(81, "remote_denied", "put", "odd", "ws:README")
		w.wantsClass(81, "local", "put", "odd/fifo", "ws:x")
		w.wantsClass(80, "usage", "put", "f")
		w.wantsClass(80, "usage", "put", "f", "x")
		w.wantsClass(80, "usage", "put", "", "ws:x")
		w.wantsClass(80, "usage", "put", "f", "ws:x", "--dir", "src")
		if left := append(staged(dir), staged(dir+"/src")...); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// TestPutHost: a host takes the place of a workspace, and flags may stand
// anywhere.
func TestPutHost(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.proj+"/f", "f")
		w.write(w.proj+"/a:b", "a:b")
		w.must(os.MkdirAll(w.remote+"/d/e", 0o700))
		w.wants(0, "put", "--host", "gpu1", "f", "x:y")
		w.wants(0, "put", "f", "--host", "gpu1", "--dir", "d", "e")
		w.wants(0, "put", "f", "a:b", "--host", "gpu1", "~/d")
		w.wants(0, "put", "f", w.remote+"/d/g", "--host", "gpu1")
		for _, path := range []string{"x:y", "d/e/f", "d/f", "d/g"} {
			if w.read(w.remote+"/"+path) != "f" {
				t.Errorf("%s holds %q", path, w.read(w.remote+"/"+path))
			}
		}
		if w.read(w.remote+"/d/a:b") != "a:b" {
			t.Error("a:b is another one")
		}
		// Where there is no scp it is a stream, which -v says.
		s := w.with(w.spec("put", "f", "--host", "gpu1", "s", "-v", "--json"), "BIVY_SCP=/nonexistent/scp")
		got := w.run(s)
		if got.code != 0 || !strings.Contains(got.stderr, "scp cannot be used") || w.said(got.stdout)["way"] != "stream" || w.read(w.remote+"/s") != "f" {
			t.Errorf("without scp: %v", got)
		}
		if got := w.run(w.with(w.spec("put", "f", "--host", "gpu1", "s"), "BIVY_SCP=a 'b")); got.code != 80 {
			t.Errorf("with an odd BIVY_SCP: %v", got)
		}
	})
}

// TestTransferDropbear is a server that is not OpenSSH.
func TestTransferDropbear(t *testing.T) {
	onServer(t, sshdtest.StartDropbear, sshdtest.Options{}, func(t *testing.T, w *world) {
		content := lump(2_000_000)
		w.write(w.proj+"/d/f", content)
		w.wants(0, "put", "d/f", "--host", "gpu1", "f")
		w.wants(0, "put", "d", "--host", "gpu1", "d")
		w.wants(0, "get", "--host", "gpu1", "f", "back")
		w.wants(0, "get", "--host", "gpu1", "d", "e")
		for _, path := range []string{w.remote + "/f", w.remote + "/d/f", w.proj + "/back", w.proj + "/e/f"} {
			if w.read(path) != content {
				t.Errorf("%s is another one", path)
			}
		}
	})
}

// TestTransferNoSFTP is a host that lets no file transfer pass, as some
// administrators want it: its status is 65.
func TestTransferNoSFTP(t *testing.T) {
	o := sshdtest.Options{ForceCommand: `case $SSH_ORIGINAL_COMMAND in *sftp*|scp*) exit 65 ;; *) exec sh -c "$SSH_ORIGINAL_COMMAND" ;; esac`}
	onServer(t, sshdtest.Start, o, func(t *testing.T, w *world) {
		w.write(w.proj+"/f", "f")
		for _, args := range [][]string{{"put", "f", "--host", "gpu1", "there"}, {"get", "--host", "gpu1", "there", "back"}} {
			got := w.wants(0, append(args, "-v", "--json")...)
			if w.said(got.stdout)["way"] != "stream" || !strings.Contains(got.stderr, "ended with") {
				t.Errorf("%q gives %v", args, got)
			}
		}
		if w.read(w.proj+"/back") != "f" {
			t.Errorf("it is %q", w.read(w.proj+"/back"))
		}
	})
}

// TestPutCanceled: ^C in the middle of each way ends it at once, with nothing
// of it left on the host.
func TestPutCanceled(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.proj+"/d/f", lump(40_000_000))
		w.write(w.remote+"/to/f", "old")
		w.script(w.root+"/slow", `scp "$@"; exec sleep 1000`)
		for _, test := range []struct{ source, scp string }{{"d/f", w.root + "/slow"}, {"d/f", "/nonexistent"}, {"d/.", "scp"}} {
			b := w.start(w.with(w.spec("put", test.source, "--host", "gpu1", "to"), "BIVY_SCP="+test.scp))
			w.eventually("something is staged", func() bool { return len(staged(w.remote+"/to")) > 0 })
			w.must(b.process.Signal(syscall.SIGINT))
			got := b.wait()
			// The stream may have been quicker than we are.
			if late := got.code == 0 && test.scp != w.root+"/slow"; !late && (got.code != 96 || !strings.Contains(got.stderr, "canceled") || w.read(w.remote+"/to/f") != "old") {
				t.Errorf("%v gives %v", test, got)
			}
			if left := staged(w.remote + "/to"); len(left) > 0 {
				t.Errorf("%v leaves %q", test, left)
			}
			w.write(w.remote+"/to/f", "old")
		}
	})
}

// TestTransferKilled: a client that is killed at any moment leaves the old file
// or the new, on both sides, and what it has staged is gone after the next one.
func TestTransferKilled(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		content := lump(8_000_000)
		w.write(w.proj+"/d/f", content)
		w.write(w.remote+"/d/f", content)
		w.wants(0, "exec", "--host", "gpu1", "--", "true")
		for i := range 12 {
			scp := []string{"scp", "/nonexistent"}[i%2]
			args := [][]string{{"put", "d/f", "--host", "gpu1", "to"}, {"get", "--host", "gpu1", "d/f", "to"}, {"put", "d/.", "--host", "gpu1", "to"}, {"get", "--host", "gpu1", "d/.", "to"}}[i/2%4]
			w.write(w.proj+"/to/f", "old")
			w.write(w.remote+"/to/f", "old")
			b := w.start(w.with(w.spec(args...), "BIVY_SCP="+scp))
			timer := time.NewTimer(rand.N(600 * time.Millisecond)) //nolint:gosec // any moment will do
			<-timer.C
			_ = b.process.Signal(syscall.SIGKILL)
			b.wait()
			for _, path := range []string{w.proj + "/to/f", w.remote + "/to/f"} {
				if got := w.read(path); got != "old" && got != content {
					t.Errorf("%q by %s leaves %d bytes in %s", args, scp, len(got), path)
				}
			}
			w.wants(0, args...)
			w.eventually("nothing is staged", func() bool { return len(staged(w.proj+"/to"))+len(staged(w.remote+"/to")) == 0 })
		}
	})
}

// TestTransferNoSpace: a full disk is 93 there and 81 here, and keeps what it
// has.
func TestTransferNoSpace(t *testing.T) {
	if who, err := user.Current(); err != nil || who.Uid != "0" {
		// Only root may mount a small disk.
		t.Skip("needs root to mount a tmpfs")
	}
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.proj+"/d/f", lump(3_000_000))
		w.write(w.remote+"/d/f", lump(3_000_000))
		for _, dir := range []string{w.remote + "/small", w.proj + "/small"} {
			w.must(os.Mkdir(dir, 0o700))
			mount := w.run(proc.Spec{Args: []string{"mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", dir}})
			if mount.code != 0 {
				// Containers often may not mount, not even as root.
				t.Skipf("cannot mount a tmpfs: %s", mount.stderr)
			}
			t.Cleanup(func() { w.run(proc.Spec{Args: []string{"umount", "-l", dir}}) })
			w.write(dir+"/f", "old")
		}
		w.wantsClass(93, "host_lacks", "put", "d/f", "--host", "gpu1", "small")
		w.wantsClass(93, "host_lacks", "put", "d", "--host", "gpu1", "small")
		w.wantsClass(81, "local", "get", "--host", "gpu1", "d/f", "small")
		w.wantsClass(81, "local", "get", "--host", "gpu1", "d", "small")
		for _, dir := range []string{w.remote + "/small", w.proj + "/small"} {
			if left := staged(dir); len(left) > 0 || w.read(dir+"/f") != "old" || exists(dir+"/d") {
				t.Errorf("%s has %q left, and holds %q", dir, left, w.read(dir+"/f"))
			}
		}
	})
}

// TestPutProgress: a terminal sees how far it is, and nothing else does.
func TestPutProgress(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.proj+"/f", lump(3<<20))
		w.script(w.root+"/slow", `scp "$@"; exec sleep 2`)
		slow := "BIVY_SCP=" + w.root + "/slow"
		sc := w.onTerminal(w.with(w.spec("put", "f", "--host", "gpu1", "to"), slow))
		code, text := sc.wait(), sc.text()
		if code != 0 || !strings.Contains(text, "\rbivy: 100% of 3.0 MiB, ") || !strings.Contains(text, "iB/s") {
			t.Errorf("code %d, the terminal shows %q", code, text)
		}
		// The line is gone before the result comes, and scp's own meter never was.
		if last := text[strings.LastIndex(text, "\r\x1b[K")+4:]; !strings.HasPrefix(last, "sent ") || strings.Contains(text, "ETA") {
			t.Errorf("the terminal shows %q", text)
		}
		for _, flag := range []string{"-q", "--json"} {
			sc := w.onTerminal(w.with(w.spec("put", "f", "--host", "gpu1", "to", flag), slow))
			if code, text := sc.wait(), sc.text(); code != 0 || strings.Contains(text, "%") || strings.Contains(text, "\x1b") {
				t.Errorf("%s: code %d, the terminal shows %q", flag, code, text)
			}
		}
		if got := w.run(w.with(w.spec("put", "f", "--host", "gpu1", "to"), slow)); got.code != 0 || got.stderr != "" {
			t.Errorf("without a terminal: %v", got)
		}
	})
}
