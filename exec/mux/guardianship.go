package mux

import (
	"context"
	"strconv"
	"strings"
	"time"

	"bivy/sshcmd"
)

// What the users of a host without a guardian are told.
const (
	whyAlone   = "the host allows one session at a time"
	whyRefused = "the host refuses a session for it at present"
	whyEnded   = "its session on the host has ended"
	whyLate    = "the host gave no word of having started it"
)

// yieldPause is how long a host is left without a guardian that had no session
// for a command. It is less than the usual grace: an order that comes meanwhile
// is still carried out in time.
const yieldPause = 4 * time.Second

// wanted reports whether there is something that a guardian is good for.
func (w *warden) wanted() bool {
	for _, r := range w.runs {
		if r.pid != 0 || r.want != "" {
			return true
		}
	}
	return false
}

// keepGuardian starts, beats and dismisses the guardian.
func (w *warden) keepGuardian(ctx context.Context, now time.Time, next *alarm) {
	g := w.guardian
	switch {
	case g == nil && (w.alone || !w.wanted()):
	case g == nil && now.Before(w.retry):
		next.at(w.retry)
	case g == nil:
		started, err := w.startGuardian(ctx, now)
		if err != nil {
			w.failed(now, err.Error())
			next.at(w.retry)
			return
		}
		w.guardian = started
		next.at(now.Add(readyDeadline))
	case g.leaving:
	case !g.ready && now.Sub(g.born) < readyDeadline:
		next.at(g.born.Add(readyDeadline))
	case !g.ready:
		g.cancel()
	case len(w.runs) == 0 && now.Sub(w.empty) >= w.spec.GuardIdle:
		g.leave()
	default:
		if !now.Before(w.beat) {
			g.send("beat - - - - .\n")
			w.beat = now.Add(w.spec.Beat)
		}
		next.at(w.beat)
		if len(w.runs) == 0 {
			next.at(w.empty.Add(w.spec.GuardIdle))
		}
	}
}

// guardianEnded takes note of the end of a session.
func (w *warden) guardianEnded(now time.Time, g *guardian, end guardianEnd) {
	g.cancel()
	_ = g.stdin.Close()
	w.guardian = nil
	for _, r := range w.runs {
		r.forgotten()
	}
	for _, left := range w.yielding {
		left()
	}
	w.yielding = nil
	switch {
	case w.alone, g.leaving:
	case g.ready:
		if now.Sub(g.born) >= steady {
			w.failures = 0
		}
		w.failed(now, whyEnded)
	case end.err != nil:
		w.failed(now, end.err.Error())
	case end.exit.Code == noStatus && end.said.Class == sshcmd.ClassMuxRefused:
		// A session that nobody registered, such as a copy, may have been the
		// one too many; its lease tells of it.
		// Or the one of a command that has just ended, which hosts free late: so
		// it takes two such refusals in a row.
		if len(w.runs) != 1 || w.busy() > 1 {
			w.failed(now, whyRefused)
			return
		}
		if w.hints++; w.hints < 2 {
			w.failed(now, whyAlone)
			return
		}
		w.giveUp(now, whyAlone)
	case end.exit.Signal != 0 || now.Sub(g.born) >= readyDeadline:
		w.failed(now, whyLate)
	default:
		w.failed(now, whyEnded)
	}
}

// failed says why nobody watches, and when that is tried again: after 1, 2, 5,
// 10, 10, … seconds.
func (w *warden) failed(now time.Time, why string) {
	pauses := [...]time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second}
	w.retry = now.Add(pauses[min(w.failures, len(pauses)-1)])
	w.failures++
	w.unwatched(why)
}

// giveUp does without a guardian as long as this master lives. What has lost
// its process cannot be ended then.
func (w *warden) giveUp(now time.Time, why string) {
	w.alone = true
	w.unwatched(why)
	for _, r := range w.runs {
		if r.client == nil {
			w.forget(now, r)
		}
	}
}

func (w *warden) unwatched(why string) {
	w.why = why
	for _, r := range w.runs {
		r.tell(news{Is: isUnwatched, Why: why})
		// An order stays, for the next guardian; without one it is in vain.
		if r.want != "" && w.alone {
			r.tell(news{Is: isLost})
		}
	}
}

// yield makes the guardian leave for good; left is called when it has.
func (w *warden) yield(now time.Time, left func()) {
	w.restSpare(now)
	if !w.alone {
		w.failed(now, whyAlone)
		w.retry = now.Add(yieldPause)
	}
	if w.guardian == nil {
		left()
		return
	}
	w.guardian.leave()
	w.yielding = append(w.yielding, left)
}

// heard takes a line of the guardian's, without its nonce. The host wrote it:
// nothing is believed beyond numbers, and text is bounded and made safe.
func (w *warden) heard(now time.Time, g *guardian, line string) {
	if g != w.guardian {
		return
	}
	word, rest, _ := strings.Cut(line, " ")
	if word == "ready" && !g.ready {
		g.ready, w.why, w.beat, w.hints = true, "", now.Add(w.spec.Beat), 0
		return
	}
	if word == "aes" {
		w.learnAES(rest)
		return
	}
	id, rest, _ := strings.Cut(rest, " ")
	r := w.runs[id]
	if r == nil || r.sent == "" {
		return
	}
	switch word {
	case "left":
		number, command, _ := strings.Cut(rest, " ")
		if pid, err := strconv.Atoi(number); err == nil && pid > 0 {
			r.survivor(Survivor{PID: pid, Command: safeCommand(command)})
		}
	case "ended":
		found, complete, _ := strings.Cut(rest, " ")
		w.reported(now, r, found == "1", complete == "1")
	}
}

// reported passes the guardian's report on. The guardian is told anew of a
// command that goes on being watched, so that it can be ordered again.
func (w *warden) reported(now time.Time, r *watched, found, complete bool) {
	r.tell(news{Is: isEnded, Found: found, Complete: complete, Survivors: r.left})
	r.searches++
	switch {
	case r.client != nil:
	case r.pid == 0 && !found && r.searches < maxSearches:
		r.due = now.Add(searchPause)
	default:
		w.forget(now, r)
		return
	}
	w.guardian.send("over " + r.id + " - - - .\n")
	r.forgotten()
	r.want = ""
}
