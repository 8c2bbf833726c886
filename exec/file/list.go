package file

import (
	"cmp"
	"context"
	_ "embed"
	"slices"
	"strings"

	"bivy/exec/frame"
)

var (
	//go:embed list.sh
	listScript string
	//go:embed batch.sh
	batchScript string
)

const (
	// DefaultMaxEntries is how many entries List and Find return at most.
	DefaultMaxEntries = 10_000
	// bytesPerEntry is what an entry may take on its way, on average.
	bytesPerEntry = 512
)

// ListOptions choose what of a directory is listed.
type ListOptions struct {
	// Depth is how many levels; zero means one, less than zero all.
	Depth int
	// Types, when set, are those that are listed.
	Types []Type
	// Max is in place of DefaultMaxEntries.
	Max int
}

// Listing is the entries of a directory.
type Listing struct {
	// Entries are sorted by Path, byte by byte; their paths are relative to
	// the directory.
	Entries []Info
	// Truncated says that there are more. Which ones came is then by chance.
	Truncated bool
	// Incomplete says that some directories could not be read.
	Incomplete bool
}

// List lists a directory. Symbolic links in it are not followed.
func (f *FS) List(ctx context.Context, path string, o ListOptions) (Listing, error) {
	depth, most := o.Depth, o.Max
	if most <= 0 {
		most = DefaultMaxEntries
	}
	if depth == 0 {
		depth = 1
	}
	levels := ""
	if depth > 0 {
		levels = itoa(int64(depth))
	}
	words, ok := typeWords(o.Types)
	if !ok {
		return Listing{}, &Error{Host: f.Runner.Host(), Op: "ls", Path: path, Kind: Invalid}
	}
	body := &gathered{limit: int64(most) * bytesPerEntry}
	_, err := f.call(ctx, Call{
		Op: "ls", Function: "bivy_list", Script: frame.Strip(listScript), Long: true,
		Args: append([]string{path, levels, itoa(body.limit), frame.Strip(linesScript) + frame.Strip(batchScript)}, words...),
	}, path, body)
	if err != nil {
		return Listing{}, err
	}
	l, why := parseListing(body.String(), int64(body.Len()) >= body.limit)
	if why != "" {
		return Listing{}, f.odd("ls", why)
	}
	if len(l.Entries) > most {
		l.Entries, l.Truncated = l.Entries[:most], true
	}
	slices.SortFunc(l.Entries, func(a, b Info) int { return cmp.Compare(a.Path, b.Path) })
	return l, nil
}

// typeWords asks find for types.
func typeWords(types []Type) (words []string, ok bool) {
	if len(types) == 0 {
		return nil, true
	}
	words = []string{"("}
	for i, t := range types {
		if i > 0 {
			words = append(words, "-o")
		}
		switch t {
		case Regular:
			words = append(words, "-type", "f")
		case Dir:
			words = append(words, "-type", "d")
		case Symlink:
			words = append(words, "-type", "l")
		case Other:
			words = append(words, "!", "-type", "f", "!", "-type", "d", "!", "-type", "l")
		default:
			return nil, false
		}
	}
	return append(words, ")"), true
}

// parseListing reads the answer of list.sh. One that was cut off holds whole
// batches, of which the last is dropped if it is not one.
func parseListing(body string, cut bool) (l Listing, why string) {
	for body != "" {
		head, rest, ok := strings.Cut(body, "\x00")
		switch {
		case !ok && cut:
			l.Truncated = true
			return l, ""
		case !ok || head == "":
			return l, "it does not say what comes"
		case head[0] == 'e':
			l.Incomplete = head != "e0"
			if rest != "" {
				return l, "it goes on behind its end"
			}
			return l, ""
		}
		entries, rest, whole, why := parseBatch(head, rest)
		if !whole && cut {
			l.Truncated = true
			return l, ""
		}
		if why != "" || !whole {
			return l, cmp.Or(why, "it ends within a batch")
		}
		l.Entries = append(l.Entries, entries...)
		body = rest
	}
	if !cut {
		return l, "it has no end"
	}
	l.Truncated = true
	return l, ""
}

// parseBatch reads one batch behind its head.
func parseBatch(head, body string) (entries []Info, rest string, whole bool, why string) {
	n, ok := index(strings.TrimPrefix(head, "b"), len(body))
	if n++; !ok || head[0] != 'b' {
		return nil, "", true, "it does not say how many entries come"
	}
	var names []string
	for range n {
		name, behind, ok := strings.Cut(body, "\x00")
		if !ok {
			return nil, "", false, ""
		}
		if name = strings.TrimPrefix(name, "./"); name == "" || name[0] == '/' {
			return nil, "", true, "one of its names is none"
		}
		names, body = append(names, name), behind
	}
	lines, body, ok := strings.Cut(body, "\x00")
	if !ok {
		return nil, "", false, ""
	}
	end := 0
	for end < len(body) && body[end] >= '0' && body[end] <= '9' {
		next := strings.IndexByte(body[end:], 0)
		if next < 0 {
			return nil, "", false, ""
		}
		end += next + 1
	}
	infos, why := parseInfos(lines, body[:end], n)
	if why != "" {
		return nil, "", true, why
	}
	for i, info := range infos {
		if info.Type != "" { // else it was gone by then
			info.Path = names[i]
			entries = append(entries, info)
		}
	}
	return entries, body[end:], true, ""
}
