package mux

import (
	"fmt"
	"strings"
	"time"
)

const (
	// maxGrace bounds the grace of a command in seconds: a day.
	maxGrace = 24 * 60 * 60
	// backstop is how long after its grace a command with a lifeline is ended
	// by the guardian as well: its supervisor does it by itself, and TERM must
	// not come from both at once.
	backstop = 2 * time.Second
	// insist is how long after an order to kill the order is repeated: the
	// first may reach a shell on the host that does not catch it yet.
	insist = time.Second
	// maxSearches and searchPause say how often, and after what pause, the
	// processes of a command are looked for whose start nobody has seen: its
	// session may be on its way.
	maxSearches = 5
	searchPause = 2 * time.Second
	// maxSurvivors bounds what is kept of a report.
	maxSurvivors = 64
)

// watched is one registered command. It belongs to the warden's loop.
type watched struct {
	id             string
	grace          int // seconds
	lifeline, keep bool
	spare          bool    // its client can use a spare session
	pid            int     // the supervisor's on the host, once it is known
	client         *client // nil once its process is gone

	due      time.Time // when it is ended because its process is gone
	want     string    // what it was ordered last: doEnd, doKill or nothing
	searches int

	// What the present guardian was told.
	briefed, briefedPID bool
	sent                string
	again               time.Time
	left                []Survivor // its report, so far
}

// watched makes a command of an order that registers one, or nil of nonsense.
func (o order) watched(c *client) *watched {
	if len(o.Run) != idLength || strings.Trim(o.Run, "0123456789abcdef") != "" || o.Grace < 0 {
		return nil
	}
	return &watched{
		id: o.Run, grace: min(o.Grace, maxGrace), lifeline: o.Lifeline, keep: o.Keep, spare: o.Spare, client: c,
	}
}

// begin takes note of the supervisor's pid. What was told once stays.
func (r *watched) begin(pid int) {
	if r.pid == 0 && pid > 1 {
		r.pid = pid
	}
}

// tell sends news to the command's process, if that is still there.
func (r *watched) tell(n news) {
	if r.client != nil {
		r.client.tell(n)
	}
}

// forgotten is what the guardian that knew it is gone with.
func (r *watched) forgotten() {
	r.briefed, r.briefedPID, r.sent, r.again, r.left = false, false, "", time.Time{}, nil
}

// lines are the order lines that bring the guardian up to date. Each has six
// words and ends in a full stop, so that a line which was cut is none.
func (r *watched) lines(now time.Time) string {
	var b strings.Builder
	if !r.briefed {
		fmt.Fprintf(&b, "run %s %d %d %d .\n", r.id, r.grace, digit(r.lifeline), digit(r.keep))
		r.briefed = true
		r.tell(news{Is: isWatching})
	}
	if r.pid != 0 && !r.briefedPID {
		fmt.Fprintf(&b, "started %s %d - - .\n", r.id, r.pid)
		r.briefedPID = true
	}
	repeat := r.sent == doKill && !now.Before(r.again)
	if r.want != "" && (r.want != r.sent || repeat) {
		fmt.Fprintf(&b, "%s %s - - - .\n", r.want, r.id)
		r.sent, r.again = r.want, now.Add(insist)
	}
	return b.String()
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// survivor takes a line of the guardian's report.
func (r *watched) survivor(s Survivor) {
	if len(r.left) < maxSurvivors {
		r.left = append(r.left, s)
	}
}
