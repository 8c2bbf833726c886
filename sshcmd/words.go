package sshcmd

import (
	"regexp"
	"strings"
	"sync"
)

// strength says how much a line means.
type strength int

const (
	// none: not ssh's words, or none that we know.
	none strength = iota
	// weak: decides only when nothing stronger was said.
	weak
	// strong: the last such line is the reason.
	strong
)

// row is one text of OpenSSH: a line that starts with start, or after a
// "program: " or "user@host: " in front, and goes on with rest somewhere.
type row struct {
	class    Class
	strength strength
	start    string
	rest     string
}

// rows are tried in order; the first match counts. Texts that a peer can
// choose (the reason behind "Received disconnect from") come first, so that
// it cannot speak for ssh.
var rows = []row{
	{ClassAuth, strong, "Received disconnect from ", "Too many authentication failures"},
	{ClassAuth, strong, "Received disconnect from ", "Change of username or service not allowed"},
	{ClassConnectionLost, strong, "Received disconnect from ", ""},
	{ClassConnectionLost, weak, "Disconnected from ", ""},
	{ClassAuth, strong, "Disconnecting ", "Too many authentication failures"},

	{ClassHostKeyUnknown, strong, "Host key verification failed.", ""},

	// A reply that never came: the master may have opened the session, so a
	// command may have started.
	{ClassConnectionLost, strong, "mux_client_request_session: read from master failed", ""},
	{ClassConnectionLost, strong, "Control master terminated unexpectedly", ""},
	{ClassMuxRefused, strong, "mux_client_request_session: session request failed: Session open refused by peer", ""},
	{ClassMux, strong, "mux_client_", ""},
	{ClassMux, strong, "muxclient", ""},
	{ClassMux, strong, "mm_send_fd: ", ""},
	{ClassMux, strong, "Control socket ", ""},
	{ClassMux, strong, "ControlSocket ", "already exists, disabling multiplexing"},
	{ClassMux, strong, "ControlPath too long", ""},
	{ClassMux, strong, "unix_listener: ", ""},
	{ClassMux, strong, "Master refused ", ""},

	{ClassResolve, strong, "Could not resolve host", ""},
	{ClassBanner, strong, "Connection timed out during banner exchange", ""},
	{ClassBanner, strong, "banner exchange: ", "invalid format"},
	{ClassBanner, weak, "kex_exchange_identification: banner line ", ""},
	{ClassBanner, weak, "Bad remote protocol version identification", ""},
	{ClassTimeout, weak, "Connection to ", " timed out"},

	{ClassAuth, strong, "Permission denied (", ""},
	{ClassAuth, weak, "Permission denied, please try again.", ""},
	{ClassAuth, weak, "sign_and_send_pubkey: ", ""},
	{ClassAuth, weak, "Load key ", ""},
	{ClassAuth, strong, "Authentication failed.", ""},

	{ClassCrypto, strong, "Unable to negotiate with ", ""},
	{ClassCrypto, strong, "Bad server host key", ""},
	{ClassCrypto, strong, "ssh_dispatch_run_fatal: ", "signature"},
	{ClassCrypto, strong, "ssh_dispatch_run_fatal: ", "libcrypto"},
	{ClassCrypto, strong, "ssh_dispatch_run_fatal: ", "Invalid key length"},
	{ClassConnectionLost, strong, "ssh_dispatch_run_fatal: ", ""},

	{ClassRemoteCommand, strong, "Cannot execute command-line and remote command.", ""},

	{ClassConfig, strong, "Can't open user config file ", ""},
	{ClassConfig, strong, "Bad owner or permissions on ", ""},
	{ClassConfig, strong, "Couldn't open logfile ", ""},
	{ClassConfig, strong, "hostname contains invalid characters", ""},
	{ClassConfig, strong, "remote username contains invalid characters", ""},
	{ClassConfig, strong, "unknown option -- ", ""},
	{ClassConfig, strong, "illegal option -- ", ""},
	{ClassConfig, strong, "option requires an argument -- ", ""},
	{ClassConfig, strong, "Invalid multiplex command.", ""},
	{ClassConfig, strong, `No ControlPath specified for "-O" command`, ""},
	{ClassConfig, strong, "Too many recursive configuration includes", ""},
	{ClassConfig, strong, "percent_expand: ", ""},
	{ClassConfig, strong, "vdollar_percent_expand: ", ""},
	{ClassConfig, weak, "usage: ssh ", ""},
	{ClassConfig, weak, "usage: scp ", ""},

	{ClassAliveTimeout, strong, "Timeout, server ", "not responding."},
	{ClassConnectionLost, strong, "Connection to ", " closed by remote host."},
	{ClassConnectionLost, strong, "client_loop: send disconnect: ", ""},
	{ClassConnectionLost, strong, "packet_write_wait: ", ""},
	{ClassConnectionLost, strong, "Write failed: ", ""},
	{ClassConnectionLost, strong, "Read from remote host ", ""},
	{ClassConnectionLost, strong, "Bad packet length ", ""},
	{ClassConnectionLost, strong, "Corrupted MAC on input.", ""},
	{ClassConnectionLost, strong, "Disconnecting ", ""},
	// scp's own words after those of its ssh.
	{ClassConnectionLost, weak, "Connection closed", ""},
	{ClassConnectionLost, weak, "lost connection", ""},

	{ClassTTY, strong, "PTY allocation request failed", ""},
}

// match finds the row of a line.
func match(line string) (Class, strength) {
	if m := connectTo().FindStringSubmatch(line); m != nil {
		return connectClass(m[1]), strong
	}
	if isBadConfig(line) {
		return ClassConfig, strong
	}
	if isKex(line) || isClosedBy(line) {
		return ClassThrottled, strong
	}
	if strings.Contains(line, ": terminating, ") && strings.HasSuffix(line, " bad configuration options") {
		return ClassConfig, weak
	}
	bare := withoutSpeaker(line)
	for _, r := range rows {
		if rest, ok := strings.CutPrefix(line, r.start); ok && strings.Contains(rest, r.rest) {
			return r.class, r.strength
		}
		if rest, ok := strings.CutPrefix(bare, r.start); ok && strings.Contains(rest, r.rest) {
			return r.class, r.strength
		}
	}
	return ClassNone, none
}

// Patterns are compiled when the first line is read: few commands have one.
var (
	// connectTo also takes "connect to address", as old versions say for
	// each address.
	connectTo = pattern(`^(?:\S+: )?connect to (?:host|address) \S+ port \S+: (.+)$`)

	// configLine is "FILE line N: …" and "FILE: line N: Bad configuration
	// option: …". Shells write "sh: line 1: …", with the colon, of a proxy
	// that they cannot start.
	configLine = pattern(`^(?:[^:]+ line \d+: |.+: line \d+: Bad configuration option: )`)

	// speaker is the "ssh: ", "scp: " or "user@host: " in front of some texts.
	speaker = pattern(`^(?:[\w.+-]*ssh[\w.-]*|scp|\S+@\S+): `)
)

func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// isBadConfig excludes the lines about options that ssh goes on without.
func isBadConfig(line string) bool {
	text := line[len(configLine().FindString(line)):]
	return text != line && !strings.HasPrefix(text, "Unsupported option ") &&
		!strings.HasPrefix(text, "Deprecated option ") && !strings.HasPrefix(text, "Ignored unknown option ")
}

func withoutSpeaker(line string) string {
	return line[len(speaker().FindString(line)):]
}

// isKex is a connection that ended before SSH began. The second name is that
// of OpenSSH before 8.0.
func isKex(line string) bool {
	return (strings.HasPrefix(line, "kex_exchange_identification: ") ||
		strings.HasPrefix(line, "ssh_exchange_identification: ")) && !strings.Contains(line, ": banner line ")
}

// isClosedBy is ssh's last line, at LogLevel INFO, about a connection that
// ended before the login. The form with "banner exchange" comes when the peer
// is gone before ssh has written its own version.
func isClosedBy(line string) bool {
	if strings.HasPrefix(line, "banner exchange: Connection to ") {
		return !strings.HasSuffix(line, ": invalid format")
	}
	return (strings.HasPrefix(line, "Connection closed by ") || strings.HasPrefix(line, "Connection reset by ")) &&
		strings.Contains(line, " port ")
}

// isProxyEnd is the same for a connection without an address, which is one
// through a ProxyCommand or a jump host.
func isProxyEnd(line string) bool {
	return isClosedBy(line) && strings.Contains(line, " UNKNOWN port 65535")
}

func isMuxLine(line string) bool { return strings.HasPrefix(line, "mux_client_") }

// noise are starts of lines that explain no failure, whatever stands beside
// them.
var noise = []string{
	"debug1: ", "debug2: ", "debug3: ", "OpenSSH_",
	"Warning: ", "** ", "@@@", "@ ", "Pseudo-terminal will not be allocated",
	"Authenticated to ", "Master running (pid=", "Exit request sent.", "Stop listening request sent.",
	"Transferred: ", "Bytes per second: ", "Allocated port ", "Killed by signal ",
	"no such identity: ", "           [-",
	// A living master's notes about one of its clients.
	"mux_master_",
}

func isNoise(line string) bool {
	for _, start := range noise {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	// The end of a session that a person asked for: "Connection to h closed.",
	// "Shared connection to h closed."
	return strings.HasSuffix(line, " closed.") && strings.Contains(line, "onnection to ") ||
		configLine().MatchString(line) && !isBadConfig(line)
}
