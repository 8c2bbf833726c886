package transfer

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"bivy/exec/file"
	"bivy/internal/partial"
)

const (
	// maxFacts bounds the facts of one answer, in bytes: some are paths.
	maxFacts = 64 << 10
	// maxAnswers is how many may wait for somebody to take them.
	maxAnswers = 8
)

// facts are what an answer says.
type facts map[string]string

// answers takes apart what the script writes: a body, for who wants one, the
// mark, and facts, time and again. It is written to by one goroutine.
type answers struct {
	mark []byte
	out  chan facts

	mu   sync.Mutex
	body io.Writer

	held   []byte // what may be the mark's beginning; after the mark, the facts
	marked bool
	err    error
}

func newAnswers(mark string) *answers {
	return &answers{mark: []byte(mark), out: make(chan facts, maxAnswers)}
}

// expect says where the next body goes.
func (a *answers) expect(body io.Writer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.body = body
}

// Write takes any part of what is written. Its first error stays.
func (a *answers) Write(p []byte) (int, error) {
	n := len(p)
	for a.err == nil && len(p) > 0 {
		if a.marked {
			p, a.err = a.facts(p)
		} else {
			p, a.err = a.content(p)
		}
	}
	if a.err != nil {
		return 0, a.err
	}
	return n, nil
}

// content passes on what stands before the mark, and returns what comes after.
func (a *answers) content(p []byte) ([]byte, error) {
	if len(a.held) > 0 {
		p = append(a.held, p...)
		a.held = nil
	}
	if body, rest, found := bytes.Cut(p, a.mark); found {
		a.marked = true
		return rest, a.pass(body)
	}
	sure := len(p) - partial.Suffix(p, a.mark)
	a.held = bytes.Clone(p[sure:])
	return nil, a.pass(p[:sure])
}

func (a *answers) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	a.mu.Lock()
	body := a.body
	a.mu.Unlock()
	if body == nil {
		return &file.ProtocolError{Why: "it sent a content that nobody asked for"}
	}
	_, err := body.Write(p)
	return err
}

var lastFact = []byte("\x00done\x00")

// facts gathers those of one answer, and returns what comes after.
func (a *answers) facts(p []byte) ([]byte, error) {
	// The end may be cut anywhere.
	seen := max(0, len(a.held)-len(lastFact))
	a.held = append(a.held, p...)
	i := bytes.Index(a.held[seen:], lastFact)
	if i < 0 {
		if len(a.held) > maxFacts {
			return nil, &file.ProtocolError{Why: "its answer does not end"}
		}
		return nil, nil
	}
	all, rest := a.held[:seen+i], bytes.Clone(a.held[seen+i+len(lastFact):])
	a.held, a.marked = nil, false
	known := facts{}
	for field := range strings.SplitSeq(string(all), "\x00") {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, &file.ProtocolError{Why: "its answer holds something that is no fact"}
		}
		known[key] = value
	}
	select {
	case a.out <- known:
		return rest, nil
	default:
		return nil, &file.ProtocolError{Why: "it answers more than it is asked"}
	}
}
