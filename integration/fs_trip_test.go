package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/link"
)

// trip is a command on files, and how many round trips it may take on a warm
// host. With a session that was opened ahead it takes one less than without.
type trip struct {
	args  []string
	trips int
}

// trips are all commands. What is two round trips is the word that the host is
// there, and the command itself with all that it needs; an edit is a read and a
// write in one session.
var trips = []trip{
	{[]string{"read", "f"}, 2},
	{[]string{"read", "f", "--tail", "3"}, 2},
	{[]string{"read", "--json", "f"}, 2},
	{[]string{"stat", "f", "none"}, 2},
	{[]string{"ls", "."}, 2},
	{[]string{"find", ".", "**"}, 2},
	{[]string{"grep", ".", "one"}, 2},
	{[]string{"mkdir", "-p", "d/e"}, 2},
	{[]string{"write", "g"}, 2},
	{[]string{"mv", "g", "d/g"}, 2},
	{[]string{"rm", "-r", "d"}, 2},
	{[]string{"edit", "f", "--old", "one", "--new", "two"}, 3},
}

// TestFsRoundTrips counts them on a link on which one takes so long that what
// this machine adds, busy as it may be, is a small part of one.
func TestFsRoundTrips(t *testing.T) {
	t.Parallel()
	const rtt = 400 * time.Millisecond
	t.Run("spare", func(t *testing.T) { countTrips(t, hostOptions{}, rtt, 0) })
	t.Run("none", func(t *testing.T) { countTrips(t, hostOptions{NoSpare: true}, rtt, 1) })
}

func countTrips(t *testing.T, o hostOptions, rtt time.Duration, more int) {
	t.Helper()
	onSSHD(t, o, func(t *testing.T, w *world) {
		w.needProc()
		slow := link.Start(t, w.server.Addr)
		line := newWire(t, slow.Addr())
		w.server.HostAt(t, "far", line.addr)
		w.wants(0, "exec", "--host", "far", "--", "true")
		slow.Delay(rtt / 2)
		// The session that is open now is from when the link was fast, and so is
		// what is expected of it.
		w.wants(0, "exec", "--host", "far", "--", "true")
		for _, c := range trips {
			w.write(w.remote+"/f", "one\n")
			w.settled(line, rtt, more == 0)
			want := c.trips + more
			code := 0
			if c.args[0] == "stat" {
				code = 82
			}
			took := w.timed(code, c.args)
			if n := int(took / rtt); n > want {
				t.Errorf("fs %q takes %d round trips, want %d: %s at %s each", c.args, n, want, took, rtt)
			}
			t.Logf("fs %q: %.2f round trips", c.args, float64(took)/float64(rtt))
		}
	})
}

// settled waits until nothing passes any more: what a command leaves to be done
// has come to its end, and where a session is opened ahead, it is there.
func (w *world) settled(line *wire, rtt time.Duration, spare bool) {
	w.tb.Helper()
	w.eventually("nothing passes the link", func() bool {
		_, quiet := line.counted()
		return quiet > rtt+rtt/4 && (!spare || slices.ContainsFunc(w.processes("\x00HOME="+w.remote+"\x00"), w.idle))
	})
}

func (w *world) timed(code int, args []string) time.Duration {
	w.tb.Helper()
	began := time.Now()
	w.fedWants(code, "x", append([]string{"fs", args[0], "--host", "far"}, args[1:]...)...)
	return time.Since(began)
}

// TestFsAtDelay prints what the commands take at 40 ms, beside ssh itself.
func TestFsAtDelay(t *testing.T) {
	if !testing.Verbose() {
		// Nothing is asserted: times are for people.
		t.Skip("it only prints times, with -v")
	}
	const rtt, calls = 40 * time.Millisecond, 9
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		slow := link.Start(t, w.server.Addr)
		line := newWire(t, slow.Addr())
		w.server.HostAt(t, "far", line.addr)
		w.wants(0, "exec", "--host", "far", "--", "true")
		slow.Delay(rtt / 2)
		sockets, err := filepath.Glob(w.root + "/s/m/*.ctl")
		w.must(err)
		if len(sockets) != 1 {
			t.Fatalf("want one socket, have %q", sockets)
		}
		socket := strings.TrimSuffix(sockets[0], ".ctl")
		plain := proc.Spec{Args: []string{"ssh", "-F", "none", "-S", socket, "far", "cat", "f"}, Env: w.env}
		for _, c := range trips {
			var ours, plains []time.Duration
			for range calls {
				w.write(w.remote+"/f", "one\n")
				w.must(os.RemoveAll(w.remote + "/d"))
				w.write(w.remote+"/g", "x")
				if c.args[0] != "mkdir" {
					w.write(w.remote+"/d/x", "x")
				}
				w.settled(line, 3*rtt, true)
				code := 0
				if c.args[0] == "stat" {
					code = 82
				}
				ours = append(ours, w.timed(code, c.args))
				w.settled(line, 3*rtt, true)
				began := time.Now()
				if got := w.run(plain); got.stdout == "" {
					t.Fatalf("ssh gives %v", got)
				}
				plains = append(plains, time.Since(began))
			}
			slices.Sort(ours)
			slices.Sort(plains)
			t.Logf("%-34s %4d ms, ssh cat %4d ms", strings.Join(c.args, " "), ours[calls/2].Milliseconds(), plains[calls/2].Milliseconds())
		}
	})
}
