package sandbox

import (
	"os"
	"os/user"
	"strings"
)

// maxClientEnv bounds the variables that a client may set in one session, as
// sshd does (session.c).
const maxClientEnv = 128

// environment returns the base environment of sessions. PATH is our own, so
// that git and the like are found wherever this machine keeps them.
func (c Config) environment() []string {
	base := c.Env
	if base == nil {
		name := userName()
		base = []string{
			"PATH=" + searchPath(), "USER=" + name, "LOGNAME=" + name,
			"SHELL=" + c.Shell, "LANG=C.UTF-8",
		}
	}
	return append(base[:len(base):len(base)], "HOME="+c.Home)
}

func searchPath() string {
	if path := os.Getenv("PATH"); path != "" {
		return path
	}
	return "/usr/local/bin:/usr/bin:/bin"
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	// A container's user may have no name at all.
	return "nobody"
}

// accepts says whether a client may set the variable: the locale only, as in
// the AcceptEnv of the common distributions.
func accepts(name, value string) bool {
	if strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
		return false
	}
	return name == "LANG" || strings.HasPrefix(name, "LC_")
}
