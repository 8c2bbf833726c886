package archive

import (
	"bytes"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Progress is a moment in the making of a pack.
type Progress struct {
	// Phase is "counting", "compressing" or "writing", in that order; git
	// leaves out the second where there is nothing to compress.
	Phase string
	// Percent is 0 to 100, or -1 while the total is unknown.
	Percent int
	// Done and Total are objects of this phase; Total is 0 while unknown.
	Done, Total int64
	// Bytes have been taken by the writer so far; Rate is bytes per second
	// over about the last three seconds.
	Bytes int64
	Rate  float64
}

// counter is a line of git's progress (progress.c, git 2.39), such as
// "Enumerating objects: 12" or "Writing objects:  42% (6/14), 1.2 MiB | …".
// Its other figures are rounded; bytes are counted here.
var counter = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(Enumerating|Counting|Compressing|Writing) objects: +(?:(\d+)% \((\d+)/(\d+)\)|(\d+))`)
})

func parseProgress(line []byte) (Progress, bool) {
	m := counter().FindSubmatch(line)
	if m == nil {
		return Progress{}, false
	}
	p := Progress{Percent: -1}
	switch string(m[1]) {
	case "Compressing":
		p.Phase = "compressing"
	case "Writing":
		p.Phase = "writing"
	default:
		p.Phase = "counting"
	}
	if m[5] != nil {
		p.Done = number(m[5])
		return p, true
	}
	p.Percent, p.Done, p.Total = int(number(m[2])), number(m[3]), number(m[4])
	return p, true
}

// number is for digits only; what does not fit is as good as unknown.
func number(digits []byte) int64 {
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

const (
	// beat is the shortest time between two reports about bytes alone.
	beat = 100 * time.Millisecond
	// rateSpan is the time over which the rate is taken.
	rateSpan = 3 * time.Second
	// maxLine bounds a line of git's that never ends.
	maxLine = 4096
)

// meter turns git's stderr and the bytes that pass into Progress values. Both
// report, since git is silent while one large object is being written.
type meter struct {
	mu     sync.Mutex
	report func(Progress)
	now    func() time.Time

	line  []byte
	last  Progress
	shown time.Time
	// Two points in time, at least rateSpan apart once there is enough.
	from, mid sample
}

type sample struct {
	at    time.Time
	bytes int64
}

func newMeter(report func(Progress)) *meter {
	return &meter{report: report, now: time.Now, last: Progress{Phase: "counting", Percent: -1}}
}

// Write takes git's stderr, where a counter's lines end in a carriage return.
func (m *meter) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report == nil {
		return len(b), nil
	}
	m.line = append(m.line, b...)
	for {
		end := bytes.IndexAny(m.line, "\r\n")
		if end < 0 {
			break
		}
		if p, ok := parseProgress(m.line[:end]); ok {
			p.Bytes, p.Rate = m.last.Bytes, m.last.Rate
			m.last = p
			m.show(m.now())
		}
		m.line = m.line[end+1:]
	}
	if len(m.line) > maxLine {
		m.line = m.line[:0]
	}
	return len(b), nil
}

// wrote takes the number of bytes that the writer has taken so far.
func (m *meter) wrote(total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report == nil {
		return
	}
	now := m.now()
	m.last.Bytes = total
	m.last.Rate = m.rate(now, total)
	if now.Sub(m.shown) >= beat {
		m.show(now)
	}
}

func (m *meter) rate(now time.Time, total int64) float64 {
	if m.from.at.IsZero() {
		m.from, m.mid = sample{now, total}, sample{now, total}
		return 0
	}
	if now.Sub(m.mid.at) >= rateSpan {
		m.from, m.mid = m.mid, sample{now, total}
	}
	span := now.Sub(m.from.at)
	if span <= 0 {
		return 0
	}
	return float64(total-m.from.bytes) / span.Seconds()
}

func (m *meter) show(now time.Time) {
	m.shown = now
	m.report(m.last)
}

// finish reports the end, which git announces before its last bytes have
// passed here.
func (m *meter) finish(stats PackStats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report == nil {
		return
	}
	m.last = Progress{
		Phase: "writing", Percent: 100, Done: stats.Objects, Total: stats.Objects,
		Bytes: stats.Bytes, Rate: m.last.Rate,
	}
	m.show(m.now())
}

// stop ends the reports, even where a copy of git's output is still at work.
func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report = nil
}
