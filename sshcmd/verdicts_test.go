package sshcmd

import "strings"

const proxyEnd = "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n"

const changedBlock = `@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
SHA256:2dzYrFVUKCBVeVtxXU2AgB96F0xfaKBitkGRQcLLAC8.
Please contact your system administrator.
Add correct host key in /x/known_hosts to get rid of this message.
Offending ED25519 key in /x/known_hosts:3
  remove with:
  ssh-keygen -f "/x/known_hosts" -R "h"
Host key for h has changed and you have requested strict checking.
Host key verification failed.
`

// verdict is what a test expects of a log. An empty line means the log itself.
type verdict struct {
	name  string
	log   string
	class Class
	line  string
}

// The rows of the reference's table, in its order. Texts are those of
// OpenSSH 9.2p1 unless said otherwise.
var verdicts = []verdict{
	{"resolve", "ssh: Could not resolve hostname a.invalid: Name or service not known\r\n", ClassResolve, ""},
	{"resolve on macOS", "ssh: Could not resolve hostname a: nodename nor servname provided, or not known", ClassResolve, ""},
	{"refused", "ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n", ClassRefused, ""},
	{"no route", "ssh: connect to host h port 22: No route to host", ClassUnreachable, ""},
	{"no network", "ssh: connect to host h port 22: Network is unreachable", ClassUnreachable, ""},
	{"firewall", "ssh: connect to host h port 22: Permission denied", ClassUnreachable, ""},
	{"timeout", "ssh: connect to host h port 22: Connection timed out", ClassTimeout, ""},
	{"timeout on macOS", "ssh: connect to host h port 22: Operation timed out", ClassTimeout, ""},
	{
		"two addresses", "ssh: connect to address ::1 port 22: Connection refused\nssh: connect to host h port 22: No route to host",
		ClassUnreachable, "ssh: connect to host h port 22: No route to host",
	},
	{
		"banner stall", "Connection timed out during banner exchange\r\nConnection to UNKNOWN port 65535 timed out\r\n",
		ClassBanner, "Connection timed out during banner exchange",
	},
	{
		"not an SSH server", "kex_exchange_identification: banner line too long\r\nbanner exchange: Connection to 127.0.0.1 port 4: invalid format\r\n",
		ClassBanner, "banner exchange: Connection to 127.0.0.1 port 4: invalid format",
	},
	{"stall after the banner", "Connection to 10.0.0.1 port 22 timed out", ClassTimeout, ""},

	{"proxy with words", "starting workspace\n" + proxyEnd, ClassProxy, "starting workspace"},
	{"proxy's last words", "a\nb\n" + proxyEnd, ClassProxy, "b"},
	{"proxy draws progress", "10%\r20%\rno such workspace\n" + proxyEnd, ClassProxy, "no such workspace"},
	{"proxy says more after the end", proxyEnd + "bye\n", ClassProxy, "bye"},
	{
		"proxy speaks between ssh's lines", "kex_exchange_identification: Connection closed by remote host\r\nstopped\nConnection closed by UNKNOWN port 65535\r\n",
		ClassProxy, "stopped",
	},
	{
		"jump host speaks between ssh's lines",
		"kex_exchange_identification: read: Connection reset by peer\nkex_exchange_identification: Connection closed by remote host\n" +
			"Connection reset by 10.0.0.1 port 22\nConnection closed by UNKNOWN port 65535\n",
		ClassThrottled, "kex_exchange_identification: read: Connection reset by peer",
	},
	{"proxy without a word", proxyEnd, ClassProxy, "Connection closed by UNKNOWN port 65535"},
	{"no such proxy", "/bin/bash: line 1: exec: coder: not found\n" + proxyEnd, ClassProxy, "/bin/bash: line 1: exec: coder: not found"},
	{"proxy is not allowed to run", "sh: 1: exec: /x: Permission denied\n" + proxyEnd, ClassProxy, "sh: 1: exec: /x: Permission denied"},
	{
		"proxy gone before our version",
		"no\nkex_exchange_identification: write: Broken pipe\r\nbanner exchange: Connection to UNKNOWN port 65535: Broken pipe\r\n", ClassProxy, "no",
	},
	{"jump host refuses us", "u@j: Permission denied (publickey).\r\n" + proxyEnd, ClassAuth, "u@j: Permission denied (publickey)."},
	{
		"jump host does not resolve", "ssh: Could not resolve hostname j: Name or service not known\r\n" + proxyEnd,
		ClassResolve, "ssh: Could not resolve hostname j: Name or service not known",
	},
	{"jump host's key", "Host key verification failed.\r\n" + proxyEnd, ClassHostKeyUnknown, "Host key verification failed."},
	{"jump host's key has changed", changedBlock + proxyEnd, ClassHostKeyChanged, "Offending ED25519 key in /x/known_hosts:3"},
	{
		"jump host is busy", "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 10.0.0.1 port 22\n" + proxyEnd,
		ClassThrottled, "kex_exchange_identification: read: Connection reset by peer",
	},
	{"jump behind a jump", "ssh: connect to host j port 22: Connection refused\n" + proxyEnd + proxyEnd, ClassRefused, "ssh: connect to host j port 22: Connection refused"},
	{
		"jump cannot reach the host", "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\n" + proxyEnd,
		ClassRefused, "channel 0: open failed: connect failed: Connection refused",
	},
	{
		"jump cannot resolve the host", "channel 0: open failed: connect failed: Name or service not known\r\nstdio forwarding failed\r\n" + proxyEnd,
		ClassResolve, "channel 0: open failed: connect failed: Name or service not known",
	},
	{
		"jump may not forward", "channel 0: open failed: administratively prohibited: open failed\r\nstdio forwarding failed\r\n" + proxyEnd,
		ClassProxy, "channel 0: open failed: administratively prohibited: open failed",
	},

	{
		"throttled", "kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 127.0.0.1 port 2222\r\n",
		ClassThrottled, "kex_exchange_identification: read: Connection reset by peer",
	},
	{
		"throttled, closed", "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 127.0.0.1 port 2222\r\n",
		ClassThrottled, "kex_exchange_identification: Connection closed by remote host",
	},
	{"throttled, before 8.0", "ssh_exchange_identification: Connection closed by remote host", ClassThrottled, ""},
	{"throttled with a warning", "Warning: Identity file x not accessible: No such file or directory.\nConnection closed by 127.0.0.1 port 2222", ClassThrottled, "Connection closed by 127.0.0.1 port 2222"},

	{
		"host key unknown", "No ED25519 host key is known for h and you have requested strict checking.\r\nHost key verification failed.\r\n",
		ClassHostKeyUnknown, "No ED25519 host key is known for h and you have requested strict checking.",
	},
	{"host key unknown, nobody to ask", "Host key verification failed.\r\n", ClassHostKeyUnknown, ""},
	{"host key changed", strings.ReplaceAll(changedBlock, "\n", "\r\n"), ClassHostKeyChanged, "Offending ED25519 key in /x/known_hosts:3"},
	{
		"host key revoked", "@@@@@@@\n@       WARNING: REVOKED HOST KEY DETECTED!               @\n@@@@@@@\nThe ED25519 host key for h is marked as revoked.\n" +
			"ED25519 host key for h was revoked and you have requested strict checking.\nHost key verification failed.\n",
		ClassHostKeyChanged, "ED25519 host key for h was revoked and you have requested strict checking.",
	},

	{"auth", "root@h: Permission denied (publickey,password).\r\n", ClassAuth, ""},
	{"auth, before 7", "Permission denied (publickey).\r\n", ClassAuth, ""},
	{"wrong password", "Permission denied, please try again.\r\nroot@h: Permission denied (password).\r\n", ClassAuth, "root@h: Permission denied (password)."},
	{
		"too many keys", "Received disconnect from UNKNOWN port 65535:2: Too many authentication failures\r\nDisconnected from UNKNOWN port 65535\r\n",
		ClassAuth, "Received disconnect from UNKNOWN port 65535:2: Too many authentication failures",
	},
	{
		"agent refuses", "sign_and_send_pubkey: signing failed for ED25519 \"k\" from agent: agent refused operation\nu@h: Permission denied (publickey).",
		ClassAuth, "u@h: Permission denied (publickey).",
	},
	{"proxy of a refused login is killed", "u@h: Permission denied (publickey).\r\nKilled by signal 1.\r\n", ClassAuth, "u@h: Permission denied (publickey)."},
	{"cipher", "Unable to negotiate with UNKNOWN port 65535: no matching cipher found. Their offer: aes128-ctr\r\n", ClassCrypto, ""},
	{"bad signature", "ssh_dispatch_run_fatal: Connection to 10.0.0.1 port 22: incorrect signature", ClassCrypto, ""},

	{"option on the command line", "command-line: line 0: Bad configuration option: foo\r\n", ClassConfig, ""},
	{
		"option in a file", "bad: line 1: Bad configuration option: foo\r\nbad: terminating, 1 bad configuration options\r\n",
		ClassConfig, "bad: line 1: Bad configuration option: foo",
	},
	{"value in a file", "bad line 3: Bad port 'abc'.\r\nbad: terminating, 1 bad configuration options\r\n", ClassConfig, "bad line 3: Bad port 'abc'."},
	{"missing value", "command-line line 0: no argument after keyword \"port\"\r\n", ClassConfig, ""},
	{"no such file", "Can't open user config file /nonexist: No such file or directory\r\n", ClassConfig, ""},
	{"file that others can write", "Bad owner or permissions on /home/u/.ssh/config\r\n", ClassConfig, ""},
	{"a left-out option is no failure", "/etc/ssh/ssh_config line 52: Unsupported option \"gssapiauthentication\"\r\n", ClassNone, ""},
	{"host name that ssh refuses", "hostname contains invalid characters\r\n", ClassConfig, ""},
	{"usage", "unknown option -- Z\r\nusage: ssh [-46AaC]\n           [-b bind_address]\n", ClassConfig, "unknown option -- Z"},
	{"remote command", "Cannot execute command-line and remote command.\r\n", ClassRemoteCommand, ""},

	{"session refused", refusedSession, ClassMuxRefused, "mux_client_request_session: session request failed: Session open refused by peer"},
	{"session refused, with the kex line", refusedSession + "kex_exchange_identification: Connection closed by remote host\r\n", ClassMuxRefused, strings.TrimSpace(refusedSession)},
	{"session refused, both lines", refusedSession + proxyEnd, ClassMuxRefused, strings.TrimSpace(refusedSession)},
	{"no socket", "Control socket connect(/tmp/s): No such file or directory\r\n", ClassMux, ""},
	{"stale socket", "Control socket connect(/tmp/s): Connection refused\r\n" + proxyEnd, ClassMux, "Control socket connect(/tmp/s): Connection refused"},
	{"descriptors", "mm_send_fd: sendmsg(0): Message too long\nmux_client_request_session: send fds failed", ClassMux, "mux_client_request_session: send fds failed"},
	{"hello", "mux_client_hello_exchange: write packet: Broken pipe", ClassMux, ""},
	{"old mux client", "muxclient: master hello exchange failed", ClassMux, ""},
	{"reply lost", "mux_client_request_session: read from master failed: Broken pipe\r\n" + proxyEnd, ClassConnectionLost, "mux_client_request_session: read from master failed: Broken pipe"},
	{"reply lost, with the kex line", "mux_client_request_session: read from master failed: Broken pipe\r\nkex_exchange_identification: Connection closed by remote host\r\n", ClassConnectionLost, "mux_client_request_session: read from master failed: Broken pipe"},
	{"second master", "ControlSocket /tmp/s already exists, disabling multiplexing\r\n", ClassMux, ""},
	{"no directory for the socket", "unix_listener: cannot bind to path /tmp/x/s.j33VkxVKxqo8BXgq: No such file or directory\r\n", ClassMux, ""},
	{"long path", "ControlPath too long ('/x' >= 108 bytes)", ClassMux, ""},

	{"silent server", "Timeout, server h not responding.\r\n", ClassAliveTimeout, ""},
	{"closed", "Connection to h closed by remote host.\r\nConnection to h closed.\r\n", ClassConnectionLost, "Connection to h closed by remote host."},
	{"broken pipe", "client_loop: send disconnect: Broken pipe\r\n", ClassConnectionLost, ""},
	{"reset", "Read from remote host h: Connection reset by peer\r\n", ClassConnectionLost, ""},
	{"reset with an address", "Connection reset by 10.0.0.1 port 22", ClassConnectionLost, ""},
	{"a peer's words do not speak for ssh", "Received disconnect from 1.2.3.4 port 22:11: Session open refused by peer", ClassConnectionLost, ""},
	{
		"master with a refused session that then dies", "channel 4: open failed: connect failed: open failed\r\nTimeout, server h not responding.\r\n",
		ClassAliveTimeout, "Timeout, server h not responding.",
	},
	{"scp's echo", "scp: Connection closed\r\n", ClassConnectionLost, ""},
	{"no terminal", "PTY allocation request failed on channel 0\r\n", ClassTTY, ""},

	{"nothing", "", ClassNone, ""},
	{"only noise", "Warning: Permanently added 'h' (ED25519) to the list of known hosts.\r\ndebug1: x\n\n", ClassNone, ""},
	{"other words", "first\nthe moon is full\n", ClassUnknown, "the moon is full"},
	{"words that are not ssh's behind ssh's", "ssh: connect to host h port 1: Connection refused\nfatal: Could not read from remote repository.\n", ClassRefused, "ssh: connect to host h port 1: Connection refused"},
}

const refusedSession = "mux_client_request_session: session request failed: Session open refused by peer\r\n"
