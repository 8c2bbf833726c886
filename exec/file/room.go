package file

import "bivy/exec/frame"

// Shell is the shell text that all operations on files build on, for a room
// that has operations of its own: paths, what is known of a file, temporary
// files and who has left them, the rename. It defines functions and runs
// nothing. Every one of them begins with bivy_, every variable with F_.
func Shell() string {
	text := ""
	for _, script := range []string{libScript, linesScript, hashScript, lockScript, parentScript, writeScript} {
		text += frame.Strip(script)
	}
	return text
}

// Trouble is the error for facts with which bivy_fail ended the operation op
// on a host. Words are the last that the host's tools said.
func Trouble(host, op, path string, known map[string]string, words string) error {
	return (&FS{Runner: named{host: host}}).trouble(op, path, known, Ending{Words: words})
}

// ParseInfo reads one line of bivy_lines. What it does not tell is a path.
func ParseInfo(line string) (Info, bool) { return parseInfo(line) }

// named is a host that nothing is asked of.
type named struct {
	Runner
	host string
}

func (n named) Host() string { return n.host }
