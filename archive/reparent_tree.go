package archive

import (
	"slices"
	"strings"
)

// grafter puts back into trees what export-ignore took out of a snapshot.
type grafter struct {
	reader *objectReader
	store  *packStore
	lacks  map[[2]string][]lack
	done   map[[3]string]string
}

// maxGrafts bounds what is remembered, so that memory stays bounded whatever
// trees a host makes up.
const maxGrafts = 1 << 18

func newGrafter(reader *objectReader, store *packStore) *grafter {
	return &grafter{reader: reader, store: store, lacks: make(map[[2]string][]lack), done: make(map[[3]string]string)}
}

// graft returns the id of a tree with what source has and snapshot has not,
// at its place, unless something else is there now. Each may be "", which is no
// tree; so may the result. Where nothing is to be put back it is the tree's own
// id. Nothing but directories that lost something in the snapshot is read, so
// the tree may be as wide and deep as a host likes.
func (g *grafter) graft(source, snapshot, tree string) (string, error) {
	if source == snapshot || source == "" {
		return tree, nil
	}
	if snapshot == "" && tree == "" {
		return source, nil
	}
	key := [3]string{source, snapshot, tree}
	if id, ok := g.done[key]; ok {
		return id, nil
	}
	id, err := g.merge(source, snapshot, tree)
	if err == nil && len(g.done) < maxGrafts {
		g.done[key] = id
	}
	return id, err
}

// merge does so for a tree that has to be read.
func (g *grafter) merge(source, snapshot, tree string) (string, error) {
	missing, err := g.missing(source, snapshot)
	if err != nil {
		return "", err
	}
	entries, err := g.reader.list(tree)
	if err != nil {
		return "", err
	}
	changed := false
	for _, m := range missing {
		i := slices.IndexFunc(entries, func(e entry) bool { return e.path == m.path })
		if i >= 0 && (m.kind != "tree" || entries[i].kind != "tree") {
			continue // something else has its place
		}
		put, old := m.entry, ""
		if i >= 0 {
			old = entries[i].id
		}
		if put.kind == "tree" {
			if put.id, err = g.graft(m.id, m.sent, old); err != nil {
				return "", err
			}
		}
		switch {
		case put.id == old:
			continue
		case i >= 0:
			entries[i].id = put.id
		default:
			entries = append(entries, put)
		}
		changed = true
	}
	if !changed {
		return tree, nil
	}
	return g.write(entries)
}

// lack is an entry of a source's directory that the snapshot has not, or only
// in part: sent is the id of the directory that it has, or "".
type lack struct {
	entry
	sent string
}

// missing compares a directory of a source with that of its snapshot. There
// are few such pairs, for any number of commits.
func (g *grafter) missing(source, snapshot string) ([]lack, error) {
	key := [2]string{source, snapshot}
	if list, ok := g.lacks[key]; ok {
		return list, nil
	}
	had, err := g.reader.list(source)
	if err != nil {
		return nil, err
	}
	sent, err := g.reader.list(snapshot)
	if err != nil {
		return nil, err
	}
	var list []lack
	for _, e := range had {
		i := slices.IndexFunc(sent, func(s entry) bool { return s.path == e.path })
		switch {
		case i < 0:
			list = append(list, lack{entry: e})
		case sent[i].id != e.id && sent[i].kind == "tree" && e.kind == "tree":
			list = append(list, lack{entry: e, sent: sent[i].id})
		}
	}
	g.lacks[key] = list
	return list, nil
}

// write stores a tree, its entries in git's order.
func (g *grafter) write(entries []entry) (string, error) {
	sortEntries(entries)
	var content []byte
	for _, e := range entries {
		var err error
		if content, err = appendEntry(content, e); err != nil {
			return "", err
		}
	}
	return g.store.put("tree", content)
}

// sortEntries orders entries as git does, by their names, a directory as if it
// ended in a slash.
func sortEntries(entries []entry) {
	key := func(e entry) string {
		if e.kind == "tree" {
			return e.path + "/"
		}
		return e.path
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(key(a), key(b)) })
}
