package exec

import (
	"strings"
	"testing"

	"bivy/integration/sshdtest"
)

// Many commands at once, in one process, start no other on this side: ssh is
// there for the login alone.
func TestManyCommandsStartNoProcess(t *testing.T) {
	direct(t)
	calls := logSSH(t)
	w := newWorld(t, sshdtest.Options{MaxSessions: 10})
	w.warm()
	before := calls()
	const all, wide = 500, 64
	next, done := make(chan struct{}, wide), make(chan ran)
	go func() {
		for range all {
			next <- struct{}{}
			r := w.start(Command{Argv: []string{"true"}})
			go func() {
				done <- <-r.done
				<-next
			}()
		}
	}()
	for range all {
		if end := <-done; end.State != Exited || end.Code != 0 || end.err != nil {
			t.Errorf("true: %+v, %v", end.Receipt, end.err)
		}
	}
	if after := calls(); len(after) != len(before) || len(before) == 0 {
		t.Errorf("beside the %d of before, ssh was called:\n%s", len(before), strings.Join(after[len(before):], "\n"))
	}
	if n := w.server.Logins(t); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}
