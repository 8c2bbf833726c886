package integration

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var keptFile = regexp.MustCompile(`~/\.bivy/kept/[0-9a-f]{16}`)

// keptScript goes on when a file lets it, and says so on both streams, in
// several writes. It waits before it says that it is up: what it said first must
// not be lost with the link.
const keptScript = `
trap 'echo term >>"$DIR/log"; exit 3' TERM
echo early; echo early error >&2
sleep 1
: >"$DIR/up"
while [ ! -e "$DIR/go" ]; do sleep 0.1 & wait $!; done
for i in 1 2 3; do echo late $i; echo late error $i >&2; sleep 0.1; done
echo 'ended 0' >>"$DIR/log"`

// TestKept: a command that is to outlive its link does, and what it says then
// is found where bivy says that it is.
func TestKept(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		for i, flags := range [][]string{nil, {"-i"}} {
			w.wants(0, "exec", "--host", "gpu1", "--", "true")
			tr := w.newTree(fmt.Sprintf("t%d", i))
			tr.start(keptScript, append(flags, "--on-disconnect", "keep")...)
			tr.up()
			w.killMaster()
			got := tr.wait()
			if got.code != 94 || got.stdout != "early\n" || !strings.HasPrefix(got.stderr, "early error\n") {
				t.Errorf("%q: a lost link gives %v", flags, got)
			}
			w.wantReceipt(tr.result, map[string]any{"state": "unknown", "class": "link_lost", "code": nil})
			file := keptFile.FindString(got.stderr)
			if file == "" {
				t.Fatalf("%q: no file is named: %v", flags, got)
			}
			// A new login, and a command of its own, end nothing.
			w.wants(0, "exec", "--host", "gpu1", "--", "true")
			if len(tr.alive()) == 0 {
				t.Errorf("%q: the command did not live on", flags)
			}
			w.must(os.WriteFile(tr.dir+"/go", nil, 0o600))
			w.eventually("the command ends", func() bool { return len(tr.alive()) == 0 })
			if tr.log() != "ended 0\n" {
				t.Errorf("%q: the command's log: %q", flags, tr.log())
			}
			want := "late 1\nlate 2\nlate 3\nlate error 1\nlate error 2\nlate error 3\n"
			show := func() string {
				return w.bivy("exec", "--host", "gpu1", "-c", "cat "+file+".out "+file+".err").stdout
			}
			w.eventually("the kept output is complete", func() bool { return len(show()) >= len(want) })
			if text := show(); text != want {
				t.Errorf("%q: the host has kept %q, want %q", flags, text, want)
			}
		}
	})
}

// TestKeptOrCanceled: ^C ends such a command all the same; a killed bivy does
// not.
func TestKeptOrCanceled(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		for i, flags := range [][]string{nil, {"-i"}} {
			tr := w.newTree(fmt.Sprintf("c%d", i))
			tr.start(keptScript, append(flags, "--on-disconnect", "keep")...)
			tr.up()
			w.must(tr.bivy.process.Signal(syscall.SIGINT))
			if got := tr.wait(); got.code != 96 || tr.log() != "term\n" {
				t.Errorf("%q: ^C gives %v; the command's log: %q", flags, got, tr.log())
			}
			tr.gone(0)
			w.wantReceipt(tr.result, map[string]any{"state": "canceled", "class": "canceled", "code": nil})

			tr = w.newTree(fmt.Sprintf("k%d", i))
			tr.start(keptScript, append(flags, "--on-disconnect", "keep")...)
			tr.up()
			w.must(tr.bivy.process.Signal(syscall.SIGKILL))
			tr.wait()
			// Whoever would end it has had the time for that.
			w.wants(0, "exec", "--host", "gpu1", "--", "sleep", "3")
			w.must(os.WriteFile(tr.dir+"/go", nil, 0o600))
			tr.gone(patience)
			if tr.log() != "ended 0\n" {
				t.Errorf("%q: with bivy killed the command's log is %q", flags, tr.log())
			}
		}
	})
}
