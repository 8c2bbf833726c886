package exec

import (
	"strconv"
	"sync"
	"testing"

	"bivy/integration/sshdtest"
)

// The host frees a session a little after the client has heard of its end, so
// that the next one may be refused. That is tried again, and is no failure.
// These tests leave the machine no rest, so none runs beside them.

func TestOneAfterTheOther(t *testing.T) {
	w := newWorld(t, sshdtest.Options{MaxSessions: 1})
	const commands = 200
	w.loop(commands, 0)
}

func TestLoopsSideBySide(t *testing.T) {
	w := newWorld(t, sshdtest.Options{MaxSessions: 8})
	const loops, commands = 8, 25
	var all sync.WaitGroup
	for i := range loops {
		all.Go(func() { w.loop(commands, i) })
	}
	all.Wait()
}

// loop runs commands one after the other, each with an output of its own.
func (w *world) loop(commands, of int) {
	for i := range commands {
		word := strconv.Itoa(of) + "." + strconv.Itoa(i)
		var out buffer
		r, err := Run(w.t.Context(), w.masters, w.target, Command{Argv: []string{"echo", word}, Stdout: &out})
		if err != nil || r.State != Exited || r.Code != 0 || out.String() != word+"\n" {
			w.t.Errorf("command %s gives %q, %+v, %v", word, out.String(), r, err)
			return
		}
	}
}
