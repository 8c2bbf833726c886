package file

import (
	"strings"
)

// maxAlternatives is how many patterns the braces of one may stand for before
// the host is asked for all names.
const maxAlternatives = 64

// coarse makes of a glob what a host can be asked for: patterns in which *,
// ** and \ are all that is special, and which match at least what the glob
// does. Braces become several; ? and [ ] become *, since the host counts bytes
// where we count characters. Nil means everything.
func coarse(glob string) []string {
	var all []string
	for _, p := range expandBraces(glob, maxAlternatives) {
		if unclear(p) {
			return nil
		}
		all = append(all, simplify(p))
	}
	return all
}

// unclear reports whether matchers differ on a pattern: ** is not all of a part
// of the path, or there is an empty part.
func unclear(glob string) bool {
	for part := range strings.SplitSeq(glob, "/") {
		if part == "" || strings.Contains(part, "**") && part != "**" {
			return true
		}
	}
	return false
}

// expandBraces writes a{b,c} as ab and ac, or returns nil for more than limit.
func expandBraces(glob string, limit int) []string {
	open, commas, end := findBraces(glob)
	if open < 0 {
		return []string{glob}
	}
	var all []string
	from := open + 1
	for _, to := range append(commas, end) {
		more := expandBraces(glob[:open]+glob[from:to]+glob[end+1:], limit-len(all))
		if more == nil || len(all)+len(more) > limit {
			return nil
		}
		all, from = append(all, more...), to+1
	}
	return all
}

// findBraces finds the first pair and its commas; open is -1 where there is
// none.
func findBraces(glob string) (open int, commas []int, end int) {
	open = -1
	depth := 0
	for i := 0; i < len(glob); i++ {
		switch glob[i] {
		case '\\':
			i++
		case '[':
			i = classEnd(glob, i)
		case '{':
			if depth++; depth == 1 {
				open = i
			}
		case ',':
			if depth == 1 {
				commas = append(commas, i)
			}
		case '}':
			if depth--; depth == 0 {
				return open, commas, i
			}
		}
	}
	return -1, nil, 0
}

// classEnd is where the class that begins at i ends.
func classEnd(glob string, i int) int {
	for j := i + 1; j < len(glob); j++ {
		switch {
		case glob[j] == '\\':
			j++
		case glob[j] == ']' && j > i+1:
			return j
		}
	}
	return len(glob) - 1
}

func simplify(glob string) string {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '\\':
			b.WriteByte(c)
			if i++; i < len(glob) {
				b.WriteByte(glob[i])
			}
		case '?':
			b.WriteByte('*')
		case '[':
			b.WriteByte('*')
			i = classEnd(glob, i)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// pathspecs asks git for patterns.
func pathspecs(patterns []string) []string {
	var specs []string
	for _, p := range patterns {
		specs = append(specs, ":(glob)"+p)
	}
	return specs
}

// findWords asks find for the last parts of patterns, since -path has * for
// slashes too. Nil means everything.
func findWords(patterns []string) []string {
	words := []string{"("}
	for i, p := range patterns {
		last := p[strings.LastIndexByte(p, '/')+1:]
		if last == "" || strings.Contains(last, "**") {
			return nil
		}
		if i > 0 {
			words = append(words, "-o")
		}
		words = append(words, "-name", last)
	}
	if len(patterns) == 0 {
		return nil
	}
	return append(words, ")")
}
