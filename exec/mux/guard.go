package mux

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"bivy/internal/termsafe"
)

const (
	// controlAnswer is how long a holder may take to answer.
	controlAnswer = time.Second
	// holderLate is how long after its master a holder may begin to listen.
	holderLate = 200 * time.Millisecond
	// yieldAnswer is how long a guardian may take to leave the host.
	yieldAnswer = 5 * time.Second
	// maxNews bounds a line from the holder, in bytes.
	maxNews = 256 << 10
	// maxCommand bounds the command of a survivor, in bytes.
	maxCommand = 200
	// noAnswer is why nobody watches where a holder does not answer.
	noAnswer = "the process that holds the connection does not answer"
)

// Run describes one remote command to the holder of its master.
type Run struct {
	// ID is the mark in the command's environment, BIVY_RUN=ID: 16 lower-case
	// hex digits.
	ID string
	// Grace is the time from TERM to KILL. Seconds count, fractions do not.
	Grace time.Duration
	// Lifeline says that the command has one: its supervisor ends it by itself
	// when the session ends.
	Lifeline bool
	// Keep says that only an explicit End or Kill ends it.
	Keep bool
	// Spare says that its session may be one that was opened before.
	Spare bool
}

// Ended is the guardian's report on a command that it was told to end.
type Ended struct {
	// Found says that there was something to end, Complete that nothing can
	// have escaped the search.
	Found, Complete bool
	// Survivors are the processes that did not end.
	Survivors []Survivor
}

// Survivor is a process that outlived KILL, or that may not be signalled.
type Survivor struct {
	PID int `json:"pid"`
	// Command is safe for terminals, and at most 200 bytes.
	Command string `json:"command"`
}

// Guard is the holder's eye on one command. It ends the command on the host
// when this process is gone without having called Over, when the link goes
// silent and when the connection ends. All methods but Present return at once,
// and all may be called from several goroutines.
type Guard struct {
	ended    chan Ended
	spare    *Spare
	answered chan struct{} // closed with the holder's answer, or when none will come

	mu       sync.Mutex
	conn     net.Conn // nil: the holder is not there
	watching bool
	why      string
	reported bool
}

// Guard registers a command with the holder of the lease's master, before its
// session is started. When it returns, the holder will read of the command, and
// after that of our end, even if this process is killed at once; its answer is
// not waited for. It never fails: without a holder that knows of guards (an
// older version's, one that was killed or stopped) it returns a Guard that is
// not there, or will not be in a second. The caller calls Over in the end.
func (l *Lease) Guard(ctx context.Context, r Run) *Guard {
	g := &Guard{ended: make(chan Ended, 1), answered: make(chan struct{})}
	if l.ride != "" {
		g.lost("nobody watches over commands on your own master")
		return g
	}
	o := order{Do: doRun, Run: r.ID, Grace: int(r.Grace / time.Second), Lifeline: r.Lifeline, Keep: r.Keep, Spare: r.Spare}
	conn, err := l.masters.dialHolder(ctx, l.id)
	if err == nil {
		if err = send(conn, o); err != nil {
			_ = conn.Close()
		}
	}
	if err != nil {
		g.lost(noAnswer)
		return g
	}
	g.conn = conn
	var heard []byte
	if r.Spare {
		heard, g.spare = l.receiveSpare(ctx, conn)
	}
	go g.listen(conn, heard)
	return g
}

// listen takes the holder's answer, and its news until the connection ends,
// with Over at the latest. A command whose answer does not come in time is taken
// back, lest a holder that was only stopped takes our end for that of a command.
// What was heard before is taken first.
func (g *Guard) listen(conn net.Conn, heard []byte) {
	lines := bufio.NewScanner(io.MultiReader(bytes.NewReader(heard), conn))
	lines.Buffer(nil, maxNews)
	_ = conn.SetReadDeadline(time.Now().Add(controlAnswer))
	var first news
	if !lines.Scan() || first.read(lines.Bytes()) != nil || first.Is != isHere {
		g.order(order{Do: doOver})
		g.lost(noAnswer)
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	g.here(first.Why)
	for lines.Scan() {
		var n news
		if n.read(lines.Bytes()) == nil {
			g.hear(n)
		}
	}
	g.lost("the process that held the connection is gone")
}

// here takes the holder's answer, and why there is no guardian, if so.
func (g *Guard) here(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn != nil {
		g.why = termsafe.Line(why, maxCommand)
		close(g.answered)
	}
}

func (g *Guard) hear(n news) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch n.Is {
	case isWatching:
		g.watching, g.why = true, ""
	case isUnwatched:
		g.watching, g.why = false, termsafe.Line(n.Why, maxCommand)
	case isEnded:
		report := Ended{Found: n.Found, Complete: n.Complete}
		for _, s := range n.Survivors {
			report.Survivors = append(report.Survivors, Survivor{PID: s.PID, Command: safeCommand(s.Command)})
		}
		if !g.reported {
			g.ended <- report
		}
		g.report()
	case isLost:
		g.report()
	}
}

// report says that nothing more will be reported. The caller holds the lock.
func (g *Guard) report() {
	if !g.reported {
		g.reported = true
		close(g.ended)
	}
}

// lost makes the guard one that is not there.
func (g *Guard) lost(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn != nil {
		_ = g.conn.Close()
	} else if g.why != "" {
		return // it was lost before
	}
	g.conn, g.watching, g.why = nil, false, why
	g.report()
	select {
	case <-g.answered:
	default:
		close(g.answered)
	}
}

// Spare gives the session that the holder had ready for this command, or nil.
// It is the caller's, who uses or closes it. A second call gives nil.
func (g *Guard) Spare() *Spare {
	s := g.spare
	g.spare = nil
	return s
}

// Present reports whether the holder answered, and is still there. It waits for
// the answer, a second at most.
func (g *Guard) Present() bool {
	<-g.answered
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conn != nil
}

// Watching reports whether a guardian is up on the host and knows the command.
func (g *Guard) Watching() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.watching
}

// Why says why nobody watches; it is empty where a guardian does, or is still
// on its way.
func (g *Guard) Why() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

// Started tells the pid of the command's supervisor on the host. With the
// first command that has started the holder starts the guardian, and never
// before: it must not take the only session of a host away from a command.
func (g *Guard) Started(pid int) { g.order(order{Do: doStarted, PID: pid}) }

// End asks the guardian to end the command: TERM, grace, KILL. Its report
// comes through Ended.
func (g *Guard) End() { g.order(order{Do: doEnd}) }

// Kill is End without the grace, also during the grace of an End.
func (g *Guard) Kill() { g.order(order{Do: doKill}) }

// Ended gives the guardian's report on End and Kill. It is closed, without a
// value where no report is to be expected: there is no guardian, or it was
// lost.
func (g *Guard) Ended() <-chan Ended { return g.ended }

// Over says that the command's end is known, or that it never started. The
// holder forgets it. A second call does nothing.
func (g *Guard) Over() {
	g.order(order{Do: doOver})
	g.lost("the command is over")
}

// Drop leaves the command to the holder, as the end of this process would: its
// end is not known, and the guardian sees to it.
func (g *Guard) Drop() { g.lost("the command was left to the guardian") }

func (g *Guard) order(o order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn != nil && send(g.conn, o) != nil {
		_ = g.conn.Close()
	}
}

// control is the control socket of a route's holder.
func (d Dir) control(id string) string { return d.sidecar(id, "ctl") }

// safeCommand makes the command of a survivor fit for messages.
func safeCommand(s string) string {
	s = termsafe.Line(s, maxCommand)
	const more = "…"
	if len(s) <= maxCommand {
		return s
	}
	cut := maxCommand - len(more)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + more
}
