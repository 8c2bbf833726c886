package lane

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec"
	"bivy/sshcmd"
)

// A call whose caller has gone: one that waits is taken back, one that reads is
// left, and one that changes something is waited for.
func TestCancel(t *testing.T) {
	p, l := newPool(t, "dash")
	gate := filepath.Join(t.TempDir(), "gate")
	waits := "until [ -e " + sshcmd.Quote(gate) + " ]; do sleep 0.01; done; echo done"
	type end struct {
		out string
		err error
	}
	ends := map[string]chan end{}
	ctx, cancel := context.WithCancel(t.Context())
	for name, c := range map[string]Call{"reads": {Text: waits}, "changes": {Text: waits, Changes: true}} {
		ends[name] = make(chan end, 1)
		go func() {
			var out bytes.Buffer
			c.Stdout = &out
			_, err := p.Do(ctx, c)
			ends[name] <- end{out.String(), err}
		}()
	}
	await(t, p, func() bool {
		n := 0
		for _, l := range p.lanes {
			n += len(l.sent)
		}
		return n == 2
	})
	cancel()
	var canceled *exec.CanceledError
	if e := <-ends["reads"]; !errors.As(e.err, &canceled) || e.out != "" {
		t.Errorf("the reader: %+v", e)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := <-ends["changes"]; e.err != nil || e.out != "done\n" {
		t.Errorf("what changes something has ended, and its caller is told %+v", e)
	}
	if out, _ := do(t, p, Call{Text: "echo next"}); out != "next\n" {
		t.Errorf("the next call: %q", out)
	}
	_, err := p.Do(ctx, Call{Text: "echo late"})
	if !errors.As(err, &canceled) {
		t.Errorf("a call without time: %v", err)
	}
	if n := l.opened.Load(); n > 2 {
		t.Errorf("%d lanes were opened", n)
	}
}

// A call that does not end for long after its caller has gone is ended with its
// lane, and the truth about it is told.
func TestStuck(t *testing.T) {
	p, _ := newPool(t, "dash")
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "pid")
	ended := make(chan error, 1)
	go func() {
		_, err := p.Do(ctx, Call{Text: "echo $$ >" + sshcmd.Quote(file) + "; exec sleep 1000", Changes: true})
		ended <- err
	}()
	await(t, p, func() bool {
		data, _ := os.ReadFile(file)
		return strings.HasSuffix(string(data), "\n")
	})
	cancel()
	var canceled *exec.CanceledError
	if err := <-ended; !errors.As(err, &canceled) || !canceled.Started || !canceled.Confirmed {
		t.Errorf("the error is %v", err)
	}
	if out, _ := do(t, p, Call{Text: "echo next"}); out != "next\n" {
		t.Errorf("the next call: %q", out)
	}
}

// A pool that is closed has no lanes, and no calls.
func TestClose(t *testing.T) {
	p, _ := newPool(t, "dash")
	ended := make(chan error, 1)
	go func() {
		_, err := p.Do(t.Context(), Call{Text: "exec sleep 1000"})
		ended <- err
	}()
	await(t, p, func() bool { return len(p.lanes) == 1 && len(p.lanes[0].sent) == 1 })
	p.Close()
	if err := <-ended; err == nil {
		t.Error("a call that was ended has no error")
	}
	if _, err := p.Do(t.Context(), Call{Text: ":"}); !errors.Is(err, ErrClosed) {
		t.Errorf("the error is %v", err)
	}
	p.Close()
}

// A lane makes way for those who wait for its session.
func TestWanted(t *testing.T) {
	p, l := newPool(t, "dash")
	do(t, p, Call{Text: ":"})
	l.mu.Lock()
	wanted := l.wanted[0]
	l.mu.Unlock()
	wanted()
	await(t, p, func() bool { return len(p.lanes) == 0 })
	if out, _ := do(t, p, Call{Text: "echo next"}); out != "next\n" || l.opened.Load() != 2 {
		t.Errorf("the next call: %q", out)
	}
}

// Where no session is to be had, those who wait are told why, at once.
func TestNoSession(t *testing.T) {
	why := errors.New("no session")
	p := New(t.Context(), "gpu1", func(context.Context, exec.Command, func()) (exec.Receipt, error) {
		return exec.Receipt{State: exec.NeverStarted}, why
	})
	defer p.Close()
	for range 3 {
		if _, err := p.Do(t.Context(), Call{Text: ":"}); !errors.Is(err, why) {
			t.Errorf("the error is %v", err)
		}
	}
}

// A writer that takes no more says so to its caller, and to nobody else.
func TestRefusedOutput(t *testing.T) {
	p, l := newPool(t, "dash")
	full := errors.New("full")
	_, err := p.Do(t.Context(), Call{Text: "dd if=/dev/zero bs=100000 count=5 2>/dev/null", Stdout: writerFunc(func([]byte) (int, error) { return 0, full })})
	if !errors.Is(err, full) {
		t.Errorf("the error is %v", err)
	}
	if out, _ := do(t, p, Call{Text: "echo next"}); out != "next\n" || l.opened.Load() != 1 {
		t.Errorf("the next call: %q in lane %d", out, l.opened.Load())
	}
	// What does not end ends its lane.
	_, err = p.Do(t.Context(), Call{Text: "cat /dev/zero", Stdout: writerFunc(func([]byte) (int, error) { return 0, full })})
	if err == nil {
		t.Error("an endless answer has no error")
	}
	if out, _ := do(t, p, Call{Text: "echo next"}); out != "next\n" {
		t.Errorf("the next call: %q", out)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A host that answers nonsense ends its lane, in bounded memory.
func TestHostile(t *testing.T) {
	for name, text := range map[string]string{
		"no number":     `printf '\036%s \n' "$L_nonce"`,
		"no end":        `printf '\036%s 1234567' "$L_nonce"`,
		"a large one":   `printf '\036%s 999\n' "$L_nonce"`,
		"another's":     `bivy_said 0; bivy_said 0; bivy_said 0`,
		"nothing there": `bivy_said 0 2>/dev/null; bivy_said 0 2>/dev/null; bivy_said 0`,
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newPool(t, "dash")
			_, _ = p.Do(t.Context(), Call{Text: text, Changes: true})
			// What it says too much may be taken for the answer to the next one.
			var out string
			for range 4 {
				var b bytes.Buffer
				_, _ = p.Do(t.Context(), Call{Text: "echo next", Stdout: &b})
				out = b.String()
			}
			if out != "next\n" {
				t.Errorf("later calls: %q", out)
			}
		})
	}
}
