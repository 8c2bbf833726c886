package exec

import (
	"strconv"
	"time"

	"bivy/exec/mux"
	"bivy/sshcmd"
)

// State is what became of a command. It is exact: where bivy cannot know, it
// says unknown.
type State string

// The states of a command.
const (
	NeverStarted State = "never_started"
	Exited       State = "exited"
	Signaled     State = "signaled"
	TimedOut     State = "timed_out"
	Canceled     State = "canceled"
	Unknown      State = "unknown"
)

// Receipt is what is known of a command after its end.
type Receipt struct {
	State State
	// Code is the command's exit status; only Exited has one.
	Code int
	// Signal is the number of the signal that ended the command: with
	// evidence (the host's shell said so) for Signaled, zero otherwise.
	Signal int
	// SignalPossible is N where the status is 128+N and the shell said
	// nothing: `exit 130` and an INT look the same then.
	SignalPossible int
	// Class is why the command never started or is unknown.
	Class sshcmd.Class

	// Started is when the start mark arrived; zero if it never did.
	Started  time.Time
	Duration time.Duration
	// StdoutBytes and StderrBytes count the command's output.
	StdoutBytes, StderrBytes int64

	// StdoutLog and StderrLog are where the host has kept the streams of a
	// command with Log.
	StdoutLog, StderrLog Log

	// Confirmed says, for a command that was ended by us, that the host
	// reported its end.
	Confirmed bool
	// Lingering says that something the command left behind still held its
	// stdout or stderr when we stopped listening.
	Lingering bool

	// Survivors are processes of a command that was ended, which could not be
	// ended. SurvivorsComplete says that there can be no others.
	Survivors         []mux.Survivor
	SurvivorsComplete bool

	PID, PGID int
	BootID    string
	// Run is the value of BIVY_RUN in the environment of all that the command
	// started.
	Run string

	// Way says how the session was come by: "ssh" (a client process), "direct"
	// (asked of the master), "spare" (it was open already), or "none".
	Way string

	Timing Timing
}

// Timing says where the time before the start went.
type Timing struct {
	// Connect is the login, Queue the wait for a session, Start the time
	// from the session's start to the start mark.
	Connect, Queue, Start time.Duration
}

// SignalName is the name of a signal without SIG, as kill(1) prints it, by
// the numbers of POSIX and of Linux; a number where it has no name here.
func SignalName(n int) string {
	names := map[int]string{
		1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL",
		10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 25: "XFSZ", 31: "SYS",
	}
	if name, ok := names[n]; ok {
		return name
	}
	return strconv.Itoa(n)
}

// evidence is everything that decides the outcome of a command.
type evidence struct {
	marks marks
	// sshCode is how the ssh client ended, 255 where we ended it; said is
	// what its log says.
	sshCode int
	said    *sshcmd.Error
	// masterAlive was asked after ssh's end.
	masterAlive bool
	// sent says that something of the frame may have reached the host, gaveUp
	// that we ended ssh, since nothing came for too long.
	sent, gaveUp bool
	// canceled is a user's doing, timedOut ours.
	canceled, timedOut bool
}

// outcome decides the state. The order is the order of certainty: what the
// host reported, what cannot have happened, what we asked for, and last what
// nobody knows.
func outcome(e evidence) (state State, class sshcmd.Class) {
	m, said := e.marks, classOf(e.said)
	if m.started && retryable(said) {
		said = sshcmd.ClassNone // it had its session, whatever ssh says later
	}
	switch {
	case m.exited && m.ended && e.timedOut:
		return TimedOut, sshcmd.ClassNone
	case m.exited && m.ended && e.canceled:
		return Canceled, sshcmd.ClassNone
	case m.exited && m.ended:
		// It was ended for want of a link: how it took that is not its own end.
		return Unknown, sshcmd.ClassConnectionLost
	case m.exited && m.signal != 0:
		return Signaled, sshcmd.ClassNone
	case m.exited:
		return Exited, sshcmd.ClassNone
	case m.failed != "" && !m.started:
		return NeverStarted, sshcmd.ClassNone
	case !m.started && e.canceled:
		return Canceled, said
	case !m.started && refused(e.said):
		return NeverStarted, said
	case !m.started && !e.sent && !said.Permanent() && (!e.masterAlive || said == sshcmd.ClassConnectionLost):
		// The master went away with the whole frame unread.
		return NeverStarted, sshcmd.ClassMux
	case !m.started && !e.sent && said != sshcmd.ClassNone && (e.sshCode == 255 || said == sshcmd.ClassTTY):
		return NeverStarted, said
	case !m.started && e.masterAlive && e.sshCode != 255:
		// The session ended in good order, and its output, which comes in
		// order, held no start mark: something else ran, not our shell.
		return NeverStarted, sshcmd.ClassNone
	case !m.started && !e.sent && e.gaveUp:
		return NeverStarted, sshcmd.ClassTimeout
	case !m.started && !e.sent:
		// ssh went without a word, as with servers that lose a session when
		// many are opened at once (dropbear 2022.83).
		return NeverStarted, sshcmd.ClassMux
	case e.timedOut:
		return TimedOut, said
	case e.canceled:
		return Canceled, said
	case e.masterAlive:
		return Unknown, said
	default:
		return Unknown, sshcmd.ClassConnectionLost
	}
}

// refused reports whether ssh itself says that it got no session.
func refused(said *sshcmd.Error) bool { return said != nil && retryable(said.Class) }

func classOf(said *sshcmd.Error) sshcmd.Class {
	if said == nil {
		return sshcmd.ClassNone
	}
	return said.Class
}

// signalPossible is N for an exit status of 128+N that could be a signal's.
func signalPossible(code int) int {
	if n := code - 128; n > 0 && n <= 64 {
		return n
	}
	return 0
}
