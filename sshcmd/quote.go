package sshcmd

import (
	"fmt"
	"strings"

	"github.com/google/shlex"
)

// Quote returns s as one word for a POSIX shell: bare where every byte is a
// letter, a digit or one of _@%+=:,./- (but no = in front), else in single
// quotes; the empty string is an empty pair of them. A NUL byte, which no
// argument can hold, is kept; the system refuses it when the process starts.
//
// A word that is bare may still be an assignment when it stands first
// (A=b) or an option (-x); Quote is about word boundaries only.
func Quote(s string) string {
	if isBare(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// QuoteAll quotes each argument and joins them with single spaces.
func QuoteAll(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = Quote(arg)
	}
	return strings.Join(quoted, " ")
}

func isBare(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("_@%+=:,./-", c) >= 0:
			// zsh expands =cmd at the start of a word to the path of cmd.
			if c == '=' && i == 0 {
				return false
			}
		default:
			return false
		}
	}
	return s != ""
}

// EscapePercent doubles each % for the ssh options that expand tokens, such
// as ControlPath (ssh_config(5), TOKENS). It does not help against ${NAME},
// which some options expand since OpenSSH 8.4 and which has no escape.
func EscapePercent(s string) string {
	return strings.ReplaceAll(s, "%", "%%")
}

// ScriptError says that a script or its name cannot be passed through every
// login shell. Scripts of any kind travel on stdin instead.
type ScriptError struct {
	// What is "script" or "name".
	What string
	// Offset is the position of the first bad byte; Byte is that byte. An
	// empty name has offset 0 and byte 0.
	Offset int
	Byte   byte
}

func (e *ScriptError) Error() string {
	if e.What == "name" && e.Byte == 0 {
		return "wrap for /bin/sh: the name is empty"
	}
	return fmt.Sprintf("wrap for /bin/sh: byte %q at %d of the %s is not safe in every login shell; send the script on stdin",
		e.Byte, e.Offset, e.What)
}

// WrapSh returns the remote command `exec /bin/sh -c 'SCRIPT' NAME`, which
// sh, bash, zsh, fish, tcsh and nu as login shells all pass on unchanged.
// That holds only for printable ASCII without ' (no common escape), ! (tcsh
// expands history inside single quotes), \ (fish takes \\ and \' as escapes
// there) and newlines (tcsh: "Unmatched '"); anything else is a *ScriptError.
// NAME becomes the script's $0 and must be a plain word.
func WrapSh(script, name string) (string, error) {
	for i := range len(script) {
		c := script[i]
		if c < ' ' || c > '~' || c == '\'' || c == '!' || c == '\\' {
			return "", &ScriptError{What: "script", Offset: i, Byte: c}
		}
	}
	if name == "" {
		return "", &ScriptError{What: "name"}
	}
	for i := range len(name) {
		// A percent sign starts a job name in csh, and = a path in zsh.
		if c := name[i]; !isBare(name[i:i+1]) || c == '%' || c == '=' {
			return "", &ScriptError{What: "name", Offset: i, Byte: c}
		}
	}
	return "exec /bin/sh -c '" + script + "' " + name, nil
}

// Words splits the value of BIVY_SSH or BIVY_SCP, which may be several words
// (`kitten ssh`), as a shell would, without any expansion. A word that starts
// with # begins a comment. No word at all is an error.
func Words(s string) ([]string, error) {
	words, err := shlex.Split(s)
	if err != nil {
		return nil, fmt.Errorf("split %q into words: %w", s, err)
	}
	if len(words) == 0 || words[0] == "" {
		return nil, fmt.Errorf("split %q into words: it names no program", s)
	}
	return words, nil
}
