package file

import (
	"fmt"
	"strings"

	"bivy/internal/termsafe"
)

// Kind says why an operation on a file could not be done.
type Kind string

// The kinds of Error.
const (
	NotFound Kind = "not_found"
	Exists   Kind = "exists"
	Denied   Kind = "denied"
	IsDir    Kind = "is_dir"
	NotDir   Kind = "not_dir"
	// Special is something that is neither a file nor a directory.
	Special Kind = "special"
	NoSpace Kind = "no_space"
	// Loop is a symbolic link that leads to itself.
	Loop Kind = "loop"
	// Outside is a path that leaves FS.Root where that is not allowed.
	Outside Kind = "outside"
	// Protected is what is never removed: the root of all, the home directory,
	// FS.Root, and what holds one of them.
	Protected Kind = "protected"
	// Busy is a lock that another write held for too long.
	Busy Kind = "busy"
	// NoUser is a ~USER whom the host does not know.
	NoUser Kind = "no_user"
	// Binary is a file that is no text, where one is needed.
	Binary Kind = "binary"
	// Changed is a file that was changed time and again while it was read.
	Changed Kind = "changed"
	// BadPattern is a pattern that nobody can search for.
	BadPattern Kind = "bad_pattern"
	// Invalid is a path or an option that cannot be meant.
	Invalid Kind = "invalid"
	// Incomplete is content that did not arrive whole. Nothing was changed.
	Incomplete Kind = "incomplete"
	// Failed is anything else; Line tells.
	Failed Kind = "failed"
)

// Error says what could not be done with a file on a host. Nothing was changed,
// unless Op is "rm" or "mv" and the Kind Failed or Denied.
type Error struct {
	Host, Op string
	// Path is what it was about, as it was given or as the host has it.
	Path string
	Kind Kind
	// Line is the last thing that a tool said there, safe for a terminal.
	Line string
}

var kindWords = map[Kind]string{
	NotFound:   "it does not exist",
	Exists:     "it exists already",
	Denied:     "permission denied",
	IsDir:      "it is a directory",
	NotDir:     "it is not a directory",
	Special:    "it is neither a file nor a directory",
	NoSpace:    "there is no space left",
	Loop:       "its symbolic links go round in a circle",
	Outside:    "it lies outside of the workspace",
	Protected:  "it is, or holds, the home directory or the workspace itself",
	Busy:       "another write holds its lock",
	NoUser:     "there is no such user",
	Binary:     "it is not a text file",
	Changed:    "it keeps changing while it is read; try again",
	BadPattern: "the pattern is not one",
	Invalid:    "that cannot be",
	Incomplete: "its content did not arrive whole; try again",
	Failed:     "it did not work",
}

func (e *Error) Error() string {
	words := kindWords[e.Kind]
	if words == "" {
		words = string(e.Kind)
	}
	op := opWords(e.Op)
	if e.Op == "mv" && e.Kind == Exists {
		op = "rename anything to" // Path is the new name
	}
	msg := fmt.Sprintf("cannot %s %s on %s: %s", op, show(e.Path), e.Host, words)
	if e.Line != "" {
		msg += " (" + e.Line + ")"
	}
	return msg
}

func opWords(op string) string {
	switch op {
	case "rm":
		return "remove"
	case "mv":
		return "rename"
	case "mkdir":
		return "make the directory"
	case "stat":
		return "look at"
	case "ls":
		return "list"
	case "find", "grep":
		return "search"
	default:
		return op
	}
}

// PreconditionError says that a file is not what the caller said it would be.
// Nothing was changed.
type PreconditionError struct {
	Host, Path string
	// Want is the SHA-256 that was to match; Have is the file's, empty where
	// there is no file.
	Want, Have string
}

func (e *PreconditionError) Error() string {
	if e.Have == "" {
		return fmt.Sprintf("%s on %s does not exist any more; nothing was written", show(e.Path), e.Host)
	}
	return fmt.Sprintf("%s on %s has changed: its SHA-256 is %s now; nothing was written", show(e.Path), e.Host, e.Have)
}

// HostLacksError says that a host has no tool for what was asked.
type HostLacksError struct {
	Host, Op string
	// Tool is what would do, in words.
	Tool string
}

func (e *HostLacksError) Error() string {
	return fmt.Sprintf("%s cannot do this %s: it has no %s", e.Host, e.Op, e.Tool)
}

// TooLargeError says that something exceeds a limit of ours. Nothing was
// changed.
type TooLargeError struct {
	Host, Op, Path string
	// Size is in bytes, or -1 where it is not known; Limit is the most that
	// is taken.
	Size, Limit int64
}

func (e *TooLargeError) Error() string {
	size := "more"
	if e.Size >= 0 {
		size = itoa(e.Size)
	}
	return fmt.Sprintf("cannot %s %s on %s: at most %d bytes are taken, and these are %s", opWords(e.Op), show(e.Path), e.Host, e.Limit, size)
}

// ProtocolError says that a host's answer made no sense. What became of an
// operation that changes something is then not known.
type ProtocolError struct {
	Host, Op string
	Why      string
	// Line is the last thing that was said there, safe for a terminal.
	Line string
}

func (e *ProtocolError) Error() string {
	msg := fmt.Sprintf("%s answered to %s in a way that makes no sense: %s", e.Host, e.Op, e.Why)
	if e.Line != "" {
		msg += "; the last words there were: " + e.Line
	}
	return msg
}

// trouble makes an error of what the host reports.
func (f *FS) trouble(op, path string, known facts, end Ending) error {
	host := f.Runner.Host()
	if at := known["at"]; at != "" {
		path = at
	}
	kind := Kind(known["trouble"])
	switch kind {
	case "lacks_readlink":
		return &HostLacksError{Host: host, Op: op, Tool: "readlink, which tells where a symbolic link leads"}
	case "lacks_sha256":
		return &HostLacksError{Host: host, Op: op, Tool: "program for SHA-256 (sha256sum, shasum or openssl)"}
	case "changed_since":
		have := known["have"]
		if have != "" && !isSHA256(have) {
			return f.odd(op, "its checksum is none")
		}
		return &PreconditionError{Host: host, Path: path, Want: known["want"], Have: have}
	case "gone":
		kind = NotFound
	case "into_itself":
		return &Error{Host: host, Op: op, Path: path, Kind: Invalid, Line: "it would lie in itself"}
	case "onto_itself":
		return &Error{Host: host, Op: op, Path: path, Kind: Invalid, Line: "both names are of the same"}
	}
	e := &Error{Host: host, Op: op, Path: path, Kind: kind}
	if _, ok := kindWords[kind]; !ok {
		e.Kind = Failed
	}
	if e.Kind == Failed || e.Kind == Denied || e.Kind == Incomplete {
		e.Line = telling(end.Words)
		switch {
		case full(e.Line):
			e.Kind, e.Line = NoSpace, ""
		case e.Kind == Failed && forbidden(e.Line):
			e.Kind = Denied // which a look before does not see in every shell
		}
	}
	return e
}

// full reports whether a line says that a disk or a quota is exhausted. It is
// strerror's in the C locale, which glibc, musl and the BSDs share but for one
// letter.
func full(line string) bool {
	return strings.Contains(line, "No space left on device") || strings.Contains(line, "uota exceeded") ||
		strings.Contains(line, "File too large")
}

// forbidden reports whether a line says that something may not be done, in the
// words of strerror.
func forbidden(line string) bool {
	return strings.Contains(line, "Permission denied") || strings.Contains(line, "Operation not permitted") ||
		strings.Contains(line, "Read-only file system")
}

// telling picks the line of a tool's words that tells most: one about space,
// else the last.
func telling(words string) string {
	for line := range strings.Lines(words) {
		if full(line) {
			return termsafe.Line(line, 300)
		}
	}
	return lastLine(words)
}

func lastLine(words string) string { return termsafe.Line(termsafe.LastLine(words), 300) }

// show makes a path fit for a message.
func show(path string) string {
	if path == "" {
		return "."
	}
	return termsafe.Line(path, 300)
}

func isSHA256(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}
