package sshcmd

import (
	"fmt"
	"strings"
)

// Error is one sentence: what failed, and the line of ssh that decided.
func (e *Error) Error() string {
	if e == nil {
		return "no failure of ssh"
	}
	host := e.shownHost()
	what := "ssh to " + host + " failed"
	if e.ExitCode != 255 { // which is all that ssh ever says by it
		what += fmt.Sprintf(" with status %d", e.ExitCode)
	}
	if e.Class == ClassNone {
		return what + " and gave no reason"
	}
	if format, ok := sentences[e.Class]; ok {
		what = fmt.Sprintf(format, host)
	}
	return what + ": " + strings.TrimSuffix(e.Line, ".")
}

func (e *Error) shownHost() string {
	if e.Host == "" {
		return "the host"
	}
	return safeLine(e.Host)
}

var sentences = map[Class]string{
	ClassResolve:        "cannot reach %s",
	ClassRefused:        "cannot reach %s",
	ClassUnreachable:    "cannot reach %s",
	ClassTimeout:        "cannot reach %s",
	ClassBanner:         "no SSH server answers for %s",
	ClassProxy:          "the ProxyCommand or jump host for %s failed",
	ClassThrottled:      "%s closed the connection before the login",
	ClassHostKeyUnknown: "the host key of %s is not known",
	ClassHostKeyChanged: "the host key of %s has changed or was revoked",
	ClassAuth:           "%s refused the login",
	ClassCrypto:         "cannot agree on cryptography with %s",
	ClassConfig:         "ssh refuses its configuration for %s",
	ClassRemoteCommand:  "the RemoteCommand configured for %s is in the way",
	ClassMuxRefused:     "%s opens no further session on the shared connection",
	ClassMux:            "the shared connection to %s cannot be used",
	ClassAliveTimeout:   "%s stopped answering",
	ClassConnectionLost: "the connection to %s was lost",
	ClassTTY:            "%s gave no terminal",
}

// Hint says what the user can do, or is "" where that is not known.
func (e *Error) Hint() string {
	if e == nil {
		return ""
	}
	format := hints[e.Class]
	if e.Class == ClassAuth {
		format = authHint(e.Log)
	}
	return strings.ReplaceAll(format, "HOST", Quote(e.shownHost()))
}

// The word HOST stands for the host, ready for a shell.
var hints = map[Class]string{
	ClassNone:           "ssh was ended from outside or lost its master; `bivy host ls` shows the connections that are up",
	ClassResolve:        "check the spelling, the network and the VPN; `ssh -G HOST` shows the name that ssh looks up",
	ClassRefused:        "check that sshd runs there; `ssh -G HOST` shows the address and port that ssh uses",
	ClassUnreachable:    "check the network and the VPN; `ssh -G HOST` shows the address that ssh uses",
	ClassTimeout:        "the host may be off or asleep, or a firewall drops the packets",
	ClassBanner:         "something else listens there, or the host is overloaded; `ssh -v HOST` shows more",
	ClassProxy:          "try the proxy by itself; `ssh -v HOST` shows how it is started",
	ClassThrottled:      "too many logins at once (MaxStartups) or a ban: wait, then try again with fewer in parallel",
	ClassHostKeyUnknown: "log in once with `bivy host connect HOST` and compare the fingerprint",
	ClassHostKeyChanged: "find out why before you go on: it may be an attack; if the new key is right, remove the old one with ssh-keygen -R",
	ClassCrypto:         "one side is too old or too strict; `ssh -v HOST` shows both offers",
	ClassConfig:         "correct that line of the ssh configuration or that option; `ssh -G HOST` checks it",
	ClassRemoteCommand:  "report this as a bug in bivy, with the host's block of your ssh configuration",
	ClassMuxRefused:     "wait until other commands on this host end; its sshd limits sessions (MaxSessions)",
	ClassMux:            "try again; if it persists, `bivy host close HOST` starts afresh",
	ClassAliveTimeout:   "check the network; what ran there may still run",
	ClassConnectionLost: "check the network; what ran there may still run",
	ClassTTY:            "the host has no free terminal or forbids them (PermitTTY); try without -t",
	ClassUnknown:        "`ssh -v HOST` shows more",
}

// authHint looks for the reason behind a refusal that ssh gave earlier.
func authHint(log string) string {
	switch {
	case strings.Contains(log, "UNPROTECTED PRIVATE KEY FILE"):
		return "ssh ignored a private key that others can read: chmod 600 it"
	case strings.Contains(log, "Too many authentication failures"):
		return "the agent offered too many keys: name one with IdentityFile and set IdentitiesOnly yes for this host"
	case strings.Contains(log, "agent refused operation"):
		return "the agent refused to sign: unlock it or touch the key, with `bivy host connect HOST`"
	case strings.Contains(log, "no mutual signature"):
		return "the host takes no signature that this key can make; use another key"
	default:
		return "log in once with `bivy host connect HOST`; `ssh-add -l` shows the keys of the agent"
	}
}
