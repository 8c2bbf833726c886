package sshcmd

// Class is a kind of failure of ssh, as told by its own words. The values
// are stable: they are written to records on disk.
type Class string

// The classes. What is said of retries is about the connection; whether a
// command may run again is for its receipt to say.
const (
	// ClassNone: ssh said nothing. It was killed, or a master vanished under
	// a mux client, which OpenSSH does not comment at any log level.
	ClassNone Class = ""
	// ClassResolve: the name of the host is not known.
	ClassResolve Class = "resolve"
	// ClassRefused: nobody listens on the port.
	ClassRefused Class = "refused"
	// ClassUnreachable: there is no way to the host.
	ClassUnreachable Class = "unreachable"
	// ClassTimeout: the host did not answer the connection.
	ClassTimeout Class = "timeout"
	// ClassBanner: something took the connection and does not speak SSH, or
	// not in time.
	ClassBanner Class = "banner"
	// ClassProxy: the ProxyCommand or jump host ended; its words are not
	// those of ssh.
	ClassProxy Class = "proxy"
	// ClassThrottled: the server closed the connection before it said who
	// it is, as with MaxStartups.
	ClassThrottled Class = "throttled"
	// ClassHostKeyUnknown: the host's key is not in known_hosts and nobody
	// could be asked, or somebody said no.
	ClassHostKeyUnknown Class = "host_key_unknown"
	// ClassHostKeyChanged: the host's key is another one than before, or is
	// revoked.
	ClassHostKeyChanged Class = "host_key_changed"
	// ClassAuth: the host did not let us in.
	ClassAuth Class = "auth"
	// ClassCrypto: both sides have no algorithm in common, or refuse the
	// other's key material.
	ClassCrypto Class = "crypto"
	// ClassConfig: ssh refuses its configuration or its command line.
	ClassConfig Class = "config"
	// ClassRemoteCommand: the configuration's RemoteCommand collides with
	// ours.
	ClassRemoteCommand Class = "remote_command"
	// ClassMuxRefused: the host opens no further session on this connection
	// (MaxSessions). Nothing ran.
	ClassMuxRefused Class = "mux_refused"
	// ClassMux: the master could not be reached or did not take the request.
	// Nothing ran.
	ClassMux Class = "mux"
	// ClassAliveTimeout: the connection was up and the server fell silent.
	ClassAliveTimeout Class = "alive_timeout"
	// ClassConnectionLost: the connection was up, or a request was on its
	// way, and then the link ended. A command may have started.
	ClassConnectionLost Class = "connection_lost"
	// ClassTTY: the host gave no terminal.
	ClassTTY Class = "tty"
	// ClassUnknown: ssh said something that is in no row of the table.
	ClassUnknown Class = "unknown"
)

// Transient reports whether the same attempt may succeed later.
func (c Class) Transient() bool {
	switch c {
	case ClassResolve, ClassRefused, ClassUnreachable, ClassTimeout, ClassBanner, ClassProxy, ClassThrottled,
		ClassMuxRefused, ClassMux, ClassAliveTimeout, ClassConnectionLost:
		return true
	default:
		return false
	}
}

// Permanent reports whether another attempt is pointless, or harmful (an
// account may be locked), until a human has changed something. ClassNone and
// ClassUnknown are neither transient nor permanent.
func (c Class) Permanent() bool {
	switch c {
	case ClassHostKeyUnknown, ClassHostKeyChanged, ClassAuth, ClassCrypto, ClassConfig, ClassRemoteCommand, ClassTTY:
		return true
	default:
		return false
	}
}

// Error is a failure of ssh. Its methods work on nil.
type Error struct {
	Class Class
	// Host is the destination as the user named it.
	Host string
	// ExitCode is the status of the ssh process.
	ExitCode int
	// Log is all that ssh and its proxies said, as it came. It may hold
	// terminal control characters of a proxy.
	Log string
	// Line is the line that decided, made safe for a terminal; empty only
	// for ClassNone.
	Line string
}
