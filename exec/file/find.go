package file

import (
	"context"
	_ "embed"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"bivy/exec/frame"
)

var (
	//go:embed find.sh
	findScript string
	//go:embed git.sh
	gitScript string
)

const (
	// maxFound bounds the names that a host may send, in bytes.
	maxFound = 16 << 20
	// maxPatterns is how many patterns the braces of a glob may stand for: it may
	// take as many steps to see that one name does not match.
	maxPatterns = 256
)

// FindOptions choose how files are found.
type FindOptions struct {
	// Ignored finds what git ignores, too.
	Ignored bool
	// Max is in place of DefaultMaxEntries.
	Max int
}

// Found is the files that match.
type Found struct {
	// Paths are relative to the directory, and sorted byte by byte.
	Paths []string
	// Truncated says that there are more.
	Truncated bool
	// Incomplete says that some directories could not be read.
	Incomplete bool
	// Git says that git answered: what it ignores is left out.
	Git bool
}

// fitGlob refuses what is no glob, what no path can match, and what would take
// for ever to match.
func fitGlob(glob string) (why string, ok bool) {
	switch {
	case glob == "":
		return "it is empty", false
	case !doublestar.ValidatePattern(glob) || strings.IndexByte(glob, 0) >= 0:
		return "", false
	case expandBraces(glob, maxPatterns) == nil:
		return "its braces stand for too many patterns", false
	}
	for part := range strings.SplitSeq(glob, "/") {
		if part == "" || part == "." || part == ".." {
			return `it is for paths below the directory, in which no part is empty, "." or ".."`, false
		}
	}
	return "", true
}

// Find finds what is no directory below a directory, by a glob for the path
// from there: * and ? match no slash, ** in place of a part of the path is any
// number of parts, [a-z] and {a,b} as usual. In a git worktree, what git
// ignores is left out, unless the directory itself is ignored. Directories
// named .git are never looked into.
func (f *FS) Find(ctx context.Context, path, glob string, o FindOptions) (Found, error) {
	most := o.Max
	if most <= 0 {
		most = DefaultMaxEntries
	}
	glob = strings.TrimPrefix(glob, "./")
	if why, ok := fitGlob(glob); !ok {
		return Found{}, &Error{Host: f.Runner.Host(), Op: "find", Path: glob, Kind: BadPattern, Line: why}
	}
	patterns := coarse(glob)
	specs := pathspecs(patterns)
	body := &gathered{limit: maxFound}
	_, err := f.call(ctx, Call{
		Op: "find", Function: "bivy_find", Script: frame.Strip(gitScript) + frame.Strip(findScript), Tools: true, Long: true,
		Args: slices.Concat([]string{path, itoa(body.limit), flag(o.Ignored), itoa(int64(len(specs)))}, specs, findWords(patterns)),
	}, path, body)
	if err != nil {
		return Found{}, err
	}
	found, why := parseFound(body.String(), int64(body.Len()) >= body.limit, glob, most)
	if why != "" {
		return Found{}, f.odd("find", why)
	}
	return found, nil
}

// parseFound reads the answer of find.sh, and keeps what matches.
func parseFound(body string, cut bool, glob string, most int) (found Found, why string) {
	who, body, ok := strings.Cut(body, "\x00")
	if !ok || who != "f" && who != "g" {
		return found, "it does not say who answers"
	}
	found.Git = who == "g"
	missing := map[string]bool{}
	for {
		name, rest, ok := strings.Cut(body, "\x00")
		if !ok && cut {
			found.Truncated = true
			break
		}
		if !ok {
			return found, "it has no end"
		}
		if rest == "" && len(name) > 1 && name[0] == 'e' {
			found.Incomplete = name != "e0"
			break
		}
		body = rest
		name, gone := found.name(name)
		switch {
		case gone:
			missing[name] = true
		case name != "" && doublestar.MatchUnvalidated(glob, name):
			found.Paths = append(found.Paths, name)
		}
	}
	slices.Sort(found.Paths)
	found.Paths = slices.Compact(found.Paths) // git names what is unmerged more than once
	found.Paths = slices.DeleteFunc(found.Paths, func(p string) bool { return missing[p] })
	if len(found.Paths) > most {
		found.Paths, found.Truncated = found.Paths[:most], true
	}
	return found, ""
}

// name is the path of one field, empty where it is none that counts: what ends
// in a slash is a repository of its own.
func (f *Found) name(field string) (name string, gone bool) {
	if !f.Git {
		return strings.TrimPrefix(field, "./"), false
	}
	letter, name, _ := strings.Cut(field, " ")
	if strings.HasSuffix(name, "/") {
		return "", false
	}
	return name, letter == "R"
}
