package sshcmd

import "strings"

// Askpass reports whether ssh, with this environment (K=V), would ask by the
// program that the user has set as SSH_ASKPASS, where it has a terminal or has
// none (readpass.c, OpenSSH 9.2). Without a terminal ssh wants DISPLAY set, to
// anything; SSH_ASKPASS_REQUIRE (8.4) can be force, which wants nothing; prefer,
// which goes before the terminal and wants DISPLAY still; and never.
func Askpass(env []string, terminal bool) bool {
	var program, display, require string
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "SSH_ASKPASS":
			program = value
		case "DISPLAY":
			display = value
		case "SSH_ASKPASS_REQUIRE":
			require = strings.ToLower(value)
		}
	}
	switch {
	case program == "", require == "never":
		return false
	case require == "force":
		return true
	case terminal && require != "prefer":
		return false
	}
	return display != ""
}
