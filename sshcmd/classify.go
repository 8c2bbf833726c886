package sshcmd

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Classify tells from ssh's own words why it failed. log is the file of -E,
// or the stderr of a master, where a ProxyCommand and jump hosts mix in; it
// should come from a run with LC_ALL=C, since the reasons of the system are
// localised. It never returns nil: no words give ClassNone, and words that
// are in no row ClassUnknown.
//
// The last line that has a meaning decides, since ssh ends on the reason.
// The exception is a connection that ended during the exchange of versions
// behind a proxy (ssh shows "UNKNOWN port 65535"): there the reason is what
// was said before, by a jump host's ssh or by the proxy in its own words.
func Classify(host string, exitCode int, log string) *Error {
	class, line := decide(meaningful(log))
	return &Error{Class: class, Host: host, ExitCode: exitCode, Log: log, Line: safeLine(line)}
}

// ClassifySession is Classify for the log of a Session, a Copy or git over a
// master. These never connect: their ProxyCommand is `false`. A connection
// that "closed" during the exchange of versions thus means that ssh found no
// master, which it does not mention when the socket is not there at all, and
// what Classify would take for a proxy or a busy server.
func ClassifySession(host string, exitCode int, log string) *Error {
	lines := meaningful(log)
	closed := -1
	for i, line := range lines {
		if isKex(line) || isProxyEnd(line) {
			closed = i
		}
	}
	if closed < 0 {
		return Classify(host, exitCode, log)
	}
	// What follows is only scp's or git's echo of that end.
	class, line := decide(withoutKex(lines[:closed]))
	if class == ClassNone || class == ClassUnknown {
		class, line = ClassMux, "no master at the control socket ("+lines[closed]+")"
	}
	return &Error{Class: class, Host: host, ExitCode: exitCode, Log: log, Line: safeLine(line)}
}

func withoutKex(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return isKex(line) || isProxyEnd(line) })
}

// meaningful splits a log into lines without those that never explain
// anything. A carriage return ends a line, too: proxies draw progress.
func meaningful(log string) []string {
	var lines []string
	for _, line := range strings.FieldsFunc(log, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if strings.TrimSpace(line) != "" && !isNoise(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// decide finds the class of a failure and the line it comes from.
func decide(lines []string) (Class, string) {
	if rest, end, ok := peelProxyEnd(lines); ok {
		switch class, line := decide(rest); class {
		case ClassNone:
			return ClassProxy, end
		case ClassUnknown:
			return ClassProxy, line
		default:
			return class, line
		}
	}
	fallback, said := ClassNone, ""
	for i := len(lines) - 1; i >= 0; i-- {
		class, strength := match(lines[i])
		switch {
		case class == ClassHostKeyUnknown:
			return hostKey(lines[:i+1])
		case isKex(lines[i]), isClosedBy(lines[i]):
			return closedEarly(lines[:i+1])
		case strings.HasPrefix(lines[i], "channel "):
			if class := stdioForward(lines, i); class != ClassNone {
				return class, lines[i]
			}
		case strength == strong:
			return class, lines[i]
		case strength == weak && (fallback == ClassNone || fallback == ClassUnknown):
			fallback, said = class, lines[i]
		case strength == none && fallback == ClassNone:
			fallback, said = ClassUnknown, lines[i]
		}
	}
	return fallback, said
}

// peelProxyEnd removes ssh's last words about a proxy that went away, the
// last line with port 65535 and the kex line before it, unless a line after
// them decides. A dying proxy's words may stand between the two (run).
func peelProxyEnd(lines []string) (rest []string, end string, ok bool) {
	at := -1
	for i := len(lines) - 1; i >= 0 && at < 0; i-- {
		if isProxyEnd(lines[i]) {
			at = i
		} else if _, strength := match(lines[i]); strength == strong {
			return nil, "", false
		}
	}
	if at < 0 {
		return nil, "", false
	}
	rest = slices.Delete(slices.Clone(lines), at, at+1)
	for i := at - 1; i >= 0; i-- {
		if isKex(rest[i]) {
			rest = slices.Delete(rest, i, i+1)
			break
		}
	}
	return rest, lines[at], true
}

// closedEarly judges a log whose last line with a meaning says that the
// connection ended before the login. Behind a mux client's complaint that is
// only our ProxyCommand=false.
func closedEarly(lines []string) (Class, string) {
	last := len(lines) - 1
	kex := -1
	if isKex(lines[last]) {
		kex = last
	} else if last > 0 && isKex(lines[last-1]) {
		kex = last - 1
	}
	if kex < 0 {
		if strings.HasPrefix(lines[last], "Connection reset by ") {
			return ClassConnectionLost, lines[last]
		}
		return ClassThrottled, lines[last]
	}
	for i := kex - 1; i >= 0; i-- {
		if class, strength := match(lines[i]); strength == strong {
			if class == ClassMux || class == ClassMuxRefused || class == ClassConnectionLost && isMuxLine(lines[i]) {
				return class, lines[i]
			}
			break
		}
	}
	return ClassThrottled, lines[kex]
}

// hostKey judges a log that ends in "Host key verification failed.": the
// block before it tells which kind, and where the old key is.
func hostKey(lines []string) (Class, string) {
	last := lines[len(lines)-1]
	class, line := ClassHostKeyUnknown, last
	for _, l := range lines[:len(lines)-1] {
		switch {
		case strings.HasPrefix(l, "Offending ") && strings.Contains(l, " in "):
			return ClassHostKeyChanged, l
		case strings.HasSuffix(l, "and you have requested strict checking.") && strings.HasPrefix(l, "No "):
			line = l
		case strings.HasSuffix(l, "and you have requested strict checking."), strings.Contains(l, " is marked as revoked."):
			// "has changed and …", "was revoked and …"
			class, line = ClassHostKeyChanged, l
		}
	}
	return class, line
}

// stdioForward judges "channel 0: open failed: …", which is a jump host's
// reason when "stdio forwarding failed" follows, and else only a note of a
// master about a session that the host refused.
func stdioForward(lines []string, i int) Class {
	_, reason, ok := strings.Cut(lines[i], ": open failed: ")
	if !ok || i+1 >= len(lines) || lines[i+1] != "stdio forwarding failed" {
		return ClassNone
	}
	reason, ok = strings.CutPrefix(reason, "connect failed: ")
	switch {
	case !ok, reason == "open failed":
		return ClassProxy
	case strings.Contains(reason, "not known") || strings.Contains(reason, "resolution"):
		return ClassResolve
	default:
		return connectClass(reason)
	}
}

// connectClass reads the system's reason for a failed connection.
func connectClass(reason string) Class {
	switch {
	case strings.HasSuffix(reason, "refused"):
		return ClassRefused
	case strings.HasSuffix(reason, "timed out"):
		return ClassTimeout
	default:
		return ClassUnreachable
	}
}

// maxLine bounds a line in a message, in bytes.
const maxLine = 500

// safeLine makes a line fit for a terminal: what is not printable is shown as
// an escape, and an endless line is cut.
func safeLine(line string) string {
	var out strings.Builder
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		switch {
		case out.Len() > maxLine:
			return out.String() + "…"
		case r == '\t':
			out.WriteByte(' ')
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, line[i])
		case !unicode.IsPrint(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
		i += size
	}
	return strings.TrimSpace(out.String())
}
