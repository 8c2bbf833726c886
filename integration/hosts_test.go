package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/sshdtest"
)

// onServer runs a test on a host of its own making: start gets the options
// with the HOME that the world has for it.
func onServer(t *testing.T, start func(testing.TB, sshdtest.Options) *sshdtest.Server, o sshdtest.Options, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	withServer(t, start, o, test)
}

// withServer is onServer for a part of a test.
func withServer(t *testing.T, start func(testing.TB, sshdtest.Options) *sshdtest.Server, o sshdtest.Options, test func(*testing.T, *world)) {
	t.Helper()
	w := newWorld(t, kindSandbox, hostOptions{}) // a world without a server of its own
	o.Home = w.remote
	w.kind, w.server = kindSSHD, start(t, o)
	w.setConfig(w.server.ConfigFile)
	t.Cleanup(w.end)
	test(t, w)
}

// setConfig gives the user another ssh configuration.
func (w *world) setConfig(file string) {
	w.config = file
	w.env = slices.DeleteFunc(w.env, func(v string) bool { return strings.HasPrefix(v, "BIVY_SSH_CONFIG=") })
	w.env = append(w.env, "BIVY_SSH_CONFIG="+file)
}

// says checks an exit code and that each of the words is on stderr.
func (w *world) says(got result, code int, words ...string) {
	w.tb.Helper()
	for _, word := range words {
		if !strings.Contains(got.stderr, word) {
			w.tb.Errorf("stderr lacks %q: %v", word, got)
		}
	}
	if got.code != code {
		w.tb.Errorf("want code %d: %v", code, got)
	}
}

// smallTree is a command with children and grandchildren.
const smallTree = `sleep 1001 & (sleep 1002; :) & sh -c 'sleep 1003; :' & : >up; wait; :`

// basics is what must work on every host on which commands can be run.
func (w *world) basics() {
	w.tb.Helper()
	got := w.bivy("exec", "--host", "gpu1", "-c", "echo out; echo err >&2; exit 7")
	if got != (result{7, "out\n", "err\n"}) {
		w.tb.Errorf("a command gives %v", got)
	}
	s := w.spec("exec", "--host", "gpu1", "-i", "-c", "while read -r l; do echo \"<$l>\"; done; exit 4")
	s.Stdin = strings.NewReader("one\ntwo\n")
	if got := w.run(s); got.code != 4 || got.stdout != "<one>\n<two>\n" {
		w.tb.Errorf("with -i: %v", got)
	}
	if got := w.bivy("exec", "--host", "gpu1", "--", "no-such-program"); got.code != 127 {
		w.tb.Errorf("a program that is not there: %v", got)
	}
	if got := w.bivy("exec", "--host", "gpu1", "--dir", "nowhere", "--", "true"); got.code != 82 || !strings.Contains(got.stderr, "nowhere") {
		w.tb.Errorf("a directory that is not there: %v", got)
	}
}

// cancels checks that a canceled tree is gone, and returns its receipt.
func (w *world) cancels(flags ...string) map[string]any {
	w.tb.Helper()
	w.needProc()
	_ = os.Remove(w.remote + "/up")
	file := w.root + "/canceled"
	s := w.spec(append(append([]string{"exec", "--host", "gpu1", "--result", file}, flags...), "-c", smallTree)...)
	if slices.Contains(flags, "-i") {
		r, stdin, err := os.Pipe()
		w.must(err)
		defer r.Close()     //nolint:errcheck // nothing was written
		defer stdin.Close() //nolint:errcheck // held open: -i has no end of input
		s.Stdin = r
	}
	b := w.start(s)
	w.eventually("the command runs", func() bool { return exists(w.remote + "/up") })
	began := time.Now()
	w.must(b.process.Signal(syscall.SIGINT))
	got := b.wait()
	if took := time.Since(began); got.code != 96 || took > 5*time.Second {
		w.tb.Errorf("a canceled command %v gives, after %s, %v", flags, took, got)
	}
	for _, line := range w.there() {
		if strings.Contains(line, "sleep 100") {
			w.tb.Errorf("after a cancel with %v there still runs %s", flags, line)
		}
	}
	w.wantReceipt(file, map[string]any{"state": "canceled", "class": "canceled", "code": nil})
	return w.receipt(file)
}

// cancelsWhole cancels until the search has found no other process that might
// have escaped it: other tests on this machine leave orphans, too.
func (w *world) cancelsWhole(flags ...string) {
	w.tb.Helper()
	w.eventually("survivors_complete is true", func() bool {
		r := w.cancels(flags...)
		if list, ok := r["survivors"].([]any); !ok || len(list) > 0 {
			w.tb.Errorf("survivors: %v", r)
		}
		return r["survivors_complete"] == true || w.tb.Failed()
	})
}

// truthful runs n commands at once on a host that drops some sessions: what is
// said of each must be so.
func (w *world) truthful(n int) {
	w.tb.Helper()
	all := make([]*running, n)
	for i := range all {
		all[i] = w.start(w.spec("exec", "-q", "--host", "gpu1", "-c", fmt.Sprintf(": >ran-%d; echo out %[1]d; exit %[1]d", i)))
	}
	right := 0
	for i, b := range all {
		got, ran := b.wait(), exists(fmt.Sprintf("%s/ran-%d", w.remote, i))
		switch {
		case got == result{i, fmt.Sprintf("out %d\n", i), ""} && ran:
			right++
		case got.code == 94 && got.stderr != "", got.code == 90 && strings.Contains(got.stderr, "nothing was run") && !ran:
		default:
			w.tb.Errorf("command %d gives %v; it ran: %v", i, got, ran)
		}
	}
	if right < n/2 {
		w.tb.Errorf("%d of %d were right", right, n)
	}
}

// TestDropbear is a server that is not OpenSSH. This one drops a session now
// and then when several begin at once, under plain ssh as well.
func TestDropbear(t *testing.T) {
	onServer(t, sshdtest.StartDropbear, sshdtest.Options{}, func(t *testing.T, w *world) {
		w.basics()
		for _, flags := range [][]string{nil, {"-i"}, {"-t"}} {
			w.cancels(flags...)
		}
		w.truthful(12)
		w.signals("")
		if got := w.bivy("exec", "--host", "gpu1", "-t", "-c", "test -t 1 && echo terminal; exit 9"); got.code != 9 || got.stdout != "terminal\r\n" {
			t.Errorf("with -t: %v", got)
		}
		if n := w.logins(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

// TestLeanHosts have no program but those that POSIX has for processes, or no
// program but busybox.
func TestLeanHosts(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]sshdtest.Options{
		"posix":   {Programs: sshdtest.POSIXPrograms()},
		"busybox": {Programs: sshdtest.BusyboxPrograms(t), Sh: "busybox", LoginShell: "busybox ash"},
	} {
		t.Run(name, func(t *testing.T) {
			onServer(t, sshdtest.Start, o, func(t *testing.T, w *world) {
				w.basics()
				w.cancelsWhole()
				w.cancelsWhole("-i")
				w.cancels("-t")
				stubborn := "trap '' TERM; (trap '' TERM; sleep 1001; :) & while :; do sleep 1002; done"
				w.says(w.bivy("exec", "--host", "gpu1", "--timeout", "1s", "-c", stubborn), 95, "was ended")
				for _, line := range w.there() {
					if strings.Contains(line, "sleep 100") {
						t.Errorf("after --timeout there still runs %s", line)
					}
				}
				w.says(w.bivy("new", "ws", "--host", "gpu1"), 93, "no git", "install git")
			})
		})
	}
}
