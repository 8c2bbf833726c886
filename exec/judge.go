package exec

import (
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
	if a.killed {
		exit.Code = 255
	}
	host := a.lease.Host()
	e := evidence{
		marks: m, sshCode: exit.Code, sent: a.sent,
		canceled: a.canceled != nil, timedOut: a.timedOut,
	}
	if a.ended != nil && a.ended.Found || a.obeyed(m) {
		e.marks.ended = true
	}
	if !m.exited {
		e.said = sshcmd.ClassifySession(host, exit.Code, log)
		e.masterAlive = a.lease.Alive()
	}
	r := Receipt{
		Started: a.started, PID: m.pid, PGID: m.pgid, BootID: m.bootID, Run: a.id.run,
		StdoutBytes: stdoutBytes, StderrBytes: stderrBytes,
		Confirmed: m.exited, Lingering: lingering,
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
	return out
}

// trouble is the error that goes with a receipt.
func (a *attempt) trouble(r Receipt, e evidence, noise, log, why string) error {
	host := a.lease.Host()
	if a.unheard != nil && r.State != Unknown && r.State != TimedOut {
		return &OutputError{Host: host, Ended: r.State == Canceled, Err: a.unheard}
	}
	switch r.State {
	case NeverStarted:
		return a.notStarted(r, e, noise)
	case Unknown:
		if log == "" {
			log = a.lease.LastWords()
		}
		return &LostError{Host: host, Started: e.marks.started, MasterAlive: e.masterAlive, Words: log, Kept: a.kept(e)}
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
	case retryable(r.Class):
		not.Said = e.said
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
