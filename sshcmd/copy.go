package sshcmd

import "strings"

// Copy is one scp over a running master, as hermetic as Session.
type Copy struct {
	SCP []string
	// SSH is the program that scp starts (-S); empty leaves it to scp.
	SSH         string
	ControlPath string
	// Sources and Target are operands as LocalOperand and RemoteOperand
	// make them.
	Sources []string
	Target  string
	// Recursive copies directories; Preserve keeps times and modes.
	Recursive, Preserve bool
	// Legacy speaks the old scp protocol (-O), which an scp before 9.0 does
	// not know as a flag, to hosts without an SFTP server.
	Legacy bool
}

// Args returns the argv of the copy. There is no -q: it hides the reason of
// a failure. The status alone tells little: 9.2 ends with 255 for a missing
// local file as well as for a missing master (run).
func (c Copy) Args() []string {
	args := join(c.SCP)
	if c.SSH != "" {
		args = append(args, "-S", c.SSH)
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{c.Recursive, "-r"}, {c.Preserve, "-p"}, {c.Legacy, "-O"}} {
		if flag.on {
			args = append(args, flag.name)
		}
	}
	// scp's -S is another thing than ssh's, so the path is an option here.
	args = join(args, []string{"-F", "none", "-o", controlPathOption(c.ControlPath)}, overMaster("INFO"))
	return join(append(args, "--"), c.Sources, []string{c.Target})
}

// controlPathOption quotes the path as ssh_config wants it: in double quotes,
// where a space or # would end it. ControlPathOK refuses the bytes for which
// ssh's versions differ.
func controlPathOption(path string) string {
	path = EscapePercent(path)
	if !isBare(path) {
		path = `"` + path + `"`
	}
	return "ControlPath=" + path
}

// LocalOperand returns a local path as scp reads it as one: a relative path
// behind ./ , since a colon, a dash or a bracket would mean something else.
func LocalOperand(path string) string {
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") {
		return path
	}
	return "./" + path
}

// RemoteOperand returns a path on the master's host as an operand of scp. It
// is not quoted: scp before 9.0 and -O give it to a remote shell, and a
// source is a pattern for every scp, so bivy uses names of its own making.
func RemoteOperand(path string) string {
	return PlaceholderHost + ":" + path
}

// GitCommand returns the value of GIT_SSH_COMMAND for git over a running
// master: a shell command line, to which git adds host and command. It needs
// GIT_SSH_VARIANT=ssh beside it, and any host in the URL.
func GitCommand(ssh []string, controlPath string) string {
	return QuoteAll(join(ssh, []string{"-F", "none", "-T", "-a", "-x", "-e", "none"}, overMaster("INFO", "-S", controlPath)))
}
