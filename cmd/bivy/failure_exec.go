package main

import (
	"context"
	"errors"
	"fmt"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/sshcmd"
)

// explainCommand covers what became of a command.
func explainCommand(err error, f *failure) bool {
	var lost *exec.LostError
	var timeout *exec.TimeoutError
	var canceled *exec.CanceledError
	var not *exec.NotStartedError
	var signaled *signalError
	var output *exec.OutputError
	var cut *exec.CutError
	switch {
	case errors.As(err, &cut):
		f.Code, f.Class, f.Host = exitLinkLost, "link_lost", cut.Host
		f.Hint = "the command is over; what it printed here is not all"
	case errors.Is(err, errOutputClosed), stdoutClosed(err):
		f.Code, f.Class = exitOutputClosed, "canceled"
	case errors.As(err, &output):
		f.Code, f.Class, f.Host = exitLocal, "local", output.Host
	case errors.As(err, &timeout):
		f.Code, f.Class, f.Host = exitTimedOut, "timed_out", timeout.Host
		f.Details = survivorLines(timeout.Left)
	case errors.As(err, &canceled):
		f.Code, f.Class, f.Host = exitCanceled, "canceled", canceled.Host
		f.Details = survivorLines(canceled.Left)
	case errors.As(err, &signaled), errors.Is(err, context.Canceled):
		f.Code, f.Class, f.Message = exitCanceled, "canceled", "canceled"
	case errors.As(err, &lost):
		f.Code, f.Class, f.Host = exitLinkLost, "link_lost", lost.Host
		f.Hint = "the command may have run, wholly or in part; look before you repeat it"
		if lost.Kept != "" {
			f.Hint = "follow it with: bivy exec --host " + sshcmd.Quote(lost.Host) + " -c " + sshcmd.Quote("tail -f "+lost.Kept+".*")
		}
	case errors.As(err, &not) && not.Silent != 0:
		f.Code, f.Class, f.Host = exitUnreachable, "unreachable", not.Host
		f.Hint = "try again; a link that is dead is noticed within a minute, and made anew"
	case errors.As(err, &not) && not.Dir != "":
		f.Code, f.Class, f.Host = exitNotFound, "not_found", not.Host
		f.Hint = "give a directory that is there with --dir, relative to the workspace or the home there"
	case errors.As(err, &not) && not.Said == nil:
		f.Code, f.Class, f.Host = exitHostLacks, "host_lacks", not.Host
		f.Hint = "bivy needs a host that runs the command it is given, with /bin/sh and dd; nothing was run"
	default:
		return false
	}
	return true
}

// survivorLines names what still runs of a command that was ended.
func survivorLines(left []mux.Survivor) []string {
	var lines []string
	for _, s := range left {
		lines = append(lines, fmt.Sprintf("still alive there: %d %s", s.PID, s.Command))
	}
	return lines
}

// explainSSH covers what ssh said, and the way to a session.
func explainSSH(err error, f *failure) bool {
	var said *sshcmd.Error
	var slow *mux.LoginTimeoutError
	var busy *mux.BusyError
	var recent *mux.RecentFailureError
	var own *mux.OwnMasterError
	switch {
	case errors.As(err, &recent):
		f.Code, f.Class = sshCode(recent.Said.Class)
		f.Host, f.Hint = recent.Said.Host, "to try now, log in: bivy host connect "+sshcmd.Quote(recent.Said.Host)
	case errors.As(err, &own):
		f.Code, f.Class, f.Host = exitUnreachable, "unreachable", own.Host
		if own.Closing {
			f.Code, f.Class = exitLocal, "local"
		}
	case errors.As(err, &said):
		f.Code, f.Class = sshCode(said.Class)
		f.Host, f.Hint = said.Host, said.Hint()
	case errors.As(err, &slow):
		f.Code, f.Class, f.Host = exitUnreachable, "unreachable", slow.Host
		f.Hint = "give it longer with --wait-host, or log in by hand once: bivy host connect " + slow.Host
	case errors.As(err, &busy):
		f.Code, f.Class, f.Host = exitHostLacks, "host_lacks", busy.Host
		f.Hint = "give it longer with --wait-host, or end something that runs there"
		if busy.Refused && busy.Sessions == 0 {
			f.Hint = "ask who runs it for MaxSessions of 1 or more; forwarding alone is not enough for bivy"
		}
	default:
		return false
	}
	return true
}

// sshCode is the exit code and the public class of a class of ssh errors.
func sshCode(c sshcmd.Class) (int, string) {
	switch c {
	case sshcmd.ClassAuth:
		return exitAuth, "auth"
	case sshcmd.ClassHostKeyUnknown, sshcmd.ClassHostKeyChanged:
		return exitHostKey, "host_key"
	case sshcmd.ClassConfig, sshcmd.ClassRemoteCommand:
		return exitLocal, "local"
	case sshcmd.ClassMuxRefused, sshcmd.ClassTTY:
		return exitHostLacks, "host_lacks"
	case sshcmd.ClassConnectionLost, sshcmd.ClassAliveTimeout:
		return exitLinkLost, "link_lost"
	default:
		return exitUnreachable, "unreachable"
	}
}
