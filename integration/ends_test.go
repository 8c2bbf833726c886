package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onBoth runs a test on both kinds of host, and looks afterwards for what it
// has left behind.
func onBoth(t *testing.T, o hostOptions, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	for _, kind := range []string{kindSandbox, kindSSHD} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind, o)
			t.Cleanup(w.end)
			test(t, w)
		})
	}
}

// onSSHD is for what the sandbox has not: keys, a port, a log, login shells
// with startup files, limits of logins.
func onSSHD(t *testing.T, o hostOptions, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	w := newWorld(t, kindSSHD, o)
	t.Cleanup(w.end)
	test(t, w)
}

// masters asks `bivy host ls`.
func (w *world) masters() []masterJSON {
	w.tb.Helper()
	var list struct{ Masters []masterJSON }
	got := w.bivy("host", "ls", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil {
		w.tb.Errorf("bivy host ls --json gives %v: %v", got, err)
	}
	return list.Masters
}

type masterJSON struct {
	Host      string
	PID       int
	HolderPID int `json:"holder_pid"`
	Human     bool
}

// end closes all masters. Then neither a holder nor an ssh nor a process on
// the host may be left.
func (w *world) end() {
	closed := map[string]bool{}
	for _, m := range w.masters() {
		if closed[m.Host] {
			continue
		}
		closed[m.Host] = true
		if got := w.bivy("host", "close", m.Host); got.code != 0 {
			w.tb.Errorf("bivy host close %s gives %v", m.Host, got)
		}
	}
	var left []string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		if left = w.processes(w.root); len(left) == 0 {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	w.tb.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	for _, line := range left {
		pid, _, _ := strings.Cut(line, " ")
		if n, err := strconv.Atoi(pid); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
}

// processes lists those whose environment has the text, as "PID COMMAND".
// Where there is no /proc there is no way to see other processes'
// environments, and the list is empty.
func (w *world) processes(text string) []string {
	var list []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		environ, err := os.ReadFile(dir + "/environ")
		if err != nil || !strings.Contains("\x00"+string(environ), text) {
			continue
		}
		command, err := os.ReadFile(dir + "/cmdline")
		if err == nil && len(command) > 0 {
			line := filepath.Base(dir) + " " + strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))
			list = append(list, line)
		}
	}
	slices.Sort(list)
	return list
}

// needProc skips a test that must see what runs on the host.
func (w *world) needProc() {
	if !exists("/proc/self/environ") {
		// macOS shows the environment of a process to nobody.
		w.tb.Skip("there is no /proc to find the processes of the host in")
	}
}

// there lists the processes on the host, without those of a guardian and a
// spare session, which stay for a while.
func (w *world) there() []string {
	var list []string
	for _, line := range w.processes("\x00HOME=" + w.remote + "\x00") {
		if !guardians(line) && !w.idle(line) {
			list = append(list, line)
		}
	}
	return list
}

// idle reports whether a process is the shell of a spare session, and has
// nothing below it.
func (w *world) idle(line string) bool {
	pid, command, _ := strings.Cut(line, " ")
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	return strings.HasSuffix(strings.TrimSpace(command), " bivy-spare") && err == nil && len(children) == 0
}

// guardians reports whether a process, of which line is the pid and the
// command, is a guardian or was started by one.
func guardians(line string) bool {
	pid, command, _ := strings.Cut(line, " ")
	for strings.TrimSpace(command) != "" {
		if strings.HasSuffix(command, " bivy-guardian") {
			return true
		}
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return false
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		pid = fields[1]
		parent, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil {
			return false
		}
		command = strings.TrimSpace(strings.ReplaceAll(string(parent), "\x00", " "))
	}
	return false
}

// goneThere waits until nothing runs on the host any more.
func (w *world) goneThere() {
	w.tb.Helper()
	w.eventually("nothing runs on the host", func() bool { return len(w.there()) == 0 })
}

// receipt reads what --result wrote.
func (w *world) receipt(path string) map[string]any {
	w.tb.Helper()
	var r map[string]any
	if err := json.Unmarshal([]byte(w.read(path)), &r); err != nil {
		w.tb.Fatalf("the receipt is no JSON: %v", err)
	}
	return r
}

// wantReceipt compares some fields of a receipt; nil is JSON's null.
func (w *world) wantReceipt(path string, want map[string]any) {
	w.tb.Helper()
	got := w.receipt(path)
	want["format"] = 1.0
	for key, value := range want {
		if field, ok := got[key]; !ok || field != value {
			w.tb.Errorf("the receipt has %s %v, want %v; all of it: %v", key, field, value, got)
		}
	}
}
