package sshcmd

import (
	"fmt"
	"net/netip"
	"strings"
)

// PlaceholderHost is the host name in warm invocations, which ssh never
// looks up: the name is reserved by RFC 2606, and the control socket alone
// decides where a warm session goes.
const PlaceholderHost = "bivy.invalid"

// Host is a destination as the user typed it: an alias of the ssh
// configuration, a name or address, user@host, or ssh://[user@]host[:port].
// Use ParseHost to make one from input.
type Host string

// HostError says why a string cannot be the destination of ssh.
type HostError struct {
	Host   string
	Reason string
}

func (e *HostError) Error() string {
	return fmt.Sprintf("host %q: %s", e.Host, e.Reason)
}

// Bytes that newer ssh (9.6) refuses in a host and in a user name because
// they could reach a shell through %h and %r; refused here for every version.
const (
	badInHost = "'`\"$\\;&<>|(){}"
	badInUser = "'`\";&<>|(){}"
)

// ParseHost checks a destination before any ssh sees it. It refuses, with
// *HostError, what is empty, could be read as an option, or holds whitespace,
// control characters or shell metacharacters; it does not ask whether the
// host exists.
func ParseHost(s string) (Host, error) {
	user, name, reason := splitHost(s)
	switch {
	case reason != "":
	case s == "":
		reason = "it is empty"
	case strings.HasPrefix(s, "-"):
		reason = "it starts with a dash, which ssh would read as an option"
	case name == "":
		reason = "it names no host"
	case strings.HasPrefix(name, "-"):
		reason = "the host name starts with a dash, which a program behind ssh could read as an option"
	case strings.HasPrefix(user, "-"):
		reason = "the user name starts with a dash, which a program behind ssh could read as an option"
	case strings.ContainsAny(name, badInHost), strings.ContainsAny(user, badInUser), strings.HasSuffix(user, `\`):
		reason = "it holds a character that a shell would interpret"
	default:
		return Host(s), nil
	}
	return "", &HostError{Host: s, Reason: reason}
}

// splitHost returns the user and the host of a destination, without port and
// brackets, and a reason if a byte of it is bad anywhere.
func splitHost(s string) (user, name, reason string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ' || '\t' <= c && c <= '\r':
			return "", "", "it holds whitespace"
		case c < ' ' || c == 0x7f:
			return "", "", "it holds a control character"
		}
	}
	if rest, ok := strings.CutPrefix(s, "ssh://"); ok {
		return splitURI(rest)
	}
	name = s
	// ssh splits at the last @, since user names may hold one.
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		user, name = s[:at], s[at+1:]
		if user == "" {
			return "", "", "the user name before @ is empty"
		}
	}
	return user, unbracket(name), ""
}

func unbracket(name string) string {
	if inner, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inner, "]") {
		return inner[:len(inner)-1]
	}
	return name
}

// SCP returns the destination as scp wants it before the colon of a remote
// operand: an IPv6 literal in brackets, also behind user@; an ssh:// form as
// user@host, since a port has no place there (a warm copy needs none);
// anything else as it is.
func (h Host) SCP() string {
	user, name, reason := splitHost(string(h))
	if reason != "" {
		return string(h)
	}
	if addr, err := netip.ParseAddr(name); err == nil && addr.Is6() {
		name = "[" + name + "]"
	} else if !strings.HasPrefix(string(h), "ssh://") {
		return string(h)
	}
	if user != "" {
		return user + "@" + name
	}
	return name
}
