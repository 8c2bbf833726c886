package mcp

import (
	"bytes"
	"sync"
	"time"
)

// kept is one stream of a command: its beginning, its end, and how much there
// was. Its memory is bounded by a few times limit.
type kept struct {
	limit int

	mu    sync.Mutex
	front []byte
	back  []byte // what came last, behind front
	total int64
	// written is when something came last.
	written time.Time
	// fresh is called when something came.
	fresh func()
}

// Write never fails.
func (k *kept) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.total += int64(len(p))
	k.written = time.Now()
	if k.fresh != nil {
		k.fresh()
	}
	rest := p
	if room := k.limit - len(k.front); room > 0 {
		n := min(room, len(rest))
		k.front, rest = append(k.front, rest[:n]...), rest[n:]
	}
	if len(rest) >= k.limit {
		k.back, rest = k.back[:0], rest[len(rest)-k.limit:]
	}
	k.back = append(k.back, rest...)
	if over := len(k.back) - k.limit; over > k.limit {
		k.back = append(k.back[:0:0], k.back[over:]...)
	}
	return len(p), nil
}

// since is what came from an offset on: a beginning, how much is not there any
// more, and the end; and the offset behind it.
func (k *kept) since(from int64) (front []byte, gap int64, back []byte, to int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if from < int64(len(k.front)) {
		front = bytes.Clone(k.front[from:])
	}
	begins := k.total - int64(len(k.back))
	back = bytes.Clone(k.back[min(max(from-begins, 0), int64(len(k.back))):])
	gap = max(begins-max(from, int64(len(k.front))), 0)
	return front, gap, back, k.total
}

// last is the end of what was written, at most n bytes of it, and when it came.
func (k *kept) last(n int) ([]byte, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	data := k.back
	if len(data) == 0 {
		data = k.front
	}
	return bytes.Clone(data[max(0, len(data)-n):]), k.written
}

// bytes is how many came.
func (k *kept) bytes() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.total
}

// streams are both of a command.
type streams struct{ out, err kept }

func newStreams(limit int, fresh func()) *streams {
	return &streams{out: kept{limit: limit, fresh: fresh}, err: kept{limit: limit, fresh: fresh}}
}

// excerpts shares a budget between both streams: what one does not need is the
// other's. It returns the offsets behind what they show, too.
func (s *streams) excerpts(out, err int64, budget int) (stdout, stderr excerpt, toOut, toErr int64) {
	front, gap, back, toOut := s.out.since(out)
	frontErr, gapErr, backErr, toErr := s.err.since(err)
	needs := func(front []byte, gap int64, back []byte) int {
		return int(min(int64(len(front))+gap+int64(len(back)), int64(budget)))
	}
	forErr := min(needs(frontErr, gapErr, backErr), max(budget/2, budget-needs(front, gap, back)))
	return excerptOf(front, gap, back, budget-forErr), excerptOf(frontErr, gapErr, backErr, max(forErr, budget/8)), toOut, toErr
}
