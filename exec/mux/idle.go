package mux

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"bivy/exec/proc"
	"bivy/internal/atomicfile"
)

// Record describes a living master, for `bivy host ls`.
type Record struct {
	Format  int       `json:"format"`
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	Holder  int       `json:"holder_pid"`
	SSH     int       `json:"ssh_pid"`
	Started time.Time `json:"started"`
	// Human says that somebody typed during the login, touched a key, or may
	// have been asked by SSH_ASKPASS.
	Human bool `json:"human"`
}

// record writes down who the master is.
func (h *holder) record(ssh int) error {
	data, err := json.Marshal(Record{
		Format: 1, ID: h.spec.ID, Host: h.spec.Host, Holder: os.Getpid(), SSH: ssh, Started: time.Now(), Human: h.needsHuman(),
	})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(h.dir().sidecar(h.spec.ID, "json"), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("record the master: %w", err)
	}
	return nil
}

// needsHuman reports whether the login may have needed one. ssh says so when it
// waits for a touch (sshconnect2.c, sshkey notifier of OpenSSH 8.2 and later).
func (h *holder) needsHuman() bool {
	return h.typed() || h.spec.Human || strings.Contains(h.words.String(), "Confirm user presence")
}

// awaitEnd waits until ssh has ended, and ends it when it was idle long
// enough. It returns the session locks that it then holds, so that nobody
// finds the master while it goes away.
func (h *holder) awaitEnd(ended <-chan proc.Exit, cancel context.CancelFunc) []*flock.Flock {
	// A directory that we stand in could not be unmounted; ssh keeps its own.
	_ = os.Chdir("/")
	ticker := time.NewTicker(min(max(h.spec.Idle/4, 20*time.Millisecond), 30*time.Second))
	defer ticker.Stop()
	born := time.Now()
	for {
		select {
		case <-ended:
			return nil
		case now := <-ticker.C:
			if now.Sub(h.lastUse(born)) < h.spec.Idle {
				continue
			}
			if slots, ok := h.lockAll(); ok {
				cancel()
				<-ended
				return slots
			}
		}
	}
}

// lastUse is when a session was last taken or given back.
func (h *holder) lastUse(born time.Time) time.Time {
	last := born
	for i := range h.spec.Slots {
		if info, err := os.Stat(slotPath(h.dir(), h.spec.ID, i)); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

// lockAll takes all session locks, or none.
func (h *holder) lockAll() ([]*flock.Flock, bool) {
	slots := make([]*flock.Flock, 0, h.spec.Slots)
	for i := range h.spec.Slots {
		slot := flock.New(slotPath(h.dir(), h.spec.ID, i))
		if ok, err := slot.TryLock(); err != nil || !ok {
			unlockAll(slots)
			return nil, false
		}
		slots = append(slots, slot)
	}
	return slots, true
}

// busy counts the sessions that are taken now.
func (h *holder) busy() int {
	n := 0
	for i := range h.spec.Slots {
		slot := flock.New(slotPath(h.dir(), h.spec.ID, i))
		if ok, err := slot.TryRLock(); err == nil && !ok {
			n++
		}
		_ = slot.Close()
	}
	return n
}

func unlockAll(slots []*flock.Flock) {
	for _, slot := range slots {
		_ = slot.Close()
	}
}

// cleanUp leaves ssh's last words for those who lost their link, and nothing
// else of this master.
func (h *holder) cleanUp(slots []*flock.Flock) {
	defer unlockAll(slots)
	if words := h.words.String(); words != "" {
		_ = atomicfile.Write(h.dir().sidecar(h.spec.ID, "log"), []byte(words), 0o600)
	}
	removeStale(h.socket())
	_ = os.Remove(h.dir().sidecar(h.spec.ID, "json"))
}
