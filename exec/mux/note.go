package mux

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unendedLife is how long a command whose end nobody saw is taken to be there.
const unendedLife = time.Minute

// note is what the file of a session's lock says, in lines:
//
//	run       the host gave a session; the end of its command is not certain
//	refused   the host gave none yet
//	lost N    the end of an earlier command was not seen, as was noticed at
//	          N, in seconds since 1970
//
// It is written under the lock. One that says run without being locked is of
// a command that may still run, such as that of a killed process.
type note struct {
	run     bool
	refused bool
	lost    time.Time
}

func (n note) unended(now time.Time) bool {
	return now.Sub(n.lost) < unendedLife
}

func (s *slot) read() note {
	var buf [64]byte
	size, _ := s.file.ReadAt(buf[:], 0)
	var n note
	for line := range strings.Lines(string(buf[:size])) {
		line = strings.TrimSpace(line)
		switch at, isLost := strings.CutPrefix(line, "lost "); {
		case line == "run":
			n.run = true
		case line == "refused":
			n.refused = true
		case isLost:
			if seconds, err := strconv.ParseInt(at, 10, 64); err == nil {
				n.lost = time.Unix(seconds, 0)
			}
		}
	}
	return n
}

// write replaces the note. A failure, such as a full disk, costs only what
// could have been learned.
func (s *slot) write(n note) {
	text := ""
	if !n.lost.IsZero() {
		text = "lost " + strconv.FormatInt(n.lost.Unix(), 10) + "\n"
	}
	if n.run {
		text += "run\n"
	}
	if n.refused {
		text += "refused\n"
	}
	_, _ = s.file.WriteAt([]byte(text), 0)
	_ = s.file.Truncate(int64(len(text)))
}

// inherit turns the note of whoever had the lock before into what it means
// for us, who have it now.
func (s *slot) inherit(now time.Time) note {
	old := s.read()
	n := note{}
	switch {
	case old.run:
		n.lost = now
	case old.unended(now):
		n.lost = old.lost
	}
	if n != old {
		s.write(n)
	}
	return n
}

// Began notes that the host gave the session: the command's start was seen.
func (l *Lease) Began() {
	l.refused = refusals{}
	if l.slot != nil {
		l.slot.write(note{run: true, lost: l.slot.read().lost})
	}
}

// refusal notes that the host gave no session.
func (l *Lease) refusal() {
	if l.slot != nil {
		l.slot.write(note{refused: true, lost: l.slot.read().lost})
	}
}

// Over notes that the end of the command is certain. A lease that is given
// back without it leaves a command that may still run, and have a session.
func (l *Lease) Over() {
	if l.slot != nil {
		l.slot.write(note{lost: l.slot.read().lost})
	}
}

// crowd is what the other leases of a master are doing.
type crowd struct {
	held    int  // leases, whether or not their command runs
	running int  // those whose command was seen to start, and not to end
	given   int  // those that may have a session: all that were not refused
	unended bool // a command whose end nobody saw may have one, too
}

func (l *Lease) crowd(now time.Time) (crowd, error) {
	var c crowd
	all := l.masters.slots(l.id)
	defer all.close()
	for i := range all.list {
		if l.slot != nil && i == l.slot.index {
			c.unended = c.unended || l.slot.read().unended(now)
			continue
		}
		one, err := all.open(i)
		if err != nil {
			return c, err
		}
		n := one.read()
		if one.held() {
			c.held++
			if n.run {
				c.running++
			}
			if !n.refused {
				c.given++
			}
		} else if n.run {
			n = one.discover(now)
		}
		c.unended = c.unended || n.unended(now)
	}
	return c, nil
}

// discover looks again at a lock that nobody has, and that says run.
func (s *slot) discover(now time.Time) note {
	if ok, err := s.try(); err != nil || !ok {
		return note{lost: now} // somebody is faster, and finds the same
	}
	defer lockFile(s.file, unix.LOCK_UN) //nolint:errcheck // the lock ends with the descriptor, too
	return s.inherit(now)
}

// forgetNotes clears what is said of commands on a connection that is gone.
func (m *Masters) forgetNotes(id string) {
	all := m.slots(id)
	defer all.close()
	for i := range all.list {
		one, err := all.open(i)
		if err != nil {
			return
		}
		if ok, err := one.try(); err == nil && ok {
			if one.read() != (note{}) {
				one.write(note{})
			}
		}
	}
}
