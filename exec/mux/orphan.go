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
// holder left. The caller has the holder's lock.
func (m *Masters) endOrphan(ctx context.Context, id string) {
	socket := m.dir.socket(id)
	gone := func() bool { return probe(socket) != listening }
	if gone() {
		return
	}
	ssh, known := m.recorded(id)
	err := m.at(id, id, "").Terminate(ctx)
	if err != nil && ssh == 0 || holdsWithin(ctx, controlDeadline, gone) || !known {
		return
	}
	_ = syscall.Kill(ssh, syscall.SIGKILL)
	holdsWithin(ctx, controlDeadline, gone)
}

// recorded is the process on record as the ssh of a master, or 0. Where its
// holder is gone, it is known only where there is a /proc, as the number may be
// somebody else's by now; one that is, is no more on record.
func (m *Masters) recorded(id string) (ssh int, known bool) {
	rec, err := readRecord(m.dir.sidecar(id, "json"))
	if err != nil || rec.SSH <= 1 {
		return 0, false
	}
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		return rec.SSH, false
	}
	line, err := os.ReadFile("/proc/" + strconv.Itoa(rec.SSH) + "/cmdline")
	if err != nil || !strings.Contains(string(line), "\x00"+m.dir.socket(id)+"\x00") {
		return 0, false
	}
	return rec.SSH, true
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
