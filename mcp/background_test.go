package mcp

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bivy/exec"
)

func TestBackground(t *testing.T) {
	t.Parallel()
	needProc(t)
	w := newWorld(t)
	a := w.serve()
	const word = "4711.2"
	o, text := call[runOut](a, "run_shell_command", args{
		"command": "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; sleep " + word, "background": true,
	})
	id := o.CommandID
	if o.State != "running" || o.ExitCode != nil || id == "" || !strings.Contains(text, "running as command_id "+id) {
		t.Fatalf("%+v, %q", o, text)
	}
	said := o.Stdout
	for deadline := time.Now().Add(patience); said != "one\n" && time.Now().Before(deadline); {
		o, _ = call[runOut](a, "command_output", args{"command_id": id, "wait": 10})
		said += o.Stdout
	}
	w.put("go", "")
	for deadline := time.Now().Add(patience); said != "one\ntwo\n" && time.Now().Before(deadline); {
		o, _ = call[runOut](a, "command_output", args{"command_id": id, "wait": 10})
		said += o.Stdout
	}
	if said != "one\ntwo\n" || o.State != "running" || o.StdoutLen != 8 {
		t.Errorf("it said %q, and %+v", said, o)
	}
	if o, _ = call[runOut](a, "command_output", args{"command_id": id}); o.Stdout != "" {
		t.Errorf("what was shown is shown again: %q", o.Stdout)
	}
	eventually(t, "it sleeps", func() bool { return len(living("sleep\x00"+word)) == 1 })
	o, text = call[runOut](a, "command_kill", args{"command_id": id})
	if o.State != "canceled" || !strings.Contains(text, "[canceled, ") || len(living("sleep\x00"+word)) != 0 {
		t.Errorf("after the end %+v, %q; %q", o, text, living(word))
	}
	for range 2 { // it is known, and dead
		if o, _ = call[runOut](a, "command_output", args{"command_id": id, "wait": 600}); o.State != "canceled" {
			t.Errorf("the state is %s", o.State)
		}
	}
	a.fails("not_found", "no command_id", "command_output", args{"command_id": "c99"})
	a.fails("not_found", "no command_id", "command_kill", args{"command_id": ""})
	a.fails("usage", "wait is 1e+09", "command_output", args{"command_id": id, "wait": 1e9})
	a.fails("explained", "has no directory", "run_shell_command", args{"command": "true", "directory": "none", "background": true})
	o, _ = call[runOut](a, "run_shell_command", args{"command": "trap '' TERM; echo ready; while :; do sleep 0.1; done # " + word, "background": true})
	began := time.Now()
	if o, _ = call[runOut](a, "command_kill", args{"command_id": o.CommandID, "force": true}); o.State != "canceled" || time.Since(began) > exec.DefaultGrace {
		t.Errorf("by force it ends as %+v after %s", o, time.Since(began))
	}
}

// More may be written than is kept; what is left out is said.
func TestBackgroundOfLongOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.serve(func(c *Config) { c.MaxOutput = 2048 })
	o, _ := call[runOut](a, "run_shell_command", args{"command": "seq 100000", "background": true})
	id, shown, gone := o.CommandID, int64(0), int64(0)
	for {
		if o.StdoutGone > 0 {
			if !strings.Contains(o.Stdout, "bytes are left out here") || len(o.Stdout) > 2200 {
				t.Errorf("%d bytes: %q", len(o.Stdout), o.Stdout)
			}
			front, back, _ := strings.Cut(o.Stdout, "[… ")
			_, back, _ = strings.Cut(back, "…]\n")
			shown += int64(len(front) + len(back))
		} else {
			shown += int64(len(o.Stdout))
		}
		gone += o.StdoutGone
		if o.State != "running" {
			break
		}
		o, _ = call[runOut](a, "command_output", args{"command_id": id, "wait": 60})
	}
	// A line end stands before each word of what is left out.
	if sum := shown + gone; sum < 588_895 || sum > 589_000 || o.StdoutLen != 588_895 || o.StdoutFile == "" || *o.ExitCode != 0 {
		t.Errorf("%d bytes were shown, %d left out; the end is %+v", shown, gone, o)
	}
}

func TestTooManyInBackground(t *testing.T) {
	t.Parallel()
	b := newBackgrounds()
	end := make(chan struct{})
	for i := range maxRunning + 1 {
		err := b.add(&background{done: end, hurry: func() {}})
		if (err != nil) != (i == maxRunning) {
			t.Errorf("number %d: %v", i+1, err)
		}
	}
	close(end)
	for range 3 * maxEnded {
		if err := b.add(&background{done: end, hurry: func() {}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.order); n > maxEnded+1 || len(b.all) != n || !slices.Contains(b.order, b.all[b.order[n-1].id]) {
		t.Errorf("%d are remembered, %d by name", n, len(b.all))
	}
}
