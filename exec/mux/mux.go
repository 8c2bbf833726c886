// Package mux keeps one authenticated connection, a master, per route and
// shares it between all processes of the user.
//
// A master is the user's own `ssh -N` with our options in front. It runs under
// a small holder process (our own binary), which outlives the command that
// started it, keeps ssh's words, relays ssh's prompts while somebody is at a
// terminal, and ends the master after idle minutes. While commands run it keeps
// a guardian, a session on the host that ends them when the link goes silent or
// their process here is gone.
//
// Everything else is files in one private directory: ID is the control socket
// of a route's master and ID.ctl that of its holder; ID.lock is held while
// somebody logs in, ID.hold by the holder, ID.queue by the first of those who
// wait for a session, and ID.s0, ID.s1, … are the session leases. ID.json
// describes the master, ID.log keeps its last words, ID.fail the last failed
// login and ID.limit how many sessions the host gives. A route's second master
// is called IDb; what belongs to sessions over the user's own master is called
// IDu. Locks are kernel locks (flock), so a crash frees them; lock files are
// never deleted.
package mux

import (
	"context"
	"os"
	"time"

	"bivy/internal/termsafe"
)

// Defaults of Config.
const (
	// DefaultSessions stays below sshd's MaxSessions of 10, since a freed
	// lease is not at once a freed session on the host.
	DefaultSessions = 8
	DefaultWait     = 2 * time.Minute
	DefaultIdle     = 10 * time.Minute
)

// Config says how masters are started and shared.
type Config struct {
	// SSH is the ssh program, possibly of several words.
	SSH []string
	// Holder is the argv that runs Hold in a process of its own.
	Holder []string
	// Sockets is the wanted socket directory, see OpenDir.
	Sockets string
	// CacheDir keeps what is known of routes.
	CacheDir string
	// Env is the environment of ssh and its proxies.
	Env []string
	// Terminal, if any, is where ssh may ask the user.
	Terminal *Terminal
	// Askpass says that ssh may ask by the user's SSH_ASKPASS (see
	// sshcmd.Askpass); without it and without a terminal it may not ask at all.
	Askpass bool
	// Wait is the budget for connecting and for a free session. Zero fails
	// fast: one attempt, no queue.
	Wait time.Duration
	// Idle is how long a master without sessions stays.
	Idle time.Duration
	// Sessions is how many sessions share one master.
	Sessions int
	// Ride sends sessions through the user's own master where the user's
	// configuration names a ControlPath and one listens there. It is never
	// closed or replaced.
	Ride bool
}

// Masters starts, finds and shares the masters of one user.
type Masters struct {
	cfg Config
	dir Dir
}

// Open checks the socket directory and returns the masters in it. Zero fields
// of the configuration other than Wait get their defaults.
func Open(cfg Config) (*Masters, error) {
	if cfg.Idle == 0 {
		cfg.Idle = DefaultIdle
	}
	if cfg.Sessions == 0 {
		cfg.Sessions = DefaultSessions
	}
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	dir, err := OpenDir(cfg.Sockets)
	if err != nil {
		return nil, err
	}
	return &Masters{cfg: cfg, dir: dir}, nil
}

// Program is the ssh program in use, possibly of several words.
func (m *Masters) Program() []string { return m.cfg.SSH }

// Env is the environment that ssh gets.
func (m *Masters) Env() []string { return m.cfg.Env }

// Wait is the budget for connecting and for a free session.
func (m *Masters) Wait() time.Duration { return m.cfg.Wait }

// dialDeadline bounds a dial of a local socket.
const dialDeadline = 3 * time.Second

// sleep waits for d or for the end of ctx, whichever comes first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Words of ssh and its proxies are made safe for terminals before they are
// put into any error.
func safeWords(words string) string { return termsafe.Text(words) }
