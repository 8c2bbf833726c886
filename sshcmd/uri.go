package sshcmd

import (
	"net/url"
	"strconv"
	"strings"
)

// splitURI takes apart what follows ssh:// : [user[;params]@]host[:port][/].
// The rules are those of ssh's parse_ssh_uri: the user name is
// percent-decoded, a path is refused, the port is empty or 1 to 65535.
func splitURI(s string) (user, name, reason string) {
	if userinfo, rest, ok := strings.Cut(s, "@"); ok {
		userinfo, _, _ = strings.Cut(userinfo, ";")
		decoded, err := url.PathUnescape(userinfo)
		if err != nil || decoded == "" || strings.ContainsFunc(decoded, isSpaceOrControl) {
			return "", "", "its user name is not valid in an ssh:// form"
		}
		if strings.Contains(rest, "@") {
			return "", "", "an @ in the user name of an ssh:// form is written %40"
		}
		user, s = decoded, rest
	}
	s = strings.TrimSuffix(s, "/")
	if strings.Contains(s, "/") {
		return "", "", "an ssh:// form has no path"
	}
	var port string
	if end := strings.IndexByte(s, ']'); strings.HasPrefix(s, "[") && end > 0 {
		name = s[1:end]
		switch rest := s[end+1:]; {
		case rest == "":
		case rest[0] == ':':
			port = rest[1:]
		default:
			return "", "", "nothing but a port may follow the brackets"
		}
	} else {
		name, port, _ = strings.Cut(s, ":")
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return "", "", "its port is not a number from 1 to 65535"
	}
	return user, name, ""
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f }
