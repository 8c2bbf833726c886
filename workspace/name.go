package workspace

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Ref is the name of a workspace as a person gives it. Project is empty where
// only NAME was given.
type Ref struct{ Project, Name string }

// String returns PROJECT/NAME or NAME.
func (r Ref) String() string {
	if r.Project == "" {
		return r.Name
	}
	return r.Project + "/" + r.Name
}

func (r Ref) compare(o Ref) int {
	return cmp.Or(strings.Compare(r.Project, o.Project), strings.Compare(r.Name, o.Name))
}

const (
	// maxName is the length of a workspace's name in bytes.
	maxName = 63
	// maxProject leaves room for the hex digits behind a directory's name.
	maxProject = 2*maxName + 2
)

// NameError says that a text cannot name a workspace.
type NameError struct {
	// Text is what was given.
	Text string
	// Reason says what is wrong with it, as the rest of a sentence that begins
	// with the text.
	Reason string
}

func (e *NameError) Error() string {
	return fmt.Sprintf("%q %s; a workspace is [PROJECT/]NAME, where NAME is up to %d lower-case letters, digits, "+
		`".", "_" and "-", and begins with a letter or digit`, e.Text, e.Reason, maxName)
}

// ParseRef reads [PROJECT/]NAME. The error is a *NameError.
func ParseRef(s string) (Ref, error) {
	var ref Ref
	reason := ""
	switch strings.Count(s, "/") {
	case 0:
		ref.Name = s
		reason = nameReason(s)
	case 1:
		ref.Project, ref.Name, _ = strings.Cut(s, "/")
		if reason = projectReason(ref.Project); reason == "" {
			reason = nameReason(ref.Name)
		}
	default:
		reason = `has more than one "/"`
	}
	if reason != "" {
		return Ref{}, &NameError{Text: s, Reason: reason}
	}
	return ref, nil
}

func nameReason(name string) string {
	switch {
	case name == "":
		return "has an empty name"
	case strings.HasPrefix(name, "-"):
		return "has a name that begins with a dash, as options do"
	case strings.Contains(name, ".."):
		return `has ".." in its name`
	case strings.ContainsAny(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
		return "has upper-case letters in its name"
	case len(name) > maxName:
		return fmt.Sprintf("has a name of %d bytes", len(name))
	case !plain(name):
		return "has characters in its name that are not allowed"
	case strings.HasSuffix(name, "."), strings.HasSuffix(name, ".lock"):
		// git-check-ref-format(1): the name is part of refs/bivy/NAME/….
		return `has a name that ends in "." or ".lock", which git refuses`
	}
	return ""
}

func projectReason(project string) string {
	switch {
	case project == "":
		return `has nothing before the "/"`
	case strings.HasPrefix(project, "-"):
		return "has a project that begins with a dash, as options do"
	case strings.Contains(project, ".."):
		return `has ".." in its project`
	case len(project) > maxProject:
		return fmt.Sprintf("has a project of %d bytes", len(project))
	case !plain(project):
		return `has a project with other characters than letters, digits, ".", "_" and "-"`
	}
	return ""
}

// plain reports whether a name has only letters, digits, ".", "_" and "-" of
// ASCII, and begins with a letter or digit.
func plain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return name != ""
}

func checkName(name string) error {
	if reason := nameReason(name); reason != "" {
		return &NameError{Text: name, Reason: reason}
	}
	return nil
}

func checkProject(project string) error {
	if reason := projectReason(project); reason != "" {
		return &NameError{Text: project, Reason: reason}
	}
	return nil
}

// checkRef checks a full name before it becomes part of a path.
func checkRef(ref Ref) error {
	_, err := ParseRef(ref.Project + "/" + ref.Name)
	return err
}

// cleanProject makes a project's name of a directory's: letters, digits, ".",
// "_" and "-" stay.
func cleanProject(base string) string {
	clean := strings.Map(func(c rune) rune {
		if c < 0x80 && plain("a"+string(c)) {
			return c
		}
		return '-'
	}, base)
	for strings.Contains(clean, "..") {
		clean = strings.ReplaceAll(clean, "..", ".")
	}
	clean = strings.TrimLeft(clean[:min(len(clean), maxName)], "._-")
	clean = strings.TrimRight(clean, ".")
	if clean == "" {
		return "project"
	}
	return clean
}

// MakeName makes up a name, such as quiet-heron-3f, that is not taken.
func MakeName(taken func(string) bool) string {
	for tries := 0; ; tries++ {
		// More and more digits: this ends, whatever is taken.
		digits := make([]byte, 1+min(tries/16, 16))
		_, _ = rand.Read(digits) // never fails since Go 1.24
		name := pick(strings.Fields(adjectives)) + "-" + pick(strings.Fields(nouns)) + "-" + hex.EncodeToString(digits)
		if !taken(name) {
			return name
		}
	}
}

func pick(words []string) string {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(words))))
	if err != nil {
		return words[0] // the digits alone then tell names apart
	}
	return words[n.Int64()]
}

const adjectives = `
	amber bold brave breezy bright brisk calm clear clever cool cosy crisp dewy
	early fair fleet fresh gentle glad golden grand green hardy hazy keen kind
	late light lively lone lucky mellow merry mild misty mossy neat nimble north
	old open patient plain proud quick quiet ready rosy rusty sandy sharp shy
	silent silver snowy soft south spare steady still sunny swift tidy warm wild`

const nouns = `
	alder aspen badger beaver birch bison brook canyon cedar cliff cloud condor
	crane creek curlew delta dune eagle elk ember falcon fern finch fjord forest
	fox glade grove hare hawk hazel heath heron hill ibex island juniper kestrel
	lake larch lark linden lynx maple marmot marsh meadow moose moss oak osprey
	otter owl peak pine plover pond raven reef ridge river robin rowan spruce
	stone summit swallow thicket thrush tide trail trout valley willow wren`

// nearest returns up to three existing names that someone who typed ref may
// have meant, the best first.
func nearest(ref Ref, all []Ref) []Ref {
	type candidate struct {
		ref      Ref
		distance int
	}
	var found []candidate
	for _, a := range all {
		d := distance(ref.Name, a.Name)
		if d <= max(1, len(ref.Name)/3) || len(ref.Name) > 2 && strings.HasPrefix(a.Name, ref.Name) {
			found = append(found, candidate{a, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var refs []Ref
	for _, c := range found[:min(3, len(found))] {
		refs = append(refs, c.ref)
	}
	return refs
}

// distance counts the bytes to insert, remove or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
