package mcp

import (
	"container/list"
	"context"
	"path"
	"strings"
	"sync"

	"bivy/exec/file"
)

const (
	// memoryLimit bounds what is remembered of files, in bytes; memoryLargest is
	// the largest file of which more than the hash is.
	memoryLimit   = 64 << 20
	memoryLargest = 8 << 20
	// memoryEach is what an entry takes without its content.
	memoryEach = 1 << 10
)

// memory remembers the files that the agent has seen, as it has seen them: an
// edit is then made here and needs one round trip, and nothing is written over
// what the agent does not know. The files that were used last are kept.
type memory struct {
	mu    sync.Mutex
	size  int
	order *list.List // of *seen, the newest first
	files map[string]*list.Element
	busy  map[string]chan struct{}
}

// seen is a file as the agent has seen it. Without the content, only its hash
// is known.
type seen struct {
	key     string
	content file.Content
}

func (s *seen) weight() int { return memoryEach + len(s.key) + len(s.content.Data) }

func newMemory() *memory {
	return &memory{order: list.New(), files: map[string]*list.Element{}, busy: map[string]chan struct{}{}}
}

// fileKey names a file of a place, however the agent spells its path.
func fileKey(p Place, name string) string {
	if dir := strings.TrimSuffix(p.Dir, "/") + "/"; strings.HasPrefix(dir, "/") {
		name = strings.TrimPrefix(name, dir)
	}
	return p.key() + p.Dir + "\x00" + path.Clean(name)
}

// remember keeps what was seen of a file; one whose hash is not known is
// forgotten.
func (m *memory) remember(key string, c file.Content) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
	if c.SHA256 == "" {
		return
	}
	if !c.Whole || len(c.Data) > memoryLargest {
		c.Whole, c.Data = false, nil
	}
	s := &seen{key, c}
	m.files[key] = m.order.PushFront(s)
	for m.size += s.weight(); m.size > memoryLimit; {
		oldest, ok := m.order.Back().Value.(*seen)
		if !ok {
			return
		}
		m.drop(oldest.key)
	}
}

// recall returns what was seen of a file.
func (m *memory) recall(key string) (c file.Content, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.files[key]
	if !ok {
		return c, false
	}
	m.order.MoveToFront(e)
	s, ok := e.Value.(*seen)
	return s.content, ok
}

func (m *memory) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
}

func (m *memory) drop(key string) {
	if e, ok := m.files[key]; ok {
		if s, ok := m.order.Remove(e).(*seen); ok {
			m.size -= s.weight()
		}
		delete(m.files, key)
	}
}

// hold keeps other changes of a file waiting: agents make several at once, and
// of two on what was remembered only one could succeed.
func (m *memory) hold(ctx context.Context, key string) (release func(), err error) {
	for {
		m.mu.Lock()
		held, taken := m.busy[key]
		if !taken {
			mine := make(chan struct{})
			m.busy[key] = mine
			m.mu.Unlock()
			return func() {
				m.mu.Lock()
				delete(m.busy, key)
				m.mu.Unlock()
				close(mine)
			}, nil
		}
		m.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
