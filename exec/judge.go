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
	log := words(a.log)
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
		marks: m, sshCode: exit.Code, sent: true,
		canceled: a.canceled != nil, timedOut: a.timedOut,
	}
	if !m.exited {
		e.said = sshcmd.ClassifySession(host, exit.Code, log)
		e.masterAlive = a.lease.Alive()
	}
	r := Receipt{
		Started: a.started, PID: m.pid, PGID: m.pgid, BootID: m.bootID,
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
	return r, a.trouble(r, e, noise, log)
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
		out.exited, out.code, out.ended, out.signal = true, err.code, err.ended, err.signal
	}
	return out
}

// trouble is the error that goes with a receipt.
func (a *attempt) trouble(r Receipt, e evidence, noise, log string) error {
	host := a.lease.Host()
	if a.unheard != nil && r.State != Unknown && r.State != TimedOut {
		return &OutputError{Host: host, Ended: r.State == Canceled, Err: a.unheard}
	}
	switch r.State {
	case NeverStarted:
		not := &NotStartedError{Host: host, ExitCode: e.sshCode, Noise: noise}
		if e.marks.failed == "dir" {
			not.Dir = a.cmd.Dir
		} else if retryable(r.Class) {
			not.Said = e.said
		}
		return not
	case Unknown:
		if log == "" {
			log = a.lease.LastWords()
		}
		return &LostError{Host: host, Started: e.marks.started, MasterAlive: e.masterAlive, Words: log}
	case TimedOut:
		return &TimeoutError{Host: host, After: a.cmd.Timeout, Confirmed: r.Confirmed}
	case Canceled:
		return &CanceledError{Host: host, Started: e.marks.started, Confirmed: r.Confirmed, Cause: a.canceled}
	case Exited, Signaled:
	}
	return nil
}
