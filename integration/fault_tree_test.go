package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bivy/exec/proc"
	"bivy/internal/leak"
)

// grace is what a command has between TERM and KILL, by default.
const grace = 5 * time.Second

// soon is how long after a fault nothing of a command may be alive: the grace
// and a second, which is five on a loaded machine.
const soon = grace + 5*time.Second

// treeScript is a command that keeps a log of its own on the host, and starts
// children of four kinds: a plain one, one with a session of its own, one whose
// parent is gone, and one that is deaf for HUP. TERM ends it; a file named go
// makes it say bye, write 64 KiB and exit with 7.
const treeScript = `
echo started >>"$DIR/log"
trap 'echo term >>"$DIR/log"; exit 3' TERM
sleep 1001 &
setsid sleep 1002 >/dev/null 2>&1 &
(sleep 1003 >/dev/null 2>&1 &)
nohup sleep 1004 >/dev/null 2>&1 &
: >"$DIR/up"
while [ ! -e "$DIR/go" ]; do sleep 0.1 & wait $!; done
echo bye
head -c 65536 /dev/zero | tr '\0' x
echo 'ended 7' >>"$DIR/log"
exit 7`

// treeOutput is how many bytes that command writes to stdout.
const treeOutput = len("bye\n") + 65536

// tree is one such command, or another one with its mark.
type tree struct {
	w         *world
	host      string
	dir, mark string
	result    string
	bivy      *running
	stdin     [2]*os.File // held open for -i
	stdout    *os.File
	// session is the pid of its session on the host, where that was held.
	session int
}

func (w *world) newTree(name string) *tree {
	w.tb.Helper()
	t := &tree{w: w, host: "gpu1", dir: w.remote + "/" + name, mark: strings.ReplaceAll(w.root, "/", "-") + "-" + name, result: w.root + "/" + name + ".json"}
	w.must(os.MkdirAll(t.dir, 0o700))
	return t
}

// args are those of a bivy that runs a script with the tree's mark.
func (t *tree) args(script string, flags ...string) []string {
	args := append([]string{"exec", "--host", t.host, "--result", t.result, "--env", "MARK=" + t.mark, "--env", "DIR=" + t.dir}, flags...)
	return append(args, "-c", script)
}

// start starts a script; with -i among the flags its stdin stays open.
func (t *tree) start(script string, flags ...string) {
	t.w.tb.Helper()
	t.startSpec(t.w.spec(t.args(script, flags...)...))
}

func (t *tree) startSpec(s proc.Spec) {
	t.w.tb.Helper()
	if strings.Contains(" "+strings.Join(s.Args, " ")+" ", " -i ") {
		var err error
		t.stdin[0], t.stdin[1], err = os.Pipe()
		t.w.must(err)
		s.Stdin = t.stdin[0]
	}
	t.bivy = t.w.start(s)
}

// up waits until the whole tree is there.
func (t *tree) up() {
	t.w.tb.Helper()
	t.w.eventually("the command in "+t.dir+" runs", func() bool { return exists(t.dir + "/up") })
}

// wait waits for the end of bivy, and closes what was open for it.
func (t *tree) wait() result {
	t.w.tb.Helper()
	got := t.bivy.wait()
	for _, f := range append(t.stdin[:], t.stdout) {
		if f != nil {
			_ = f.Close()
		}
	}
	return got
}

// log is what the command itself says.
func (t *tree) log() string {
	data, _ := os.ReadFile(t.dir + "/log")
	return string(data)
}

// state is what the receipt says.
func (t *tree) state() string { return fmt.Sprint(t.w.receipt(t.result)["state"]) }

// alive are the processes of the command on the host.
func (t *tree) alive() []leak.Process { return leak.Marked("MARK", t.mark) }

// left returns what is left of the command after that time. One that came to
// its own end may leave what it likes, which is ended here; before that there
// may be nothing yet, as long as its session is on its way.
func (t *tree) left(within time.Duration) []leak.Process {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); ; <-tick.C {
		if strings.Contains(t.log(), "ended") {
			t.clear()
		}
		left := slices.DeleteFunc(leak.All(), func(p leak.Process) bool { return p.PID != t.session && !p.Has("MARK", t.mark) })
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// clear ends what a command has left.
func (t *tree) clear() {
	for _, p := range t.alive() {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

// held are the pids of the sessions that wait, and of those that were ended
// while they did.
func (w *world) held() []int {
	w.tb.Helper()
	var pids []int
	files, err := filepath.Glob(w.server.Dir + "/held-*")
	w.must(err)
	for _, file := range files {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(file), "held-"))
		w.must(err)
		pids = append(pids, pid)
	}
	return pids
}

// gone wants the processes of the command to end within that time.
func (t *tree) gone(within time.Duration) {
	t.w.tb.Helper()
	leak.AwaitNone(t.w.tb, within, t.alive)
}
