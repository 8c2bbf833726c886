package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/internal/leak"
)

// stubbornScript starts the four kinds of children, all deaf for TERM, and
// says itself when it is told.
const stubbornScript = `
trap '' TERM HUP INT
sleep 1001 &
setsid sleep 1002 >/dev/null 2>&1 &
(sleep 1003 >/dev/null 2>&1 &)
nohup sleep 1004 >/dev/null 2>&1 &
trap 'echo term >>"$DIR/log"' TERM
: >"$DIR/up"
while :; do sleep 1005; done`

// cancel is one way to end a command.
type cancel struct {
	signal syscall.Signal // 0: its time is over
	flags  []string
}

// timeout is the one that the commands get whose time is over.
const timeout = 3 * time.Second

// TestCancelMeansGone has a host of its own as far as processes go: whatever
// is adopted anywhere on a host while a command runs may be the command's child,
// and the list of survivors is then not complete.
func TestCancelMeansGone(t *testing.T) {
	alone := ownProcesses(t)
	w := newWorld(t, kindSSHD, hostOptions{})
	t.Cleanup(w.end)
	w.needProc()
	w.wants(0, "exec", "--host", "gpu1", "--", "true")
	inTime := []string{"--timeout", timeout.String()}
	w.cancelAll("a", alone, []cancel{{syscall.SIGINT, nil}, {syscall.SIGINT, []string{"-i"}}, {syscall.SIGTERM, nil}, {syscall.SIGTERM, []string{"-i"}}})
	w.cancelAll("b", alone, []cancel{{syscall.SIGHUP, nil}, {syscall.SIGHUP, []string{"-i"}}, {0, inTime}, {0, append(inTime, "-i")}})
}

// ownProcesses gives the next sshd a table of processes of its own, and
// reports whether that can be.
func ownProcesses(t *testing.T) bool {
	t.Helper()
	sshd, err := filepath.EvalSymlinks("/usr/sbin/sshd")
	if err != nil {
		return false
	}
	own := []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if exit, err := proc.Run(t.Context(), proc.Spec{Args: append(own, "true")}); err != nil || !exit.OK() {
		return false
	}
	dir := t.TempDir()
	script := "#!/bin/sh\nexec " + strings.Join(own, " ") + " " + sshd + " \"$@\"\n"
	if err := os.WriteFile(dir+"/sshd", []byte(script), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return true
}

// cancelAll cancels some commands at once, each in its way.
func (w *world) cancelAll(name string, alone bool, ways []cancel) {
	w.tb.Helper()
	type one struct {
		*tree
		what   string
		signal syscall.Signal
	}
	var all []one
	for i, way := range ways {
		o := one{w.newTree(fmt.Sprint(name, i)), fmt.Sprintf("signal %d, %q", way.signal, way.flags), way.signal}
		o.start(stubbornScript, way.flags...)
		all = append(all, o)
	}
	for _, o := range all {
		o.up()
	}
	began := time.Now()
	for _, o := range all {
		if o.signal != 0 {
			w.must(o.bivy.process.Signal(o.signal))
		}
	}
	for _, o := range all {
		got := o.wait()
		limit := soon
		if o.signal == 0 {
			limit += timeout
		}
		if took := time.Since(began); took > limit {
			w.tb.Errorf("%s: bivy ends after %s, want %s at most", o.what, took, limit)
		}
		// It is gone by the time that bivy says so.
		if left := o.alive(); len(left) > 0 {
			w.tb.Errorf("%s: after %v there still run:\n%s", o.what, got, leak.List(left))
		}
		state, code := "canceled", 96
		if o.signal == 0 {
			state, code = "timed_out", 95
		}
		if got.code != code || o.log() != "term\n" {
			w.tb.Errorf("%s gives %v; the command's log: %q", o.what, got, o.log())
		}
		w.wantReceipt(o.tree.result, map[string]any{"state": state, "class": state, "code": nil})
		receipt := w.receipt(o.tree.result)
		if list, ok := receipt["survivors"].([]any); !ok || len(list) != 0 {
			w.tb.Errorf("%s: survivors are %v", o.what, receipt["survivors"])
		}
		if alone && receipt["survivors_complete"] != true {
			w.tb.Errorf("%s: the list of survivors is not complete", o.what)
		}
	}
}

// TestSecondInterrupt does not wait for the rest of the grace.
func TestSecondInterrupt(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		for i, flags := range [][]string{nil, {"-i"}} {
			tr := w.newTree(fmt.Sprintf("t%d", i))
			tr.start(stubbornScript, flags...)
			tr.up()
			w.must(tr.bivy.process.Signal(syscall.SIGINT))
			w.eventually("the command is told to end", func() bool { return tr.log() != "" })
			began := time.Now()
			w.must(tr.bivy.process.Signal(syscall.SIGINT))
			got := tr.wait()
			if took := time.Since(began); took > grace/2 {
				t.Errorf("%q: bivy ends %s after the second ^C", flags, took)
			}
			if got.code != 96 {
				t.Errorf("%q: ^C twice gives %v", flags, got)
			}
			if left := tr.alive(); len(left) > 0 {
				t.Errorf("%q: after %v there still run:\n%s", flags, got, leak.List(left))
			}
			w.wantReceipt(tr.result, map[string]any{"state": "canceled", "class": "canceled", "code": nil})
		}
	})
}

// TestHiddenEscapee: what left the session, lost its parent and cleared its
// environment is found by nobody, and that is said.
func TestHiddenEscapee(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		for i, flags := range [][]string{nil, {"-i"}} {
			nap := fmt.Sprintf("%d", 1_000_000+10*w.server.Port+i)
			tr := w.newTree(fmt.Sprintf("t%d", i))
			tr.start("(env -i setsid sleep "+nap+" >/dev/null 2>&1 &)\n"+treeScript, flags...)
			tr.up()
			hidden := func() (list []leak.Process) {
				for _, p := range leak.All() {
					if strings.Join(p.Args, " ") == "sleep "+nap {
						list = append(list, p)
					}
				}
				return list
			}
			w.eventually("the escapee is on its own", func() bool { list := hidden(); return len(list) == 1 && list[0].Parent == 1 })
			w.must(tr.bivy.process.Signal(syscall.SIGTERM))
			got := tr.wait()
			if got.code != 96 {
				t.Errorf("%q: TERM gives %v", flags, got)
			}
			w.wantReceipt(tr.result, map[string]any{"state": "canceled", "survivors_complete": false})
			tr.gone(0)
			for _, p := range hidden() {
				w.must(syscall.Kill(p.PID, syscall.SIGKILL))
			}
		}
	})
}
