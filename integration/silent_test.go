package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/integration/link"
	"bivy/integration/sshdtest"
	"bivy/internal/leak"
)

const (
	// guardSilence is how long the host waits for a sign of life, and
	// keepAlive how long ssh does.
	guardSilence = 45 * time.Second
	keepAlive    = 60 * time.Second
	// late is what a loaded machine may add to either.
	late = 15 * time.Second
)

// mute is one command and the link that goes silent under it, or before it.
type mute struct {
	*tree
	link  *link.Link
	what  string
	flags []string
	// silence makes the link silent; back brings it back, at a time after that
	// or as soon as ssh has made a new connection.
	silence func(*link.Link)
	deaf    bool // and only the way to the host is
	back    time.Duration
	how     func(*link.Link)

	isBack bool
	got    chan result
	took   time.Duration
	end    result
	ended  bool
}

const atNewConnection = -1

func cutAndRestore(l *link.Link) {
	l.Cut()
	l.Restore()
}

func (w *world) newMute(i int, m *mute) *mute {
	w.tb.Helper()
	name := fmt.Sprintf("far%d", i)
	m.tree, m.link, m.got = w.newTree(name), link.Start(w.tb, w.server.Addr), make(chan result, 1)
	m.host = name
	w.server.HostAt(w.tb, name, m.link.Addr())
	w.wants(0, "exec", "--host", name, "--", "true")
	return m
}

// follow waits for bivy in the background.
func (m *mute) follow() {
	go func() { m.got <- m.bivy.wait() }()
}

// tend brings the link back when it is time for that, and notes the end.
func (m *mute) tend(since time.Duration) {
	if !m.isBack && m.how != nil && (m.back >= 0 && since >= m.back || m.back == atNewConnection && m.link.Connections() > 1) {
		m.isBack = true
		m.how(m.link)
	}
	select {
	case m.end = <-m.got:
		m.took, m.ended = since, true
	default:
	}
}

// TestSilentLink takes more than a minute: those are the times of the product.
func TestSilentLink(t *testing.T) {
	if testing.Short() {
		// See above.
		t.Skip("a silent link is noticed after a minute")
	}
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		sshdtest.RequireTerminal(t)
		silence, up := (*link.Link).Silence, (*link.Link).SilenceUp
		running := []*mute{
			{what: "without stdin", silence: silence},
			{what: "with -i", flags: []string{"-i"}, silence: silence},
			{what: "with -t", flags: []string{"-t"}, silence: silence},
			{what: "without stdin, deaf host", silence: up, deaf: true},
			{what: "with -i, deaf host", flags: []string{"-i"}, silence: up, deaf: true},
		}
		next := []*mute{
			{what: "back soon", silence: silence, back: 20 * time.Second, how: (*link.Link).Restore},
			{what: "back just before ssh gives up", silence: silence, back: keepAlive - 3*time.Second, how: (*link.Link).Restore},
			{what: "back just after ssh gave up", silence: silence, back: atNewConnection, how: (*link.Link).Restore},
			{what: "back just after, with -i", flags: []string{"-i"}, silence: silence, back: atNewConnection, how: (*link.Link).Restore},
			{what: "another network", silence: silence, back: atNewConnection, how: cutAndRestore},
			{what: "cut soon", silence: silence, back: 10 * time.Second, how: cutAndRestore},
			{what: "dumb host", silence: (*link.Link).SilenceDown, back: atNewConnection, how: (*link.Link).Restore},
		}
		for i, m := range running {
			w.newMute(i, m).start(treeScript, m.flags...)
			m.up()
		}
		for i, m := range next {
			w.newMute(len(running)+i, m)
		}
		all := append(running, next...)
		began := time.Now()
		for _, m := range all {
			m.silence(m.link)
		}
		for _, m := range next {
			m.start(`echo once >>"$DIR/log"; `+map[bool]string{false: "echo here", true: "cat"}[m.flags != nil], m.flags...)
			if m.flags != nil {
				_, err := m.stdin[1].WriteString("here\n")
				w.must(err)
				w.must(m.stdin[1].Close())
			}
		}
		for _, m := range all {
			m.follow()
		}
		left := w.tendAll(all, running, began)
		for _, m := range running {
			w.wasLost(m, left[m])
		}
		for _, m := range next {
			if !m.ended || m.end.code != 0 || m.end.stdout != "here\n" || m.log() != "once\n" {
				t.Errorf("%s: the next command gives %v after %s; its log: %q", m.what, m.end, m.took, m.log())
			}
			if m.took > keepAlive+late {
				t.Errorf("%s: the next command took %s", m.what, m.took)
			}
			t.Logf("%s: %s", m.what, m.took)
		}
		for i, m := range running {
			[]func(*link.Link){(*link.Link).Restore, cutAndRestore}[i%2](m.link)
			w.wants(0, "exec", "--host", m.host, "--", "true")
		}
	})
}

// tendAll returns when all commands have ended, and how long after the
// beginning of the silence those that ran were gone from the host.
func (w *world) tendAll(all, running []*mute, began time.Time) map[*mute]time.Duration {
	w.tb.Helper()
	gone := map[*mute]time.Duration{}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for since := time.Duration(0); since < keepAlive+2*late; since = time.Since(began) {
		ended := 0
		for _, m := range all {
			if !m.ended {
				m.tend(since)
			}
			if m.ended {
				ended++
			}
		}
		for _, m := range running {
			if _, ok := gone[m]; !ok && len(m.alive()) == 0 {
				gone[m] = since
			}
		}
		if ended == len(all) && len(gone) == len(running) {
			break
		}
		<-tick.C
	}
	for _, m := range all {
		if !m.ended {
			w.tb.Errorf("%s: bivy does not end", m.what)
			w.must(m.bivy.process.Signal(syscall.SIGKILL))
		}
	}
	return gone
}

// wasLost judges a command whose link went silent while it ran.
func (w *world) wasLost(m *mute, gone time.Duration) {
	w.tb.Helper()
	if gone == 0 || gone > guardSilence+grace+late {
		w.tb.Errorf("%s: the command is gone after %s (0: never):\n%s", m.what, gone, leak.List(m.alive()))
	}
	if m.took > keepAlive+late {
		w.tb.Errorf("%s: bivy gives %v after %s", m.what, m.end, m.took)
	}
	switch {
	case m.deaf && m.end.code == 3 && m.log() == "started\nterm\n":
		// We still hear the host, and so how the command took its TERM.
		w.wantReceipt(m.result, map[string]any{"state": "exited", "code": 3.0})
	case m.end.code != 94:
		w.tb.Errorf("%s: bivy gives %v", m.what, m.end)
	default:
		w.wantReceipt(m.result, map[string]any{"state": "unknown", "class": "link_lost", "code": nil})
	}
	if strings.Contains(m.log(), "ended") {
		w.tb.Errorf("%s: the command ended by itself: %q", m.what, m.log())
	}
	w.tb.Logf("%s: gone after %s, reported after %s; the command's log: %q", m.what, gone, m.took, m.log())
}
