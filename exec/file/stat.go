package file

import (
	"context"
	_ "embed"
	"strings"

	"bivy/exec/frame"
)

//go:embed stat.sh
var statScript string

// StatOptions choose how paths are looked at.
type StatOptions struct {
	// Follow looks at what symbolic links lead to.
	Follow bool
}

// Stat is what is known of one path: Err is nil, or an *Error.
type Stat struct {
	Info
	Err error
}

// maxPaths is how many paths one operation takes, maxPathBytes how long they
// may be together.
const (
	maxPaths     = 10_000
	maxPathBytes = 1 << 20
)

// Stat looks at several paths at once. The result has one element for each,
// in their order; the error is about all.
func (f *FS) Stat(ctx context.Context, paths []string, o StatOptions) ([]Stat, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	if err := f.fewEnough("stat", paths); err != nil {
		return nil, err
	}
	follow := ""
	if o.Follow {
		follow = "-L"
	}
	// A path of the host's may be as long as 4 KiB, a line is below 150 bytes.
	body := &gathered{limit: int64(len(paths)) * (4096 + 256)}
	_, err := f.call(ctx, Call{
		Op: "stat", Function: "bivy_stat", Script: frame.Strip(linesScript) + frame.Strip(statScript),
		Args: append([]string{follow}, paths...),
	}, paths[0], body)
	if err != nil {
		return nil, err
	}
	list, why := f.parseStats(body.String(), paths)
	if why != "" {
		return nil, f.odd("stat", why)
	}
	return list, nil
}

func (f *FS) fewEnough(op string, paths []string) error {
	size := 0
	for _, p := range paths {
		size += len(p) + 1
		if strings.IndexByte(p, 0) >= 0 {
			return &Error{Host: f.Runner.Host(), Op: op, Path: p, Kind: Invalid}
		}
	}
	if len(paths) > maxPaths || size > maxPathBytes {
		return &TooLargeError{Host: f.Runner.Host(), Op: op, Path: paths[0], Size: int64(size), Limit: maxPathBytes}
	}
	return nil
}

// parseStats reads the answer of stat.sh.
func (f *FS) parseStats(body string, paths []string) (list []Stat, why string) {
	words, rest, ok1 := strings.Cut(body, "\x00")
	lines, targets, ok2 := strings.Cut(rest, "\x00")
	verdicts := strings.Fields(words)
	if !ok1 || !ok2 || len(verdicts) != len(paths) {
		return nil, "it does not tell of every path"
	}
	found := []int{}
	for i, verdict := range verdicts {
		s := Stat{Info: Info{Path: paths[i]}}
		if verdict == "ok" {
			found = append(found, i)
		} else {
			s.Err = f.trouble("stat", paths[i], facts{"trouble": verdict}, Ending{})
		}
		list = append(list, s)
	}
	infos, why := parseInfos(lines, targets, len(found))
	if why != "" {
		return nil, why
	}
	for n, i := range found {
		if infos[n].Type == "" {
			list[i].Err = &Error{Host: f.Runner.Host(), Op: "stat", Path: paths[i], Kind: NotFound}
			continue
		}
		infos[n].Path = paths[i]
		list[i].Info = infos[n]
	}
	return list, ""
}

// parseInfos reads the lines of bivy_lines for n files, and the fields of
// bivy_targets. What was gone by then has no Type.
func parseInfos(lines, targets string, n int) (infos []Info, why string) {
	if n == 0 {
		return nil, ""
	}
	if strings.Count(lines, "\n") != n-1 {
		return nil, "it does not tell of every file"
	}
	infos = make([]Info, 0, n)
	for line := range strings.SplitSeq(lines, "\n") {
		i, ok := parseInfo(line)
		if !ok && line != unknownLine {
			return nil, "what it tells of a file makes no sense"
		}
		infos = append(infos, i)
	}
	for targets != "" {
		field, rest, ok := strings.Cut(targets, "\x00")
		number, target, isTarget := strings.Cut(field, ":")
		i, isNumber := index(number, n)
		if !ok || !isTarget || !isNumber {
			return nil, "what it tells of a link makes no sense"
		}
		if infos[i].Type == Symlink {
			infos[i].Target = target
		}
		targets = rest
	}
	return infos, ""
}

// unknownLine stands for a file that was gone by then (lines.sh).
const unknownLine = "? - - - - - - -"

// index reads a number from 1 to n, and returns one less.
func index(s string, n int) (int, bool) {
	i, ok := number(s)
	return int(i) - 1, ok && i >= 1 && i <= int64(n)
}
