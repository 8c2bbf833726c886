package exec

import (
	"strings"
	"time"

	"bivy/exec/proc"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
)

// receipt gathers the evidence after the end and turns it into a receipt, and
// into an error wherever the command did not simply run to its end.
func (a *attempt) receipt(exit proc.Exit, lingering bool) (Receipt, error) {
	log := a.client.Words()
	m, stdoutBytes := a.stdout.state()
	noise := a.stdout.noiseText()
	var stderrBytes int64
	if a.stderr != nil {
		var onErr marks
		onErr, stderrBytes = a.stderr.state()
		m = merge(m, onErr)
		if termsafe.LastLine(noise) == "" {
			noise = a.stderr.noiseText()
		}
	}
	if a.killed || exit.Signal != 0 {
		exit.Code = 255 // ssh's end says nothing of the session's
	}
	host := a.lease.Host()
	e := evidence{
		marks: m, sshCode: exit.Code, sent: a.sent, gaveUp: a.killed,
		canceled: a.canceled != nil, timedOut: a.timedOut,
	}
	if a.ended != nil && a.ended.Found && a.ordered || a.obeyed(m) || a.unfed && m.exited {
		e.marks.ended = true
	}
	if !m.exited {
		e.said = sshcmd.ClassifySession(host, exit.Code, a.withoutTerminal(exit, noise)+log)
		e.masterAlive = a.masterAlive()
	}
	r := Receipt{
		Started: a.started, PID: m.pid, PGID: m.pgid, BootID: m.bootID, Run: a.id.run,
		StdoutBytes: stdoutBytes, StderrBytes: stderrBytes,
		StdoutLog: a.logged("out", m.logged[0]), StderrLog: a.logged("err", m.logged[1]),
		Confirmed: m.exited && (a.lifeline() || !a.ordered || a.ended != nil), Lingering: lingering,
	}
	r.State, r.Class = outcome(e)
	if !a.started.IsZero() {
		r.Duration, r.Timing.Start = time.Since(a.started), a.started.Sub(a.began)
	}
	switch r.State {
	case Exited:
		r.Code, r.SignalPossible = m.code, signalPossible(m.code)
	case Signaled:
		r.Signal = m.signal
	case NeverStarted, TimedOut, Canceled, Unknown:
	}
	a.survivors(&r, m)
	why := a.guard.Why()
	a.dismiss(r)
	return r, a.trouble(r, e, noise, log, why)
}

// dying is how long a master that was killed may still seem to listen: the
// kernel closes its connection before its control socket.
const dying = 250 * time.Millisecond

// masterAlive asks whether the master is there, of a session that was lost,
// until it is certain.
func (a *attempt) masterAlive() bool {
	for end := time.Now().Add(dying); a.lease.Alive(); time.Sleep(10 * time.Millisecond) {
		if a.started.IsZero() || a.killed || time.Now().After(end) {
			return true
		}
	}
	return false
}

// withoutTerminal is what ssh says to itself alone, where the host gives no
// terminal (a master does, its client does not; mux.c, OpenSSH 9.2): the session
// goes on without, and there stty fails.
func (a *attempt) withoutTerminal(exit proc.Exit, noise string) string {
	if a.cmd.TTY == nil || a.sent || exit.Code == 0 || exit.Code == 255 || !strings.Contains(noise, "stty: ") {
		return ""
	}
	return "PTY allocation request failed: " + termsafe.LastLine(noise) + "\n"
}

// survivors says what is left of the command on the host. One that ended by
// itself may leave what it likes; one that was ended leaves what the host said,
// or nobody knows.
func (a *attempt) survivors(r *Receipt, m marks) {
	switch {
	case a.ended != nil:
		r.Survivors, r.SurvivorsComplete = a.ended.Survivors, a.ended.Complete
	case m.ended:
		r.Survivors, r.SurvivorsComplete = m.left, m.complete
	case a.ordered:
	default:
		r.SurvivorsComplete = r.State == NeverStarted || r.State == Exited || r.State == Signaled ||
			r.State == Canceled && r.Started.IsZero() && !a.sent
	}
}

// dismiss tells the holder that the command is over, or, where that is not
// certain, leaves it to the guardian.
func (a *attempt) dismiss(r Receipt) {
	if r.Confirmed || r.State == NeverStarted || !a.sent && r.Started.IsZero() || a.ended != nil {
		a.lease.Over()
		a.guard.Over()
		return
	}
	a.guard.Drop()
}

// merge takes the marks of both streams together: each may have reached us
// where the other did not.
func merge(out, err marks) marks {
	if !out.started && err.started {
		out.started, out.pid, out.pgid, out.bootID = true, err.pid, err.pgid, err.bootID
	}
	if out.failed == "" {
		out.failed = err.failed
	}
	if !out.exited && err.exited {
		out.exited, out.code, out.signal = true, err.code, err.signal
		out.ended, out.left, out.complete = err.ended, err.left, err.complete
	}
	if out.logged == [2]int64{} {
		out.logged = err.logged
	}
	return out
}

// trouble is the error that goes with a receipt.
func (a *attempt) trouble(r Receipt, e evidence, noise, log, why string) error {
	host := a.lease.Host()
	if a.unheard != nil && r.State != Unknown && r.State != TimedOut {
		return &OutputError{Host: host, Ended: r.State == Canceled, Err: a.unheard}
	}
	if m := e.marks; m.exited && !a.allExited() && (r.State == Exited || r.State == Signaled) {
		return &CutError{Host: host, Code: m.code}
	}
	switch r.State {
	case NeverStarted:
		return a.notStarted(r, e, noise)
	case Unknown:
		if log == "" {
			log = a.lease.LastWords()
		}
		return &LostError{Host: host, Ended: e.marks.ended, Started: e.marks.started, MasterAlive: e.masterAlive, Words: log, Kept: a.kept(e)}
	case TimedOut:
		return &TimeoutError{Host: host, After: a.cmd.Timeout, Confirmed: r.Confirmed, Why: why, Left: r.Survivors}
	case Canceled:
		return &CanceledError{
			Host: host, Started: e.marks.started, Confirmed: r.Confirmed, Cause: a.canceled, Why: why, Left: r.Survivors,
		}
	case Exited, Signaled:
	}
	return nil
}

func (a *attempt) notStarted(r Receipt, e evidence, noise string) error {
	not := &NotStartedError{Host: a.lease.Host(), ExitCode: e.sshCode, Noise: noise}
	switch {
	case e.marks.failed == "dir":
		not.Dir = a.cmd.Dir
	case !e.sent && r.Class == sshcmd.ClassTimeout:
		not.Silent = time.Since(a.began)
	case r.Class != sshcmd.ClassNone:
		not.Said = &sshcmd.Error{Class: r.Class, Host: not.Host, ExitCode: e.sshCode}
		if e.said != nil {
			not.Said.Log, not.Said.Line = e.said.Log, e.said.Line
		}
	}
	return not
}

// kept is where a command that lives on without its link writes to, on the
// host; empty where it does not.
func (a *attempt) kept(e evidence) string {
	if !a.cmd.Keep || !e.marks.started {
		return ""
	}
	return KeptFile(a.id.run)
}
