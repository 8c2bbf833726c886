package archive

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

const (
	// maxFiles is the number of files that one commit may have, and maxDepth
	// how deep its directories may lie. Ten small trees, each of which names the
	// next ten times, make ten thousand million files, and whatever looks at them
	// ends with all of the machine's memory.
	maxFiles = 10_000_000
	maxDepth = 1000
)

// weigh refuses commits whose trees would be too large once they are walked
// through. Each tree is read once, however often it is named.
func (in *Intake) weigh(ctx context.Context, tips []string) error {
	if !in.received {
		return nil
	}
	reader, err := in.inside.newObjectReader(ctx)
	if err != nil {
		return err
	}
	defer reader.close()
	w := &weigher{reader: reader, files: make(map[string]int64)}
	var stdin bytes.Buffer
	for _, id := range tips {
		fmt.Fprintln(&stdin, id)
	}
	var failed error
	trees := lineWriter(func(line string) {
		if failed == nil && !strings.HasPrefix(line, "commit ") {
			_, failed = w.weigh(line, 0)
		}
	})
	err = call{
		dir: in.inside.dir, env: in.inside.env, stdin: &stdin, stdout: &trees,
		args: []string{"rev-list", "--format=%T", "--stdin", "--not", "--all"},
	}.run(ctx)
	if failed != nil && ctx.Err() == nil {
		return failed
	}
	return err
}

type weigher struct {
	reader *objectReader
	files  map[string]int64
}

// weigh returns the number of files in a tree.
func (w *weigher) weigh(tree string, depth int) (int64, error) {
	if n, ok := w.files[tree]; ok {
		return n, nil
	}
	if depth > maxDepth {
		return 0, &RefusedError{Why: fmt.Sprintf("directories lie more than %d deep in it", maxDepth)}
	}
	entries, err := w.reader.list(tree)
	if err != nil {
		return 0, err
	}
	var files int64
	for _, e := range entries {
		n := int64(1)
		if e.kind == "tree" {
			if n, err = w.weigh(e.id, depth+1); err != nil {
				return 0, err
			}
		}
		if files += n; files > maxFiles {
			return 0, &RefusedError{Why: fmt.Sprintf("a tree in it has more than %d files", maxFiles)}
		}
	}
	w.files[tree] = files
	return files, nil
}
