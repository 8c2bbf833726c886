package mux

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// openLock opens a lock file to be tried many times; the library's Flock
// closes its file after each try that was in vain.
func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a lock: %w", err)
	}
	return f, nil
}

// lockFile does one flock(2) and reports whether the lock was had. Without
// LOCK_NB it blocks in the kernel until it is.
func lockFile(f *os.File, how int) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// slot is the lock of one session of a master.
type slot struct {
	index int
	file  *os.File
}

func (s *slot) try() (bool, error) { return lockFile(s.file, unix.LOCK_EX|unix.LOCK_NB) }

// held reports whether somebody has the slot. A shared lock finds that out:
// any number of processes may look at once without seeing each other.
func (s *slot) held() bool {
	ok, err := lockFile(s.file, unix.LOCK_SH|unix.LOCK_NB)
	if ok {
		_, _ = lockFile(s.file, unix.LOCK_UN)
	}
	return err == nil && !ok
}

func (s *slot) close() { _ = s.file.Close() }

// slots are the session locks of one master, opened as they are needed.
type slots struct {
	dir  Dir
	id   string
	list []*slot
}

func (m *Masters) slots(id string) *slots {
	return &slots{dir: m.dir, id: id, list: make([]*slot, m.cfg.Sessions)}
}

func (s *slots) open(i int) (*slot, error) {
	if s.list[i] == nil {
		f, err := openLock(slotPath(s.dir, s.id, i))
		if err != nil {
			return nil, err
		}
		s.list[i] = &slot{index: i, file: f}
	}
	return s.list[i], nil
}

// take locks a free slot, in random order, unless limit slots are held. Only
// the head of the line calls it, so that what was counted stays true.
func (s *slots) take(limit int) (*slot, error) {
	if limit < len(s.list) {
		held, err := s.held()
		if err != nil || held >= limit {
			return nil, err
		}
	}
	first := rand.N(len(s.list)) //nolint:gosec // spreads wear, hides nothing
	for i := range s.list {
		i = (first + i) % len(s.list)
		one, err := s.open(i)
		if err != nil {
			return nil, err
		}
		ok, err := one.try()
		if err != nil {
			return nil, err
		}
		if ok {
			s.list[i] = nil // it is the caller's now
			one.inherit(time.Now())
			touch(one.file.Name())
			return one, nil
		}
	}
	return nil, nil
}

// held counts the slots that somebody has.
func (s *slots) held() (int, error) {
	n := 0
	for i := range s.list {
		one, err := s.open(i)
		if err != nil {
			return 0, err
		}
		if one.held() {
			n++
		}
	}
	return n, nil
}

func (s *slots) close() {
	for i, one := range s.list {
		if one != nil {
			one.close()
			s.list[i] = nil
		}
	}
}

func slotPath(d Dir, id string, i int) string {
	return d.sidecar(id, "s"+strconv.Itoa(i))
}

// touch marks a session lock as used now: the holder reads the time to tell
// how long the master has been idle.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// busy counts the session locks that are held now.
func (m *Masters) busy(id string) int {
	s := m.slots(id)
	defer s.close()
	n, err := s.held()
	if err != nil {
		return 0
	}
	return n
}
