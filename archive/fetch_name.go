package archive

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxRef bounds a ref's name, and maxComponent each part of it, in bytes: a
	// ref is a file, and git appends ".lock" to its name.
	maxRef       = 1000
	maxComponent = 200
)

// validRef reports whether git-check-ref-format(1) takes a full name, and we
// do: nothing that is not UTF-8, which no record could hold, or longer than a
// file's name may be.
func validRef(name string) bool {
	switch {
	case len(name) > maxRef, !utf8.ValidString(name), !strings.HasPrefix(name, "refs/"), strings.HasSuffix(name, "."),
		strings.Contains(name, ".."), strings.Contains(name, "@{"), strings.ContainsAny(name, " ~^:?*[\\"),
		strings.ContainsFunc(name, unicode.IsControl):
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") || len(part) > maxComponent {
			return false
		}
	}
	return true
}

// parents yields the directories of a name, the longest first.
func parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name, '/') {
			if name = name[:i]; !yield(name) {
				return
			}
		}
	}
}

// keptDir is where refs go that were rewritten on the host, below a
// workspace's prefix.
const keptDir = "+was/"

// keptName is the name, below the prefix, that a ref's old value is kept under:
// it never is a directory of another, whatever the branches are called.
func keptName(name, id string) string {
	flat := strings.ReplaceAll(name, "/", "+")
	// A long name would not fit a file's; the id tells it well enough.
	if len(flat) > maxComponent-shortID-1 {
		flat = strings.ToValidUTF8(flat[:maxComponent-shortID-1], "")
	}
	return keptDir + flat + "+" + id[:shortID]
}

// shortID is the number of digits of an id in a ref's name.
const shortID = 12
