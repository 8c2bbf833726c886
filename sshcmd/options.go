package sshcmd

import (
	"fmt"
	"slices"
	"strings"
)

// User is what the user chose for ssh on our command line. It reaches the
// master and `ssh -G`; warm invocations know nothing of it.
type User struct {
	// ConfigFile is ssh's own -F: a file instead of the user's and the
	// system's, or "none". A relative path is relative to the directory in
	// which ssh starts. Empty leaves the choice to ssh.
	ConfigFile string
	// Options are KEY=VALUE (or "KEY VALUE") for -o, in order. CheckOption
	// says which are allowed.
	Options []string
}

func (u User) args() []string {
	var args []string
	if u.ConfigFile != "" {
		args = append(args, "-F", u.ConfigFile)
	}
	for _, opt := range u.Options {
		args = append(args, "-o", opt)
	}
	return args
}

// sets reports whether the user's -o names the key.
func (u User) sets(key string) bool {
	for _, opt := range u.Options {
		if k, _, ok := splitOption(opt); ok && strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

// OptionError says why an ssh option of the user is refused.
type OptionError struct {
	Option string
	Reason string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("ssh option %q: %s", e.Option, e.Reason)
}

// The reasons why bivy fixes an option.
const (
	whyLeak     = "bivy never forwards agents, X11, credentials or ports to the host"
	whyEnv      = "bivy sends no environment by ssh; use --env or a secret"
	whySession  = "bivy decides what a session runs"
	whyMaster   = "bivy runs the shared connection itself"
	whyLocal    = "bivy runs no local command for a host"
	whyBatch    = "use --batch"
	whyLogLevel = "bivy reads ssh's words to tell failures apart; use -v"
)

// fixed are the options that Master.Args sets, or makes void, so that a
// user's value would be silently ignored.
var fixed = map[string]string{
	"forwardagent": whyLeak, "forwardx11": whyLeak, "forwardx11trusted": whyLeak, "forwardx11timeout": whyLeak,
	"gssapidelegatecredentials": whyLeak, "tunnel": whyLeak, "tunneldevice": whyLeak, "clearallforwardings": whyLeak,
	"localforward": whyLeak, "remoteforward": whyLeak, "dynamicforward": whyLeak,
	"sendenv": whyEnv, "setenv": whyEnv,
	"remotecommand": whySession, "requesttty": whySession, "sessiontype": whySession, "stdinnull": whySession,
	"escapechar": whySession, "forkafterauthentication": whyMaster,
	"controlmaster": whyMaster, "controlpath": whyMaster, "controlpersist": whyMaster,
	"permitlocalcommand": whyLocal, "localcommand": whyLocal,
	"batchmode": whyBatch, "loglevel": whyLogLevel,
}

func isFixedKey(lower string) bool { return fixed[lower] != "" }

// CheckOption checks one value of -o. It refuses, with *OptionError, what is
// neither KEY=VALUE nor "KEY VALUE", and every option that bivy must fix
// itself; keys count in any case.
//
// ServerAliveInterval and ServerAliveCountMax are allowed, and then take the
// place of ours: a link may need other numbers, and the user said so for
// bivy. In a configuration file they do not, since most were written for
// terminals. Options that ssh does not know are for ssh to refuse.
func CheckOption(opt string) error {
	key, value, ok := splitOption(opt)
	switch {
	case !ok:
		return &OptionError{Option: opt, Reason: "it is not KEY=VALUE"}
	case value == "":
		return &OptionError{Option: opt, Reason: "it has no value"}
	case isFixedKey(strings.ToLower(key)):
		return &OptionError{Option: opt, Reason: fixed[strings.ToLower(key)]}
	case slices.Contains([]string{"include", "match", "host"}, strings.ToLower(key)):
		return &OptionError{Option: opt, Reason: "it belongs in a file; use --ssh-config"}
	}
	return nil
}

// splitOption takes an option apart as ssh does: the key ends at whitespace
// or at one equals sign. A key in quotes, which ssh takes, and control
// characters are not understood on purpose: they would only hide the key.
func splitOption(opt string) (key, value string, ok bool) {
	opt = strings.Trim(opt, " \t")
	end := 0
	for end < len(opt) && isAlnum(opt[end]) {
		end++
	}
	key, rest := opt[:end], opt[end:]
	if key == "" || rest == "" || strings.ContainsFunc(rest, isControl) {
		return "", "", false
	}
	value = strings.TrimLeft(rest, " \t")
	if value == rest && rest[0] != '=' {
		return "", "", false
	}
	if after, found := strings.CutPrefix(value, "="); found {
		value = strings.TrimLeft(after, " \t")
	}
	return key, value, true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
