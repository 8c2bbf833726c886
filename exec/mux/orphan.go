package mux

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// holderGone reports whether nobody holds a master: its lock is held from
// before ssh starts until after it has ended. It is asked for as a reader, so
// that several who ask at once do not take each other for the holder.
func (m *Masters) holderGone(id string) bool {
	hold := flock.New(m.dir.sidecar(id, "hold"))
	defer hold.Close() //nolint:errcheck // the lock ends with the descriptor
	free, err := hold.TryRLock()
	return err == nil && free
}

// orphaned reports a master that listens although its holder is gone, killed
// in a way that ssh did not hear of. Nobody keeps its words, ends it when it
// is idle, or watches its commands.
func (m *Masters) orphaned(id string) bool {
	return probe(m.dir.socket(id)) == listening && m.holderGone(id)
}

// endOrphan ends an ssh that listens although its holder is gone: with an
// order, and where it does not take that, by its pid from the record that the
// holder left, if that is still an ssh for this socket. The caller has the
// holder's lock.
func (m *Masters) endOrphan(ctx context.Context, id string) {
	socket := m.dir.socket(id)
	gone := func() bool { return probe(socket) != listening }
	if gone() {
		return
	}
	_ = m.control(ctx, socket, id, "exit")
	if holdsWithin(ctx, controlDeadline, gone) {
		return
	}
	rec, err := readRecord(m.dir.sidecar(id, "json"))
	if err != nil || rec.SSH <= 1 {
		return
	}
	// Without /proc nobody can tell whose the number is by now.
	line, err := os.ReadFile("/proc/" + strconv.Itoa(rec.SSH) + "/cmdline")
	if err != nil || !strings.Contains(string(line), "\x00"+socket+"\x00") {
		return
	}
	_ = syscall.Kill(rec.SSH, syscall.SIGKILL)
	holdsWithin(ctx, controlDeadline, gone)
}

// within polls a condition.
func holdsWithin(ctx context.Context, limit time.Duration, holds func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if holds() {
			return true
		}
		if sleep(ctx, lockPoll) != nil {
			return false
		}
	}
	return holds()
}
