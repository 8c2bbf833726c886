package mux

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"bivy/sshcmd"
)

// spareAnswer is how long a command waits for a spare before it opens a session
// of its own. The holder answers at once, or has stopped.
const spareAnswer = 50 * time.Millisecond

// spareSlack is how many times as long as it took to open a spare the host may
// take to answer in it, beside spareAnswer.
const spareSlack = 4

// welcome tells a new command that it is registered, and hands it the spare
// session, if there is one.
func (w *warden) welcome(r *watched) {
	here := news{Is: isHere, Why: w.why}
	s := w.spare
	if !r.spare || s == nil {
		r.tell(here)
		return
	}
	w.spare = nil
	defer s.Close() // the command has descriptors of its own
	if s.calm() {
		given := here
		given.Spare = &spareNews{Session: s.Channel.session, Took: int(s.took/time.Millisecond) + 1, Exact: true}
		if r.client.hand(given, s) == nil {
			return
		}
	}
	r.tell(here)
}

// keepSpare opens a spare session, and gives it up. A host that has a guardian
// gives more than one session at a time.
func (w *warden) keepSpare(ctx context.Context, now time.Time, next *alarm) {
	lively := len(w.runs) > 0 || now.Sub(w.empty) < w.spec.GuardIdle
	switch {
	case w.spare != nil && (!lively || now.Sub(w.spare.born) >= spareLife):
		w.dropSpare()
	case w.spare != nil:
		next.at(w.spare.born.Add(spareLife))
		if len(w.runs) == 0 {
			next.at(w.empty.Add(w.spec.GuardIdle))
		}
	case !w.spec.Spare || w.spareOnWay || w.alone || !lively || len(w.runs) > spareCrowd || now.Before(w.spareAfter):
	case w.guardian == nil || !w.guardian.listens():
	default:
		if may, _ := w.master.Dials(); !may {
			return
		}
		w.spareOnWay = true
		w.work.Go(func() { w.bringSpare(ctx) })
	}
}

// bringSpare opens a session, and watches over it until it is taken.
func (w *warden) bringSpare(ctx context.Context) {
	s, err := w.master.openSpare(ctx)
	w.post(ctx, func(now time.Time) {
		w.spareOnWay = false
		switch {
		case err != nil:
			w.spareFailed(now, err)
			return
		case now.Before(w.spareAfter):
			s.Close() // room was needed meanwhile
			return
		}
		w.spare = s
		w.work.Go(func() { w.watchSpare(ctx, s) })
	})
	if s != nil && ctx.Err() != nil {
		s.Close() // the loop has ended, perhaps before it took it
	}
}

// watchSpare gives up a spare that the host has ended. A host that ends them
// is left alone for a while.
func (w *warden) watchSpare(ctx context.Context, s *Spare) {
	s.watch()
	if s.quiet || ctx.Err() != nil {
		return
	}
	w.post(ctx, func(now time.Time) {
		if w.spare == s {
			w.dropSpare()
			w.spareAfter = now.Add(spareLife)
		}
	})
}

// spareFailed leaves a host alone that gave no spare: for long where it has no
// session more.
func (w *warden) spareFailed(now time.Time, err error) {
	rest := spareLife
	var said *sshcmd.Error
	if errors.As(err, &said) && said.Class == sshcmd.ClassMuxRefused {
		rest = spareRest
	}
	w.spareAfter = now.Add(rest)
}

// restSpare gives the spare up, if there is one or is about to be, and does
// without for a while.
func (w *warden) restSpare(now time.Time) (had bool) {
	had = w.spare != nil || w.spareOnWay
	w.dropSpare()
	w.spareAfter = now.Add(spareRest)
	return had
}

func (w *warden) dropSpare() {
	if w.spare != nil {
		w.spare.Close()
		w.spare = nil
	}
}

// receiveSpare reads the holder's answer to a new command with what comes along.
// It returns what it read, and nil where no spare came in time; one that comes
// later is closed by the system, since it is not asked for then.
func (l *Lease) receiveSpare(ctx context.Context, conn net.Conn) (heard []byte, s *Spare) {
	local, ok := conn.(syscall.Conn)
	if !ok {
		return nil, nil
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return nil, nil
	}
	line, rights := make([]byte, maxOrder), make([]byte, unix.CmsgSpace(4*2*spareFiles))
	_ = conn.SetReadDeadline(time.Now().Add(spareAnswer))
	defer conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the next use tells
	var n, with int
	err = raw.Read(func(fd uintptr) bool {
		// No child may get the descriptors before they are marked.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		var err error
		n, with, _, _, err = unix.Recvmsg(int(fd), line, rights, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return false
		}
		for _, fd := range passed(rights[:max(with, 0)]) {
			unix.CloseOnExec(fd)
		}
		return true
	})
	if err != nil || n <= 0 {
		return nil, nil
	}
	fds := passed(rights[:with])
	session, _, ok := spareIn(line[:n])
	if !ok {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		return line[:n], nil
	}
	if s, err = l.spare(ctx, fds, session.Session); err != nil {
		return line[:n], nil
	}
	s.Exact = session.Exact
	if err := s.greet(ctx, min(spareAnswer+spareSlack*time.Duration(session.Took)*time.Millisecond, spareStart)); err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("the session that was open does not answer")
		s.Close()
		return line[:n], nil
	}
	return line[:n], s
}

// passed are the descriptors in a control message.
func passed(rights []byte) []int {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	var all []int
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			all = append(all, fds...)
		}
	}
	return all
}

// spareNews says which session comes along with news, how long it took to open,
// in milliseconds, and whether its shell knows frames with something behind
// them, as that of a holder of an earlier version does not.
type spareNews struct {
	Session uint32 `json:"session"`
	Took    int    `json:"took_ms"`
	Exact   bool   `json:"exact,omitempty"`
}

// spareIn reads that from the first line of an answer, and returns the rest of
// the line. It takes nothing but what news are written as: to decode JSON costs a
// short command more than the session.
func spareIn(answer []byte) (n spareNews, more []byte, ok bool) {
	line, _, _ := bytes.Cut(answer, []byte("\n"))
	rest, ok := strings.CutPrefix(string(line), `{"is":"`+isHere+`","spare":{"session":`)
	session, rest, two := strings.Cut(rest, `,"took_ms":`)
	took, rest, three := strings.Cut(rest, "}")
	took, exact := strings.CutSuffix(took, `,"exact":true`)
	if !ok || !two || !three {
		return n, nil, false
	}
	number, err := strconv.ParseUint(session, 10, 32)
	millis, err2 := strconv.ParseUint(took, 10, 16)
	n = spareNews{Session: uint32(number), Took: int(millis), Exact: exact}
	return n, []byte(rest), err == nil && err2 == nil
}

// Spares reports whether commands may start in a session that was opened
// before.
func (m *Masters) Spares() bool { return m.cfg.Spare }
