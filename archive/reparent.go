package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// footing is what a commit without parents, made here for sending, becomes
// when work that stands on it comes back.
type footing struct {
	// sent is its place among the origins, the newest last.
	sent int
	// source stands in for it; where root is set, it stays a commit of its
	// own, with the source as parent.
	source string
	root   bool
	// full is the source's tree, pruned the one without export-ignore's paths.
	full, pruned string
}

// reparenter gives commits their place in the project's history. What it makes
// follows from the commits and the origins alone, so that the same commit gets
// the same id in every pull.
type reparenter struct {
	in      *Intake
	reader  *objectReader
	store   *packStore
	grafter *grafter
	// moved maps ids there to ids here, and stands says on which origin a moved
	// commit stands, the newest of those that it has among its ancestors.
	moved  map[string]string
	stands map[string]*footing
}

// maxCommits is the number of commits that one pull moves.
const maxCommits = 1_000_000

// reparent finds the ids that the tips get here. Commits that stand on nothing
// that we sent keep theirs.
func (in *Intake) reparent(ctx context.Context, tips []string) (map[string]string, error) {
	reader, err := in.inside.newObjectReader(ctx)
	if err != nil {
		return nil, err
	}
	defer reader.close()
	store, err := newPackStore(in.q.objects, filepath.Join(in.q.dir, "moved"))
	if err != nil {
		return nil, err
	}
	defer store.close()
	p := &reparenter{
		in: in, reader: reader, store: store, grafter: newGrafter(reader, store),
		moved: make(map[string]string), stands: make(map[string]*footing),
	}
	roots, err := p.footings(ctx)
	if err == nil {
		err = p.begin(roots)
	}
	if err == nil && len(roots) > 0 {
		err = p.walk(ctx, tips, roots)
	}
	if err == nil {
		err = store.finish(ctx, in.inside, in.q.packDir())
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	here := make(map[string]string, len(tips))
	for _, id := range tips {
		here[id] = p.here(id)
	}
	return here, nil
}

func (p *reparenter) here(id string) string {
	if to, ok := p.moved[id]; ok {
		return to
	}
	return id
}

// footings finds the commits that were made for sending and that the commits
// from there may stand on. Uncommitted changes were sent as a commit on top of
// one.
func (p *reparenter) footings(ctx context.Context) (map[string]*footing, error) {
	ids := make([]string, 0, len(p.in.origins))
	for _, o := range p.in.origins {
		ids = append(ids, o.Snapshot)
	}
	found, err := p.in.inside.readCommits(ctx, ids)
	if err != nil {
		return nil, err
	}
	roots := make(map[string]*footing)
	for i, o := range p.in.origins {
		source, here := p.in.sources[o.Source]
		if !here || found[i].id != o.Snapshot || o.Snapshot == o.Source {
			continue
		}
		snapshot, err := p.parse(o.Snapshot)
		if err != nil {
			return nil, err
		}
		f := &footing{sent: i, source: source.id, full: source.tree, pruned: snapshot.tree}
		root := o.Snapshot
		if o.Dirty {
			if root, err = p.dirty(ctx, source, snapshot, f); err != nil {
				return nil, err
			}
		} else if len(snapshot.parents) > 0 {
			root = ""
		}
		// One that was sent again keeps its place, and commits on it their ids.
		if root != "" && roots[root] == nil {
			roots[root] = f
		}
	}
	return roots, nil
}

// dirty finds the root below uncommitted changes: the clean snapshot of the
// same source, or the commit itself.
func (p *reparenter) dirty(ctx context.Context, source commit, snapshot rawCommit, f *footing) (string, error) {
	switch len(snapshot.parents) {
	case 0:
		m, err := p.in.repo.build(ctx, p.in.q.scratch, source)
		f.root, f.pruned = true, m.tree
		return snapshot.id, err
	case 1:
		clean, err := p.parse(snapshot.parents[0])
		f.pruned = clean.tree
		if err != nil || len(clean.parents) > 0 {
			return "", err
		}
		return clean.id, nil
	}
	return "", nil
}

// begin moves the roots themselves.
func (p *reparenter) begin(roots map[string]*footing) error {
	for id, f := range roots {
		p.stands[id] = f
		if !f.root {
			p.moved[id] = f.source
			continue
		}
		c, err := p.parse(id)
		if err != nil {
			return err
		}
		if err := p.move(c, []string{f.source}); err != nil {
			return err
		}
	}
	return nil
}

// walk moves every commit between the roots and the tips, parents first.
func (p *reparenter) walk(ctx context.Context, tips []string, roots map[string]*footing) error {
	var stdin bytes.Buffer
	for _, id := range tips {
		fmt.Fprintln(&stdin, id)
	}
	for id := range roots {
		fmt.Fprintln(&stdin, "^"+id)
	}
	// The list is read before the first commit is moved, since one git at a time
	// is simpler to end; it is one id for each commit.
	var out bytes.Buffer
	err := call{
		dir: p.in.inside.dir, env: p.in.inside.env, stdin: &stdin, stdout: &out,
		args: []string{"rev-list", "--topo-order", "--reverse", "--ancestry-path", fmt.Sprintf("--max-count=%d", maxCommits+1), "--stdin"},
	}.run(ctx)
	if err != nil {
		return err
	}
	if bytes.Count(out.Bytes(), []byte{'\n'}) > maxCommits {
		return &RefusedError{Why: fmt.Sprintf("it has more than %d commits of its own, which are not taken at once", maxCommits)}
	}
	for {
		id, err := out.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		c, err := p.parse(strings.TrimSuffix(id, "\n"))
		if err != nil {
			return err
		}
		var onto []string
		for _, parent := range c.parents {
			f, ok := p.stands[parent]
			if was, known := p.stands[c.id]; ok && (!known || f.sent > was.sent) {
				p.stands[c.id] = f
			}
			// Two snapshots may have been of the same commit.
			if to := p.here(parent); !slices.Contains(onto, to) {
				onto = append(onto, to)
			}
		}
		if err := p.move(c, onto); err != nil {
			return err
		}
	}
}

// move writes a commit with other parents, and with the paths that
// export-ignore had kept here.
func (p *reparenter) move(c rawCommit, onto []string) error {
	f := p.stands[c.id]
	tree, err := p.grafter.graft(f.full, f.pruned, c.tree)
	if err != nil {
		return err
	}
	id, err := p.store.put("commit", c.content(tree, onto))
	p.moved[c.id] = id
	return err
}

// rawCommit is a commit with all that git does not interpret kept as it is.
type rawCommit struct {
	id, tree string
	parents  []string
	// headers are the lines from the author on, without signatures; rest is
	// the empty line and the message.
	headers, rest []byte
}

// parse reads a commit. Its signatures are left out, since they would be wrong
// for any other commit.
func (p *reparenter) parse(id string) (rawCommit, error) {
	raw, err := p.reader.read(id, "commit")
	if err != nil {
		return rawCommit{}, err
	}
	c := rawCommit{id: id}
	signature := false
	for len(raw) > 0 && raw[0] != '\n' {
		end := bytes.IndexByte(raw, '\n') + 1
		if end == 0 {
			end = len(raw)
		}
		line := raw[:end]
		raw = raw[end:]
		word, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch {
		case word == "": // goes on with the header before
		case len(c.headers) == 0 && word == "tree" && c.tree == "":
			c.tree = value
			continue
		case len(c.headers) == 0 && word == "parent":
			c.parents = append(c.parents, value)
			continue
		default:
			signature = word == "gpgsig" || word == "gpgsig-sha256"
		}
		if !signature {
			c.headers = append(c.headers, line...)
		}
	}
	c.rest = raw
	if !p.in.repo.validID(c.tree) {
		return rawCommit{}, &RefusedError{Why: "commit " + id + " is malformed"}
	}
	return c, nil
}

func (c rawCommit) content(tree string, parents []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, id := range parents {
		fmt.Fprintf(&b, "parent %s\n", id)
	}
	b.Write(c.headers)
	b.Write(c.rest)
	return b.Bytes()
}
