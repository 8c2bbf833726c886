package exec

import (
	"io"
	"syscall"
	"time"

	"bivy/exec/mux"
	"bivy/exec/proc"
)

// The words on a lifeline (lifeline.sh).
const (
	wordEnd  = "end\n"
	wordKill = "kill\n"
)

// lonely is how long an order waits for a guardian that is still on its way,
// before the command is told in another manner.
const lonely = 500 * time.Millisecond

// cancel ends the command once, for the first reason that comes.
func (a *attempt) cancel(why error) {
	if a.canceled == nil && !a.timedOut {
		a.canceled = why
		a.end()
	}
}

// end asks the host to end the command: TERM, grace, KILL. The order goes over
// the lifeline, or through the guardian of the connection. The limit is what
// the host may take for it; a link that took long for the start gets more.
func (a *attempt) end() {
	a.limit.Reset(a.cmd.grace() + confirm + a.delay())
	m := a.seen()
	a.ordered = m.started && !m.exited
	switch {
	case !m.started:
		// A frame that was not read yet is worth nothing without its session.
		_ = a.stdin.Close()
	case a.lifeline():
		a.say(wordEnd)
	default:
		a.guard.End()
		a.await()
	}
	if a.hurried {
		a.kill()
	}
}

// kill is end without the grace, for who asks twice.
func (a *attempt) kill() {
	if a.killing || a.canceled == nil && !a.timedOut {
		return
	}
	a.killing = true
	a.limit.Reset(confirm + a.delay())
	switch {
	case !a.seen().started:
	case a.lifeline():
		a.say(wordKill)
	default:
		a.guard.Kill()
		a.await()
	}
}

// say writes on the lifeline. The supervisor has taken the whole frame from it
// before the command started, so there is room.
func (a *attempt) say(word string) { _, _ = io.WriteString(a.stdin, word) }

// await takes the guardian's report into account.
func (a *attempt) await() {
	if a.ended == nil {
		a.report = a.guard.Ended()
		a.alone = time.After(lonely)
	}
}

// reported takes the guardian's report. Without a guardian the end of its
// stdin, or the hang-up of its terminal, is all that can be told a command.
func (a *attempt) reported(end mux.Ended, ok, gone bool) {
	a.report = nil
	switch {
	case ok:
		a.ended = &end
		if gone || a.allExited() {
			a.limit.Reset(drain)
		}
	case a.cmd.TTY != nil:
		_ = a.client.Signal(syscall.SIGTERM)
	default:
		// Whatever it makes of the end of its input is our doing.
		a.unfed = !a.allExited()
		_ = a.stdin.Close()
	}
}

// makeSure has the guardian end what may still run: the session is gone, ssh
// was killed, say, and a command without a lifeline does not notice. Where the
// connection is gone as well, the guardian sees that by itself.
func (a *attempt) makeSure() {
	m := a.seen()
	if !m.started || m.exited || a.lifeline() || a.cmd.Keep || a.canceled != nil || a.timedOut || !a.masterAlive() {
		return
	}
	a.guard.End()
	select {
	case end, ok := <-a.guard.Ended():
		if ok {
			a.ended = &end
		}
	case <-time.After(a.cmd.grace() + confirm + a.delay()):
	}
}

// obeyed reports whether a command ended as it was told to, by TERM or KILL.
// The guardian's report is better evidence, and may come too late.
func (a *attempt) obeyed(m marks) bool {
	return a.ordered && m.exited && (m.code == 128+int(syscall.SIGTERM) || m.code == 128+int(syscall.SIGKILL))
}

// delay is how much more than nothing the way to the host and back takes. A
// session that was open already starts in a moment, also on a busy host.
func (a *attempt) delay() time.Duration {
	if a.started.IsZero() {
		return 0
	}
	return min(max(4*a.started.Sub(a.began), busyHost), slack)
}

// letGo stops listening: ssh is ended if it is still there, our ends of the
// streams are closed.
func (a *attempt) letGo(gone bool, ended <-chan proc.Exit, exit *proc.Exit) (lingering bool) {
	if !gone {
		a.killed = true
		_ = a.client.Signal(syscall.SIGTERM)
		select {
		case *exit = <-ended:
		case <-time.After(proc.DefaultGrace):
			_ = a.client.Signal(syscall.SIGKILL)
			*exit = <-ended
		}
	}
	a.close()
	return a.allExited()
}
