package integration

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bivy/exec/proc"
)

// TestLoopKeepsItsInput: in a loop over lines each bivy leaves the rest to the
// loop, also the one that logs in, and one that fails.
func TestLoopKeepsItsInput(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.script(w.root+"/loop", `while read -r n; do
	bivy exec --host gpu1 -c "echo $n; exit $n"
	bivy host ls >/dev/null
	bivy exec --host gpu1 --dir nowhere -- true 2>/dev/null
	echo "$?"
done`)
		s := w.spec()
		s.Args, s.Stdin = []string{w.root + "/loop"}, strings.NewReader("0\n1\n2\n3\n")
		if got := w.run(s); got.stdout != "0\n82\n1\n82\n2\n82\n3\n82\n" {
			t.Errorf("the loop gives %v", got)
		}
	})
}

// TestChildKeepsOutput: what a command leaves behind may hold its output; that
// is said, and not waited for.
func TestChildKeepsOutput(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		for _, script := range []string{
			"sleep 1001 & echo $! >pid; echo hi; exit 3", "(sleep 1001 >&2) & echo $! >pid; echo hi; exit 3",
		} {
			began := time.Now()
			got := w.bivy("exec", "--host", "gpu1", "--result", w.root+"/receipt", "-c", script)
			if took := time.Since(began); got != (result{3, "hi\n", ""}) || took > 10*time.Second {
				t.Errorf("%s gives, after %s, %v", script, took, got)
			}
			w.wantReceipt(w.root+"/receipt", map[string]any{"state": "exited", "code": 3.0, "lingering": true})
			w.wants(0, "exec", "--host", "gpu1", "-c", `kill "$(cat pid)"`)
		}
		w.wants(0, "exec", "--host", "gpu1", "--result", w.root+"/receipt", "-c", "sleep 1001 >/dev/null 2>&1 & echo $! >pid")
		w.wantReceipt(w.root+"/receipt", map[string]any{"state": "exited", "code": 0.0, "lingering": false})
		w.wants(0, "exec", "--host", "gpu1", "-c", `kill "$(cat pid)"`)
	})
}

// TestClosedOutput: a reader that goes away ends the command, without a word.
func TestClosedOutput(t *testing.T) {
	onBoth(t, hostOptions{}, func(t *testing.T, w *world) {
		for _, flags := range [][]string{nil, {"--json"}, {"-i"}, {"-v"}} {
			r, stdout, err := os.Pipe()
			w.must(err)
			in, stdin, err := os.Pipe() // held open
			w.must(err)
			s := w.spec(append(append([]string{"exec", "--host", "gpu1"}, flags...), "-c", "while echo line; do sleep 0.05; done")...)
			s.Stdin, s.Stdout = in, stdout
			b := w.start(s)
			w.must(stdout.Close())
			if _, err := r.Read(make([]byte, 4)); err != nil {
				t.Error(err)
			}
			w.must(r.Close())
			got := b.wait()
			if got.code != 141 || got.stderr != "" && flags[0] != "-v" {
				t.Errorf("%v: a closed stdout gives %v", flags, got)
			}
			w.must(stdin.Close())
			w.must(in.Close())
			w.eventually("the command is gone", func() bool { return !strings.Contains(strings.Join(w.there(), "\n"), "echo line") })
		}
	})
}

// TestFloodNeedsNoMemory streams much, with and without lines, to a terminal,
// a pipe and as JSON.
func TestFloodNeedsNoMemory(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		const most = 60 << 20
		for name, c := range map[string]struct {
			size     int
			terminal bool
			flags    []string
			source   string
		}{
			"lines on a terminal":   {200e6, true, nil, "yes '\033[32mok\033[0m  some package  0.123s'"},
			"a line on a terminal":  {100e6, true, nil, "yes | tr -d '\\n'"},
			"a title on a terminal": {100e6, true, nil, "printf '\\033]0;'; yes | tr -d '\\n'"},
			"a line through a pipe": {100e6, false, nil, "yes | tr -d '\\n'"},
			"lines as JSON":         {100e6, false, []string{"--json"}, "yes 'some package'"},
		} {
			s := w.spec(append(append([]string{"exec", "--host", "gpu1"}, c.flags...), "-c",
				"{ "+c.source+"; } | head -c "+strconv.Itoa(c.size)+"; echo; printf '\\a\\n'; echo written; until [ -e go ]; do sleep 0.05; done")...)
			_ = os.Remove(w.remote + "/go")
			out, read := w.drain(&s, c.terminal)
			b := w.start(s)
			_ = s.Stdout.(*os.File).Close()
			w.eventually(name+" has all", func() bool { return read.ended() })
			if n := peak(t, b.process.Pid()); n == 0 || n > most {
				t.Errorf("%s: bivy took %d MiB", name, n>>20)
			}
			w.write(w.remote+"/go", "")
			if got := b.wait(); got.code != 0 {
				t.Errorf("%s: %v", name, got)
			}
			out.Wait()
			if n := read.bytes.Load(); n < int64(c.size) && !strings.Contains(name, "title") {
				t.Errorf("%s: %d bytes arrived", name, n)
			}
		}
	})
}

// counted is what was read and thrown away, but for the last of it.
type counted struct {
	bytes atomic.Int64
	last  watched
}

// ended reports whether the last line was read.
func (c *counted) ended() bool { return strings.Contains(c.last.String(), "written") }

// drain gives a process a new terminal or pipe as stdout and reads it.
func (w *world) drain(s *proc.Spec, terminal bool) (*sync.WaitGroup, *counted) {
	w.tb.Helper()
	from, to, err := os.Pipe()
	if terminal {
		w.must(err)
		_, _ = from.Close(), to.Close()
		from, to, err = proc.OpenTTY(proc.Size{Rows: 24, Cols: 80})
	}
	w.must(err)
	s.Stdout = to
	c, done := &counted{}, &sync.WaitGroup{}
	done.Go(func() {
		defer from.Close() //nolint:errcheck // nothing was written
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			c.bytes.Add(int64(n))
			if strings.Contains(string(buf[:n]), "written") {
				_, _ = c.last.Write([]byte("written"))
			}
			if err != nil {
				return
			}
		}
	})
	return done, c
}

// peak is the most memory that a process has had so far, in bytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Error(err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(after + " 0")
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Error(err)
	}
	return n << 10
}
