package lane

import (
	"bytes"
	"fmt"
	"strconv"

	"bivy/internal/partial"
)

// reply takes one of a lane's streams, stdout (0) or stderr (1), and gives each
// call what is its own. It is written to by one goroutine.
type reply struct {
	lane  *lane
	which int
	mark  []byte // what every mark begins with
	held  []byte // what may be a mark, or the beginning of one
}

// maxStatus is the longest status in a mark, in bytes.
const maxStatus = 3

func (l *lane) reply(which int) *reply {
	return &reply{lane: l, which: which, mark: []byte("\x1e" + l.nonce + " ")}
}

// Write takes any part of the stream. An error ends the lane.
func (s *reply) Write(p []byte) (int, error) {
	data := p
	if len(s.held) > 0 {
		data = append(s.held, p...)
		s.held = nil
	}
	for {
		at := bytes.Index(data, s.mark)
		if at < 0 {
			sure := len(data) - partial.Suffix(data, s.mark)
			s.held = bytes.Clone(data[sure:])
			return len(p), s.pass(data[:sure])
		}
		if err := s.pass(data[:at]); err != nil {
			return 0, err
		}
		rest := data[at+len(s.mark):]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 && len(rest) <= maxStatus {
			s.held = bytes.Clone(data[at:])
			return len(p), nil
		}
		status, err := strconv.ParseUint(string(rest[:max(0, min(end, maxStatus))]), 10, 8)
		if end < 0 || end > maxStatus || err != nil {
			return 0, fmt.Errorf("%s answers nonsense in a lane", s.lane.pool.host)
		}
		if !s.lane.answered(s.which, int(status)) {
			return 0, fmt.Errorf("%s answers what nobody asked in a lane", s.lane.pool.host)
		}
		data = rest[end+1:]
	}
}

// pass gives bytes to the call whose turn it is. What belongs to none is noise.
func (s *reply) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	r := s.lane.current(s.which)
	switch {
	case r == nil:
	case s.which == 1:
		_, _ = r.words.Write(p)
	case !r.take(p):
		return fmt.Errorf("the answer of %s in a lane does not end", s.lane.pool.host)
	}
	return nil
}

// current is the call that writes to a stream now.
func (l *lane) current(which int) *request {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	for _, r := range l.sent {
		if l.hello[which] && !r.ended[which] {
			return r
		}
	}
	return nil
}

// answered takes note of a mark on a stream: the first says that the loop is
// there, every other ends a call. It reports whether there was one.
func (l *lane) answered(which, status int) bool {
	p := l.pool
	p.mu.Lock()
	if !l.hello[which] {
		l.hello[which] = true
		l.ready = l.hello[0] && l.hello[1]
		if l.ready {
			l.idle.Reset(idle)
			p.dispatch()
		}
		p.mu.Unlock()
		return true
	}
	var r *request
	for _, r = range l.sent {
		if !r.ended[which] {
			break
		}
	}
	if r == nil || r.ended[which] {
		p.mu.Unlock()
		return false
	}
	r.ended[which] = true
	over := r.ended[0] && r.ended[1]
	if over {
		// Both streams keep the order, so it is the first.
		l.sent = l.sent[1:]
		l.rested()
		p.dispatch()
	}
	p.mu.Unlock()
	if over {
		r.finish(Result{Status: status}, nil)
	}
	return true
}

// rested is called when a call has left the lane.
func (l *lane) rested() {
	switch {
	case len(l.sent) > 0:
	case l.leaving:
		l.in.close()
	default:
		l.idle.Reset(idle)
	}
}
