package exec

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"bivy/exec/mux"
	"bivy/internal/partial"
	"bivy/internal/termsafe"
)

// maxMark bounds the length of a mark in bytes; whatever is longer is none.
const maxMark = 512

// marks is what the supervisor reported on one stream.
type marks struct {
	started bool
	pid     int
	pgid    int
	bootID  string

	failed string // what the supervisor could not do, before the start

	exited bool
	code   int
	signal int // with evidence only

	// ended says that the supervisor ended the command, since its lifeline had
	// ended or said so. left is what it could not end, complete that it found
	// all there was.
	ended    bool
	left     []mux.Survivor
	complete bool

	// logged is how much of stdout and of stderr the host has kept in files.
	// It comes after the exit.
	logged [2]int64
}

// maxLeft bounds what a host may say it could not end.
const maxLeft = 64

// scanner finds the supervisor's marks in one stream. What comes before the
// start mark is noise of the login shell and is kept apart, a little of it;
// what comes after goes to the writer without the marks. It holds back no
// more than could be the beginning of a mark.
type scanner struct {
	prefix []byte
	out    io.Writer
	notify func(marks) // called after each mark, on the writer's goroutine
	fail   func(error) // called once, when out has failed; may be nil
	// endAtExit drops what follows the exit mark: on a terminal that is ssh's
	// own farewell, which names our placeholder host and which no LogLevel
	// but QUIET keeps back (OpenSSH 9.2, mux.c).
	endAtExit bool

	mu    sync.Mutex
	seen  marks
	held  []byte
	noise []byte
	bytes int64

	broken error // out's; what comes later is scanned, not written
}

const maxNoise = 4 << 10

func newScanner(nonce string, out io.Writer, notify func(marks)) *scanner {
	return &scanner{prefix: []byte("\036bivy:" + nonce + " "), out: out, notify: notify}
}

// Write takes the next bytes of the stream. It never fails: the host's report
// must be read to its end, also when out has failed, and the command cannot end
// as long as nobody takes what it has written.
func (s *scanner) Write(p []byte) (int, error) {
	data := p
	if len(s.held) > 0 {
		data = append(s.held, p...)
		s.held = nil
	}
	for len(data) > 0 {
		i := bytes.Index(data, s.prefix)
		if i < 0 {
			keep := partial.Suffix(data, s.prefix)
			s.pass(data[:len(data)-keep])
			s.held = append([]byte(nil), data[len(data)-keep:]...)
			break
		}
		s.pass(data[:i])
		data = data[i:]
		// The bound counts here as well, so that what is a mark does not
		// depend on how the stream was cut into pieces.
		end := bytes.IndexByte(data[len(s.prefix):min(len(data), maxMark)], '\036')
		switch {
		case end >= 0:
			s.mark(string(data[len(s.prefix) : len(s.prefix)+end]))
			data = data[len(s.prefix)+end+1:]
		case len(data) < maxMark:
			s.held = append([]byte(nil), data...)
			data = nil
		default:
			s.pass(data[:1])
			data = data[1:]
		}
	}
	return len(p), nil
}

// finish passes on what was held back when the stream has ended. An error is
// the writer's, now or earlier.
func (s *scanner) finish() error {
	held := s.held
	s.held = nil
	s.pass(held)
	return s.broken
}

func (s *scanner) pass(p []byte) {
	if len(p) == 0 {
		return
	}
	s.mu.Lock()
	started := s.seen.started
	if s.endAtExit && s.seen.exited {
		s.mu.Unlock()
		return
	}
	if started {
		s.bytes += int64(len(p))
	} else if len(s.noise) < maxNoise {
		s.noise = append(s.noise, p[:min(len(p), maxNoise-len(s.noise))]...)
	}
	s.mu.Unlock()
	if !started || s.broken != nil {
		return
	}
	if _, s.broken = s.out.Write(p); s.broken != nil && s.fail != nil {
		s.fail(s.broken)
	}
}

// mark reads one mark. The host wrote it, so nothing in it is believed beyond
// being a number; a mark that makes no sense changes nothing.
func (s *scanner) mark(text string) {
	f := strings.Fields(text)
	num := func(i int) int {
		if i >= len(f) {
			return 0
		}
		n, err := strconv.Atoi(f[i])
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	s.mu.Lock()
	switch {
	case len(f) == 4 && f[0] == "start" && !s.seen.started:
		s.seen.started, s.seen.pid, s.seen.pgid = true, num(1), num(2)
		if f[3] != "-" {
			s.seen.bootID = f[3]
		}
	case len(f) == 2 && f[0] == "fail" && !s.seen.started:
		s.seen.failed = f[1]
	case len(f) == 2 && f[0] == "signal" && s.seen.started && !s.seen.exited:
		s.seen.signal = num(1)
	case len(f) >= 2 && f[0] == "left" && s.seen.started && !s.seen.exited && len(s.seen.left) < maxLeft:
		s.seen.left = append(s.seen.left[:len(s.seen.left):len(s.seen.left)],
			mux.Survivor{PID: num(1), Command: termsafe.Line(strings.Join(f[2:], " "), maxMark)})
	case len(f) == 2 && f[0] == "ended" && s.seen.started && !s.seen.exited:
		s.seen.ended, s.seen.complete = true, f[1] == "1"
	case len(f) == 2 && f[0] == "exit" && s.seen.started && !s.seen.exited && num(1) < 256:
		s.seen.exited, s.seen.code = true, num(1)
	case len(f) == 3 && f[0] == "log" && s.seen.exited:
		s.seen.logged = [...]int64{int64(num(1)), int64(num(2))}
	}
	seen := s.seen
	s.mu.Unlock()
	if s.notify != nil {
		s.notify(seen)
	}
}

// state returns what was seen until now, and how many bytes of output.
func (s *scanner) state() (marks, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.bytes
}

// noiseText is what came before the start mark.
func (s *scanner) noiseText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.noise)
}
