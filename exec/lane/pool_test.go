package lane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bivy/exec"
	"bivy/exec/proc"
	"bivy/integration/mastertest"
	"bivy/internal/leak"
	"bivy/sshcmd"
)

// patience is the deadline of everything that a test waits for.
const patience = 60 * time.Second

func TestMain(m *testing.M) { mastertest.Main(m) }

// local opens lanes in a shell of this machine.
type local struct {
	argv    []string
	opened  atomic.Int32
	mu      sync.Mutex
	wanted  []func()
	scripts []string
}

func (l *local) open(ctx context.Context, c exec.Command, wanted func()) (exec.Receipt, error) {
	l.opened.Add(1)
	l.mu.Lock()
	l.wanted = append(l.wanted, wanted)
	l.scripts = append(l.scripts, c.Script)
	l.mu.Unlock()
	// Like exec.Run, and unlike a process with a reader, it does not wait for the
	// end of stdin.
	in, feed, err := os.Pipe()
	if err != nil {
		return exec.Receipt{State: exec.NeverStarted}, err
	}
	defer in.Close() //nolint:errcheck // nothing was written by it
	go func() {
		_, _ = io.Copy(feed, c.Stdin)
		_ = feed.Close()
	}()
	session, err := proc.Start(ctx, proc.Spec{
		Args: append(slices.Clone(l.argv), "-c", c.Script), Stdin: in, Stdout: c.Stdout, Stderr: c.Stderr,
		Env: append(os.Environ(), leak.Mark()), Isolation: proc.Session,
	})
	if err != nil {
		return exec.Receipt{State: exec.NeverStarted}, err
	}
	// What runs in it ends with it, as exec.Run sees to.
	end := func() { _ = syscall.Kill(-session.Pid(), syscall.SIGKILL) }
	stop := context.AfterFunc(ctx, end)
	exit, err := session.Wait()
	stop()
	end()
	switch {
	case ctx.Err() != nil:
		return exec.Receipt{State: exec.Canceled}, &exec.CanceledError{Host: "gpu1", Started: true, Confirmed: true, Cause: ctx.Err()}
	case err != nil:
		return exec.Receipt{State: exec.NeverStarted}, err
	case exit.Signal != 0:
		return exec.Receipt{State: exec.Unknown}, &exec.LostError{Host: "gpu1", Started: true}
	}
	return exec.Receipt{State: exec.Exited, Code: exit.Code}, nil
}

func newPool(t *testing.T, argv ...string) (*Pool, *local) {
	t.Helper()
	l := &local{argv: argv}
	p := New(t.Context(), "gpu1", l.open)
	t.Cleanup(p.Close)
	return p, l
}

// do runs a call that must work, and returns what it wrote.
func do(t *testing.T, p *Pool, c Call) (string, Result) {
	t.Helper()
	var out bytes.Buffer
	c.Stdout = &out
	result, err := p.Do(t.Context(), c)
	if err != nil {
		t.Errorf("%.60q: %v", c.Text, err)
	}
	return out.String(), result
}

// readsAll is a text that passes on its stdin, as Call.Stdin asks.
const readsAll = `L_exit=4; bivy_exactly "$L_length" && L_exit=0; exit "$L_exit"`

func everyByte() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return b.String()
}

// What goes in comes out on every shell, byte for byte, and one call is nothing
// to the next.
func TestShells(t *testing.T) {
	bashAsSh := filepath.Join(t.TempDir(), "sh")
	if err := os.Symlink("/bin/bash", bashAsSh); err != nil {
		t.Fatal(err)
	}
	for name, argv := range map[string][]string{
		"dash": {"dash"}, "bash": {"bash"}, "bash-as-sh": {bashAsSh}, "busybox": {"busybox", "sh"}, "mksh": {"mksh"}, "zsh": {"zsh", "--emulate", "sh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := proc.Run(t.Context(), proc.Spec{Args: append(slices.Clone(argv), "-c", ":")})
			var missing *proc.NotFoundError
			if errors.As(err, &missing) {
				// .ci/run installs all of them; a laptop tests those it has.
				t.Skipf("%s is not installed", argv[0])
			}
			p, l := newPool(t, argv...)
			serves(t, p)
			if n := l.opened.Load(); n != 1 {
				t.Errorf("one call at a time took %d lanes", n)
			}
		})
	}
}

func serves(t *testing.T, p *Pool) {
	t.Helper()
	all := everyByte()
	define := "bivy_say() { printf '%s.' \"$@\"; }\n"
	for _, word := range []string{"", "a b", "'", `\`, `a\nb`, "-n", "~", "$(id)", "*", "a\nb\n", "\r", "\t", "é", all[1:], strings.Repeat("x", 5000)} {
		if out, _ := do(t, p, Call{Define: define, Text: "bivy_say " + sshcmd.QuoteAll([]string{word, "end"})}); out != word+".end." {
			t.Errorf("a word became %.80q, want %.80q", out, word)
		}
	}
	for _, in := range []string{"x", "\n", all, strings.Repeat(all, 1000), "call 0 echo wrong\n"} {
		if out, _ := do(t, p, Call{Text: readsAll, Stdin: []byte(in)}); out != in {
			t.Errorf("stdin of %d bytes became %d bytes, %.40q", len(in), len(out), out)
		}
		// One that leaves its stdin alone leaves none of it to the next.
		if out, result := do(t, p, Call{Text: `echo alone; exit "$L_exit"`, Stdin: []byte(in)}); out != "alone\n" || result.Status != 3 {
			t.Errorf("%q, %+v", out, result)
		}
	}
	if out, _ := do(t, p, Call{Text: "cat; echo end"}); out != "end\n" {
		t.Errorf("a call without stdin read %q", out)
	}
	if out, result := do(t, p, Call{Text: "cd /; V=1; echo words >&2; exit 7"}); out != "" || result != (Result{Status: 7, Words: "words\n"}) {
		t.Errorf("%q, %+v", out, result)
	}
	if out, _ := do(t, p, Call{Text: `[ "$PWD" != / ] && echo "${V:-none}"`}); out != "none\n" {
		t.Errorf("a call has left something behind: %q", out)
	}
	if out, result := do(t, p, Call{Text: "printf '\\036%s' x \"$L_nonce\"; kill -KILL $(sh -c 'echo $PPID')"}); !strings.HasPrefix(out, "\x1ex\x1e") || result.Status != 137 {
		t.Errorf("a call that was killed: %q, %+v", out, result)
	}
}

// A lane begins with a call that only reads: its answer comes with the lane.
func TestBeginsWithACall(t *testing.T) {
	p, l := newPool(t, "dash")
	if out, _ := do(t, p, Call{Define: "bivy_x() { echo \"'x'\"; }\n", Text: "bivy_x; bivy_x >&2"}); out != "'x'\n" {
		t.Errorf("the first call: %q", out)
	}
	if sent := l.scripts[0]; !strings.Contains(sent, "bivy_serve 0 'bivy_x; bivy_x >&2'") {
		t.Error("the first call is not in the text that starts the lane")
	}
	if out, result := do(t, p, Call{Define: "bivy_x() { echo \"'x'\"; }\n", Text: "bivy_x; bivy_x >&2"}); out != "'x'\n" || result.Words != "'x'\n" {
		t.Errorf("the second call: %q, %+v", out, result)
	}
}

// Many at once get their own answers, through no more lanes than there may be.
func TestManyAtOnce(t *testing.T) {
	p, l := newPool(t, "dash")
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			in := strings.Repeat(fmt.Sprintln(i), i)
			if out, result := do(t, p, Call{Text: fmt.Sprintf("echo %d >&2; ", i) + readsAll, Stdin: []byte(in)}); out != in || i > 0 && result.Words != fmt.Sprintln(i) {
				t.Errorf("%d: %.40q, %+v", i, out, result)
			}
		})
	}
	all.Wait()
	if n := l.opened.Load(); n < 2 || n > MaxLanes {
		t.Errorf("%d lanes were opened", n)
	}
}

// A lane that dies is replaced; what reads is repeated, what changes is not, and
// that is said.
func TestLaneDies(t *testing.T) {
	dies := `[ -e "$F" ] || { : >"$F"; kill -KILL $PPID; sleep 60; }; echo alive`
	for name, c := range map[string]struct {
		changes bool
		want    string
	}{"reads": {false, "alive\n"}, "changes": {true, ""}} {
		t.Run(name, func(t *testing.T) {
			p, l := newPool(t, "dash")
			text := fmt.Sprintf("F=%s sh -c %s", sshcmd.Quote(filepath.Join(t.TempDir(), "once")), sshcmd.Quote("PPID=$(ps -o ppid= -p $PPID); "+dies))
			var out bytes.Buffer
			_, err := p.Do(t.Context(), Call{Text: text, Stdout: &out, Changes: c.changes})
			var lost *exec.LostError
			if out.String() != c.want || c.changes != errors.As(err, &lost) || !c.changes && err != nil {
				t.Errorf("%q, %v", out.String(), err)
			}
			if out, _ := do(t, p, Call{Text: "echo next"}); out != "next\n" {
				t.Errorf("the next call: %q", out)
			}
			if n := l.opened.Load(); n != 2 {
				t.Errorf("%d lanes were opened, want 2", n)
			}
		})
	}
}

// A call that leaves a part of its stdin ends its lane and is answered; those
// behind it, which have not run, run in another.
func TestAstray(t *testing.T) {
	p, l := newPool(t, "dash")
	gate := filepath.Join(t.TempDir(), "gate")
	results := make(chan string, 3)
	go func() {
		out, result := do(t, p, Call{
			Text:  fmt.Sprintf("until [ -e %s ]; do sleep 0.01; done; dd bs=1 count=2 2>/dev/null; exit 4", sshcmd.Quote(gate)),
			Stdin: []byte("abcdef"), Changes: true,
		})
		results <- fmt.Sprint(out, " ", result.Status)
	}()
	await(t, p, func() bool { return len(p.lanes) == 1 && len(p.lanes[0].sent) == 1 })
	p.mu.Lock()
	p.again = time.Now().Add(patience) // the next ones wait in the same lane
	p.mu.Unlock()
	for range 2 {
		go func() {
			out, _ := do(t, p, Call{Text: "echo behind", Changes: true})
			results <- out
		}()
	}
	await(t, p, func() bool { return len(p.lanes[0].sent) == 3 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := []string{<-results, <-results, <-results}
	slices.Sort(got)
	if want := []string{"ab 75", "behind\n", "behind\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := l.opened.Load(); n != 2 {
		t.Errorf("%d lanes were opened, want 2", n)
	}
}

// await polls what belongs to the pool's lock.
func await(t *testing.T, p *Pool, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		p.mu.Lock()
		ok := holds()
		p.mu.Unlock()
		if ok {
			return
		}
	}
	t.Fatal("waited in vain")
}
