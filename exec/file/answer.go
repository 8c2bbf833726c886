package file

import (
	"bytes"
	"strings"

	"bivy/internal/partial"
)

const (
	// maxFacts and maxFact bound what follows the body of an answer: all of
	// it, and one of its fields, in bytes. A fact may be a path, or two.
	maxFacts = 64 << 10
	maxFact  = 16 << 10
)

// lastFact ends every answer.
const lastFact = "done"

// facts are what an operation says of itself behind the body.
type facts map[string]string

// splitter takes the answer to one call: the body goes on, the facts stay.
// It is written to by one goroutine.
type splitter struct {
	mark []byte
	body interface{ Write([]byte) (int, error) }

	// held is what may be the mark's beginning; after the mark, the facts.
	held   []byte
	marked bool
	err    error
}

// Write takes any part of the answer. Its first error is in err as well, and
// stays.
func (s *splitter) Write(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.take(p)
	}
	if s.err != nil {
		return 0, s.err
	}
	return len(p), nil
}

func (s *splitter) take(p []byte) error {
	if s.marked {
		return s.keep(p)
	}
	if len(s.held) > 0 {
		p = append(s.held, p...)
		s.held = nil
	}
	if body, rest, found := bytes.Cut(p, s.mark); found {
		s.marked = true
		if err := s.pass(body); err != nil {
			return err
		}
		return s.keep(rest)
	}
	sure := len(p) - partial.Suffix(p, s.mark)
	s.held = bytes.Clone(p[sure:])
	return s.pass(p[:sure])
}

func (s *splitter) pass(p []byte) error {
	if len(p) == 0 || s.body == nil {
		if len(p) > 0 {
			return &ProtocolError{Why: "it sent a content where there is none"}
		}
		return nil
	}
	_, err := s.body.Write(p)
	return err
}

func (s *splitter) keep(p []byte) error {
	if len(s.held)+len(p) > maxFacts {
		return &ProtocolError{Why: "its answer does not end"}
	}
	s.held = append(s.held, p...)
	return nil
}

// ended reports whether the whole answer is there.
func (s *splitter) ended() bool {
	return s.marked && (bytes.HasSuffix(s.held, []byte("\x00"+lastFact+"\x00")) || string(s.held) == lastFact+"\x00")
}

// facts reads what followed the mark, or says what is wrong with it.
func (s *splitter) facts() (known facts, why string) {
	if !s.marked {
		return nil, "its answer has no end"
	}
	fields := strings.Split(string(s.held), "\x00")
	n := len(fields)
	if n < 2 || fields[n-1] != "" || fields[n-2] != lastFact {
		return nil, "its answer was cut off"
	}
	known = facts{}
	for _, field := range fields[:n-2] {
		key, value, ok := strings.Cut(field, "=")
		if _, twice := known[key]; !ok || twice || !plainKey(key) || len(value) > maxFact {
			return nil, "its answer holds something that is no fact"
		}
		known[key] = value
	}
	return known, ""
}

func plainKey(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// gathered is a body that is kept in memory, up to a limit in bytes. What is
// more is an error, since the host was told how much it may send.
type gathered struct {
	bytes.Buffer
	limit int64
}

func (g *gathered) Write(p []byte) (int, error) {
	if int64(g.Len())+int64(len(p)) > g.limit {
		return 0, &ProtocolError{Why: "it sent more than it was asked for"}
	}
	return g.Buffer.Write(p)
}
