// Package frame says how shell text travels to a host: the command line that
// ssh carries is a constant, and the text itself comes on stdin, behind a line
// with its length. It also holds the shell functions that more than one such
// text needs (tree.sh).
package frame

import (
	_ "embed"
	"strconv"
	"strings"
)

// Boot is the remote command: words that every login shell passes on, to be
// run by /bin/sh (sshcmd.WrapSh). It reads one line with the length of the
// text and then exactly that many bytes, so that what follows on stdin is the
// text's own. sh's read takes a byte at a time; dd with fullblock takes the
// rest at once, and where dd lacks it (it then fails before it reads), a byte
// at a time.
const Boot = `read -r n && ` + bootText

const bootText = `eval "$(dd iflag=fullblock bs=$n count=1 2>/dev/null || dd bs=1 count=$n 2>/dev/null)"`

// BootAlone is Boot for a text behind which nothing is sent until it has said
// something. dash and busybox ash then read it by themselves, as it comes and
// without another process, which saves a third of what a short command costs the
// host. They read whole blocks, so what comes too early would be lost. They are
// told by having no version to tell, and on Linux only: other shells wait for
// the end of a file of commands before they run the first. A socket as stdin
// cannot be opened again, nor can a pipe whose owner we are not any more.
//
// A length with an x behind it says that something comes right behind the text,
// which is then read as Boot does.
const BootAlone = `read -r n && if [ "${n%x}" = "$n" ] && [ -p /dev/stdin ] && [ -r /dev/stdin ] && [ -r /proc/self/stat ] && [ -z "$BASH_VERSION$KSH_VERSION$ZSH_VERSION$YASH_VERSION$POSH_VERSION" ]; then . /dev/stdin; else n=${n%x} && ` + bootText + `; fi`

// BootSpare is BootAlone behind one line, which it says again: who gets a session
// that was opened long ago wants to know that the host is there before anything
// is sent that could run.
const BootSpare = `read -r n && echo "$n" && ` + BootAlone

//go:embed tree.sh
var tree string

// Tree is shell text that finds and ends what a command has started; tree.sh
// says what it must be told.
func Tree() string { return Strip(tree) }

// Pack builds what is sent first on stdin: a length, a newline, and so many
// bytes of shell text. The text stands between braces, so that one that was
// cut is a syntax error and does nothing, and ends with exit, so that no shell
// takes what follows for more of it.
func Pack(text string) []byte { return pack(text, "") }

// PackBefore is Pack for a text behind which more comes at once, for BootAlone.
func PackBefore(text string) []byte { return pack(text, "x") }

func pack(text, mark string) []byte {
	text = "{\n" + strings.TrimSuffix(text, "\n") + "\nexit\n}\n"
	return []byte(strconv.Itoa(len(text)) + mark + "\n" + text)
}

// Strip drops the comment lines and the indentation of a shell script. A here
// document in it must have neither.
func Strip(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		trimmed := strings.TrimLeft(line, " \t")
		if trimmed == "\n" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		b.WriteString(trimmed)
	}
	return b.String()
}
