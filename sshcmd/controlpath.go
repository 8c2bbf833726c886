package sshcmd

import (
	"fmt"
	"strings"
)

// ControlPathError says why a path cannot be the control socket of a master.
type ControlPathError struct {
	Path   string
	Reason string
}

func (e *ControlPathError) Error() string {
	return fmt.Sprintf("control socket %q: %s; set BIVY_HOME to a short plain path", e.Path, e.Reason)
}

// ControlPathMax is the longest usable control path on that system (GOOS) in
// bytes. ssh first binds the path with 17 more bytes, and the whole must fit
// into sun_path: 108 bytes with its NUL on Linux, 104 on the BSDs and macOS.
func ControlPathMax(goos string) int {
	if goos == "linux" {
		return 90
	}
	return 86
}

// ControlPathOK checks a control path before ssh is started with it. It
// refuses, with *ControlPathError, a path that is relative (or "none"), is
// too long for the system (GOOS), or holds what has no escape: ${, which ssh
// expands since 8.4, control characters, double quotes and backslashes.
func ControlPathOK(path, goos string) error {
	limit := ControlPathMax(goos)
	reason := ""
	switch {
	case !strings.HasPrefix(path, "/"):
		reason = "it is not an absolute path"
	case len(path) > limit:
		reason = fmt.Sprintf("it has %d bytes, and ssh can use %d here", len(path), limit)
	case strings.Contains(path, "${"):
		reason = "ssh would expand ${"
	case strings.ContainsAny(path, "\"\\") || strings.ContainsFunc(path, isControl) || strings.Contains(path, "\t"):
		reason = "it holds a quote, a backslash or a control character"
	default:
		return nil
	}
	return &ControlPathError{Path: path, Reason: reason}
}
