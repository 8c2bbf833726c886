package sandbox

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	gossh "golang.org/x/crypto/ssh"
)

const (
	// hangUpGrace is the time from SIGHUP to SIGKILL at the connection's end.
	hangUpGrace = 2 * time.Second
	// killGrace is how long killed processes may take to disappear.
	killGrace = 5 * time.Second
	// sweepEvery is the time between two looks at what is left.
	sweepEvery = 10 * time.Millisecond
)

// host is the state of one connection.
type host struct {
	ctx context.Context // for the log; its end does not end processes
	cfg Config

	mu sync.Mutex
	// closed is set when the connection has ended: no new sessions.
	closed bool
	// used counts the sessions against Config.MaxSessions.
	used int
	// open holds the sessions whose goroutines run.
	open map[*session]struct{}
	// idle is closed when the connection has ended and open is empty.
	idle chan struct{}
	// left are the ids of sessions whose leader has ended and whose other
	// processes have not. The system does not give such an id away again.
	left map[int]bool
}

func newHost(ctx context.Context, cfg Config) *host {
	return &host{
		ctx: context.WithoutCancel(ctx), cfg: cfg, idle: make(chan struct{}),
		open: map[*session]struct{}{}, left: map[int]bool{},
	}
}

// session serves one channel until it is closed and its command has ended.
func (h *host) session(offer gossh.NewChannel) {
	s := &session{host: h}
	if !h.enter(s) {
		// What sshd says; an ssh that shares a master shows it to its user
		// as "Session open refused by peer".
		_ = offer.Reject(gossh.ResourceShortage, "open failed")
		return
	}
	defer h.leave(s)
	ch, requests, err := offer.Accept()
	if err != nil {
		h.free()
		return
	}
	s.ch = ch
	s.serve(requests)
}

func (h *host) enter(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.cfg.MaxSessions > 0 && h.used >= h.cfg.MaxSessions {
		return false
	}
	h.used++
	h.open[s] = struct{}{}
	return true
}

// free gives the session's place to another one.
func (h *host) free() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used--
}

func (h *host) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, s)
	if h.closed && len(h.open) == 0 {
		close(h.idle)
	}
}

// remember notes what the ended leader has left running in its session, and
// forgets what has ended meanwhile.
func (h *host) remember(leader int) {
	h.mu.Lock()
	h.left[leader] = true
	ids := maps.Clone(h.left)
	h.mu.Unlock()
	for _, m := range membersOf(ids) {
		delete(ids, m.session)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range ids {
		delete(h.left, id)
	}
}

// end ends what the connection has left, unless that is to be kept.
func (h *host) end() error {
	h.mu.Lock()
	h.closed = true
	if len(h.open) == 0 {
		close(h.idle)
	}
	nothing := len(h.open) == 0 && len(h.left) == 0
	h.mu.Unlock()
	if nothing || h.cfg.KeepOrphans {
		return nil
	}
	h.signal(syscall.SIGHUP)
	// A stopped process must run to see the hang-up.
	h.signal(syscall.SIGCONT)
	if h.settled(hangUpGrace, nil) {
		return nil
	}
	kill := func() { h.signal(syscall.SIGKILL) }
	if h.settled(killGrace, kill) {
		return nil
	}
	return fmt.Errorf("sandbox: processes of the sessions do not end: %v", h.members())
}

// settled waits until all sessions and their processes have ended, calling
// again (if not nil) before each look; it is false when the time is over.
func (h *host) settled(limit time.Duration, again func()) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if again != nil {
			again()
		}
		select {
		case <-h.idle:
			if len(h.members()) == 0 {
				return true
			}
		default:
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
}

// signal sends the signal to every process of our sessions.
func (h *host) signal(sig syscall.Signal) {
	for _, p := range h.members() {
		zerolog.Ctx(h.ctx).Debug().Int("pid", p.pid).Stringer("signal", sig).Msg("sandbox ends a process")
		_ = syscall.Kill(p.pid, sig) // one that has ended meanwhile is no error
	}
}

// members returns the processes of all sessions of the connection.
func (h *host) members() []member {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := maps.Clone(h.left)
	for s := range h.open {
		if pid, ok := s.leader(); ok {
			ids[pid] = false
		}
	}
	return membersOf(ids)
}
