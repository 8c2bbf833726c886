package integration

import (
	"testing"
	"time"

	"bivy/integration/link"
)

// TestTreeRoundTrips counts what a sync and a second new take on a warm host
// with a session that was opened ahead, as TestFsRoundTrips does.
func TestTreeRoundTrips(t *testing.T) {
	const rtt = time.Second
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		slow := link.Start(t, w.server.Addr)
		line := newWire(t, slow.Addr())
		w.server.HostAt(t, "far", line.addr)
		w.wants(0, "new", "ws", "--host", "far")
		slow.Delay(rtt / 2)
		// The session that is open now is from when the link was fast.
		w.wants(0, "exec", "ws", "--", "true")
		for _, c := range []struct {
			args  []string
			trips int
		}{
			{[]string{"sync", "ws"}, 2},
			{[]string{"sync", "ws", "--dirty"}, 2},
			{[]string{"new", "other", "--host", "far"}, 3},
		} {
			w.write(w.proj+"/README", "for "+c.args[0]+" "+c.args[len(c.args)-1]+"\n")
			if c.args[len(c.args)-1] != "--dirty" {
				w.git("commit", "-qam", "next")
			}
			w.settled(line, rtt, true)
			began := time.Now()
			w.wants(0, c.args...)
			took := time.Since(began)
			if n := int(took / rtt); n > c.trips {
				t.Errorf("%q takes %d round trips, want %d: %s at %s each", c.args, n, c.trips, took, rtt)
			}
			t.Logf("%q: %.2f round trips", c.args, float64(took)/float64(rtt))
		}
	})
}
