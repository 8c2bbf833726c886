package sshcmd

import "slices"

// Master is the process that logs in and holds the connection of a route. It
// alone reads the user's ssh configuration.
type Master struct {
	// SSH is the program, one word or several.
	SSH  []string
	User User
	Host Host
	// ControlPath is the socket to make; see ControlPathOK.
	ControlPath string
	// Batch forbids every question.
	Batch    bool
	Features Features
	// Ciphers, if not empty, are all ciphers of the user's configuration, in
	// the order in which they are offered (PreferAES).
	Ciphers string
}

// Args returns the argv of a supervised master. Our options come first, and
// the first value of an option wins; then the user's, then the host.
//
// There is no ControlPersist, with which OpenSSH sends the words of a
// ProxyCommand to /dev/null, and no ConnectTimeout: the user's stays.
// SessionType, StdinNull and ForkAfterAuthentication came with 8.7, so the
// flags stand for the first two.
func (m Master) Args() []string {
	args := join(m.SSH, []string{"-S", EscapePercent(m.ControlPath), "-o", "ControlMaster=yes"}, m.fixedArgs())
	args = append(args, "-o", "LogLevel=INFO")
	if m.Batch {
		args = append(args, "-o", "BatchMode=yes")
	}
	if m.Ciphers != "" {
		args = append(args, "-o", "Ciphers="+m.Ciphers)
	}
	return join(args, m.User.args(), []string{"--", string(m.Host)})
}

// EffectiveArgs returns the argv of `ssh -v -G`, which prints on stdout the
// configuration that the master would have (ParseConfig), and on stderr the
// files that were read (ConfigFiles). It connects to nothing, but it runs the
// user's `Match exec`.
func (m Master) EffectiveArgs() []string {
	return join(m.SSH, []string{"-v", "-G"}, m.fixedArgs(), m.User.args(), []string{"--", string(m.Host)})
}

// fixedArgs are the options that no configuration may decide and that shape
// the route, in the argv of the master and of its question alike.
func (m Master) fixedArgs() []string {
	args := []string{
		"-N", "-n", "-T", "-a", "-x",
		"-o", "ControlPersist=no",
		"-o", "ClearAllForwardings=yes",
		"-o", "Tunnel=no",
		"-o", "PermitLocalCommand=no",
		"-o", "RemoteCommand=none",
		"-o", "RequestTTY=no",
	}
	args = append(args, m.Features.args()...)
	if !m.User.sets("ServerAliveInterval") {
		args = append(args, "-o", "ServerAliveInterval=15")
	}
	if !m.User.sets("ServerAliveCountMax") {
		args = append(args, "-o", "ServerAliveCountMax=3")
	}
	return args
}

// Session is one command over a running master. It is hermetic: no
// configuration is read, and without the master it fails at once (its
// ProxyCommand is `false`) instead of logging in again.
type Session struct {
	SSH         []string
	ControlPath string
	// Log is the file to which ssh writes its own words, so that stderr is
	// the command's alone; empty leaves them on stderr. It must be a file or
	// a FIFO: ssh closes all inherited descriptors.
	Log string
	// TTY asks for a terminal on the host.
	TTY bool
	// Command goes to the login shell as it is, at most 128 KiB; empty asks
	// for that shell itself.
	Command string
}

// Args returns the argv of the session.
func (s Session) Args() []string {
	tty, level := "-T", "INFO"
	if s.TTY {
		// At INFO ssh writes "Shared connection to … closed." on the terminal,
		// past -E (run). The price: see overMaster.
		tty, level = "-tt", "ERROR"
	}
	args := join(s.SSH, []string{"-F", "none", tty, "-a", "-x", "-e", "none"}, overMaster(level, "-S", s.ControlPath))
	if s.Log != "" {
		args = append(args, "-E", s.Log)
	}
	args = append(args, "--", PlaceholderHost)
	if s.Command != "" {
		args = append(args, s.Command)
	}
	return args
}

// overMaster are the options that tie an invocation to a running master. At
// the log level ERROR an ssh that finds no master ends without a word in one
// of fifteen runs (9.2), and one cannot tell from its log that nothing ran. At
// INFO it always speaks, and a session without a terminal that goes well is as
// silent as at ERROR.
func overMaster(level string, path ...string) []string {
	if len(path) == 2 {
		path[1] = EscapePercent(path[1])
	}
	return append(path,
		"-o", "ControlMaster=no",
		"-o", "ProxyCommand=false",
		"-o", "BatchMode=yes",
		"-o", "LogLevel="+level,
		"-o", "ClearAllForwardings=yes",
	)
}

// Control is a request to a master itself.
type Control struct {
	SSH         []string
	ControlPath string
	// Op is "check" (is it there; its pid is on stderr), "stop" (take no
	// more sessions, end with the last one) or "exit" (end at once).
	Op string
}

// Args returns the argv of the request. A stopped master answers nothing, so
// the caller sets a deadline.
func (c Control) Args() []string {
	return join(c.SSH, []string{
		"-F", "none", "-S", EscapePercent(c.ControlPath), "-o", "ProxyCommand=false", "-o", "BatchMode=yes",
		"-O", c.Op, "--", PlaceholderHost,
	})
}

// join concatenates into a new slice, so that no caller's slice is written.
func join(lists ...[]string) []string { return slices.Concat(lists...) }
