package archive

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
)

// entry is one line of a tree's full listing.
type entry struct {
	mode string // six octal digits
	kind string // "blob", "tree" or "commit" (a submodule)
	id   string
	path string // from the top, any bytes but NUL
}

func (e entry) name() string { return e.path[strings.LastIndexByte(e.path, '/')+1:] }

// list lists everything in the tree, every directory right before its content.
func (r *Repo) list(ctx context.Context, tree string) ([]entry, error) {
	return r.listWith(ctx, r.env, tree)
}

// listWith does so in an environment that may know further objects.
func (r *Repo) listWith(ctx context.Context, env []string, tree string) ([]entry, error) {
	var listing strings.Builder
	err := call{dir: r.dir, env: env, args: []string{"ls-tree", "-r", "-t", "-z", "--full-tree", tree}, stdout: &listing}.run(ctx)
	if err != nil {
		return nil, err
	}
	out := listing.String()
	entries := make([]entry, 0, strings.Count(out, "\x00"))
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if line == "" {
			continue
		}
		facts, path, _ := strings.Cut(line, "\t")
		words := strings.Fields(facts)
		if len(words) != 3 || path == "" || !r.validID(words[2]) {
			return nil, fmt.Errorf("list tree %s: git ls-tree said %q", tree, line)
		}
		entries = append(entries, entry{mode: words[0], kind: words[1], id: words[2], path: path})
	}
	return entries, nil
}

// pruner writes the trees that differ once some entries are dropped.
type pruner struct {
	entries []entry
	drop    []bool
	store   *objectStore

	next    int
	ignored int // files, links and submodules dropped so far
}

// prune returns the id of a tree without the dropped entries. An entry's
// content goes with it, and so does a directory whose last entry is dropped: a
// git tree holds no empty directory. At the top nothing left is the empty tree.
func (p *pruner) prune(tree string) (string, error) {
	id, _, err := p.directory("", tree)
	return id, err
}

// directory handles the entries below prefix, which start at p.next. It
// returns the old id where nothing changed.
func (p *pruner) directory(prefix, old string) (id string, left int, err error) {
	var content []byte
	changed := false
	for p.next < len(p.entries) && strings.HasPrefix(p.entries[p.next].path, prefix) {
		i := p.next
		e := p.entries[i]
		p.next++
		if p.drop[i] {
			changed = true
			p.skip(e)
			continue
		}
		if e.kind == "tree" {
			sub, n, err := p.directory(e.path+"/", e.id)
			if err != nil {
				return "", 0, err
			}
			if sub != e.id {
				changed = true
				if n == 0 {
					continue
				}
			}
			e.id = sub
		}
		left++
		if content, err = appendEntry(content, e); err != nil {
			return "", 0, err
		}
	}
	if !changed {
		return old, left, nil
	}
	if left == 0 && prefix != "" {
		return "", 0, nil
	}
	id, err = p.store.put("tree", content)
	return id, left, err
}

// skip passes over the content of a dropped entry, and counts it.
func (p *pruner) skip(e entry) {
	if e.kind != "tree" {
		p.ignored++
		return
	}
	for ; p.next < len(p.entries) && strings.HasPrefix(p.entries[p.next].path, e.path+"/"); p.next++ {
		if p.entries[p.next].kind != "tree" {
			p.ignored++
		}
	}
}

// appendEntry writes an entry as a tree object has it: the mode without its
// leading zero, the name, NUL, and the id's bytes.
func appendEntry(content []byte, e entry) ([]byte, error) {
	content = append(content, strings.TrimLeft(e.mode, "0")...)
	content = append(content, ' ')
	content = append(content, e.name()...)
	content = append(content, 0)
	content, err := hex.AppendDecode(content, []byte(e.id))
	if err != nil {
		return nil, fmt.Errorf("write a tree: id of %q: %w", e.path, err)
	}
	return content, nil
}
