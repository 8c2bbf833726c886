package lane

import (
	"sync"

	"bivy/exec/proc"
)

// maxWords is how much of a call's stderr is kept, in bytes.
const maxWords = 8 << 10

// request is a call on its way.
type request struct {
	call Call
	done chan struct{} // closed when result and err are there

	result Result
	err    error
	words  proc.Tail

	// These belong to the pool's lock.
	lane  *lane // that it was given to
	sent  int   // how often
	gone  bool  // its caller waits no more
	ended [2]bool

	mu       sync.Mutex
	finished bool
	mute     bool // nobody takes its output any more
	held     []byte
	flowing  bool  // its Stdout got something
	refused  error // what its Stdout said
	unread   int   // bytes that came after that
}

const (
	// maxHeld is how much of an answer is kept until it is whole, in bytes: then
	// it can be asked for again where the lane is lost, and waits for nobody.
	maxHeld = 64 << 10
	// maxUnread is how much of an answer that nobody wants is read, in bytes,
	// before its lane is given up.
	maxUnread = 1 << 20
)

// take gets a part of the call's stdout. It reports whether the lane is worth
// going on with.
func (r *request) take(p []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mute || r.refused != nil || r.call.Stdout == nil {
		r.unread += len(p)
		return r.unread <= maxUnread
	}
	if !r.flowing && len(r.held)+len(p) <= maxHeld {
		r.held = append(r.held, p...)
		return true
	}
	r.flowing = true
	r.pass()
	if r.refused == nil {
		_, r.refused = r.call.Stdout.Write(p)
	}
	return true
}

// pass gives what was held to the call's Stdout. The caller holds r.mu.
func (r *request) pass() {
	if len(r.held) == 0 || r.mute || r.refused != nil {
		return
	}
	_, r.refused = r.call.Stdout.Write(r.held)
	r.held = nil
}

// abandon makes sure that the call's Stdout gets nothing from now on.
func (r *request) abandon() {
	r.mu.Lock()
	r.mute = true
	r.mu.Unlock()
}

// finish tells whoever waits. What comes second does nothing.
func (r *request) finish(result Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	if err == nil {
		r.pass()
		err = r.refused
	}
	r.finished, r.mute = true, true
	result.Words = r.words.String()
	r.result, r.err = result, err
	close(r.done)
}

// first reports whether a lane may begin with the call, which saves a round trip:
// the text that starts the lane runs it.
func (r *request) first() bool {
	return !r.call.Changes && len(r.call.Stdin) == 0 && len(r.call.Text) <= maxFirst
}

// maxFirst is the longest text of a call that a lane begins with, in bytes.
const maxFirst = 16 << 10

// repeat makes a call ready to be sent again after its lane was lost, and
// reports whether it may be.
func (r *request) repeat() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || r.flowing || r.refused != nil || r.sent >= tries {
		return false
	}
	r.held, r.lane, r.ended = nil, nil, [2]bool{}
	return true
}
