package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"bivy/exec/proc"
)

// LinkFD is the descriptor on which a holder finds the socket to the process
// that started it.
const LinkFD = 3

const (
	// readyPoll is how often a holder looks whether the socket answers.
	readyPoll = 5 * time.Millisecond
	// takeover is how long a holder waits for its predecessor to end.
	takeover = 5 * time.Second
	// drain is how long a holder waits for the rest of ssh's words after
	// ssh's end: a proxy that lives on may hold the pipe.
	drain = 200 * time.Millisecond
)

// holder keeps one master.
type holder struct {
	spec  holderSpec
	link  *link
	words proc.Tail
	hold  *flock.Flock

	mu    sync.Mutex // guards the two below
	told  bool       // the starter has its answer, or is gone
	human bool       // somebody typed during the login
}

// Hold is the main function of a holder process. It reads what to do from the
// link, runs the master and returns when that has ended: by itself, because
// it was idle, because the starter went away during the login, or because ctx
// ended.
func Hold(ctx context.Context, link *os.File) error {
	// The kernel ends ssh with this thread, should we be killed.
	runtime.LockOSThread()
	l, err := newLink(link)
	if err != nil {
		return fmt.Errorf("open the link to the starter: %w", err)
	}
	h := &holder{link: l}
	if err := l.dec.Decode(&h.spec); err != nil {
		return fmt.Errorf("read what to hold: %w", err)
	}
	if h.spec.Format != 1 {
		return fmt.Errorf("cannot hold format %d; another version of bivy asked", h.spec.Format)
	}
	if err := h.run(ctx); err != nil {
		h.tell(message{Kind: kindExit, Trouble: err.Error()})
		return err
	}
	return nil
}

func (h *holder) dir() Dir       { return Dir{path: h.spec.Dir} }
func (h *holder) socket() string { return h.dir().socket(h.spec.ID) }

func (h *holder) run(ctx context.Context) error {
	if err := h.takeOver(ctx); err != nil {
		return err
	}
	defer h.hold.Close() //nolint:errcheck // the lock ends with the process
	removeStale(h.socket())
	// A record that is left is of a holder that was killed; its process ids
	// may be anybody's by now. Nobody listens on its control socket, either.
	_ = os.Remove(h.dir().sidecar(h.spec.ID, "json"))
	_ = os.Remove(h.dir().control(h.spec.ID))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ssh, err := h.startSSH(ctx)
	if err != nil {
		return err
	}
	go h.listen(ssh.keyboard, cancel)
	ended := make(chan proc.Exit, 1)
	go func() {
		exit, _ := ssh.process.Wait()
		hangUp(ssh.process.Pid())
		ended <- exit
	}()
	if exit, ok := h.awaitReady(ended); !ok {
		ssh.drain()
		h.tell(message{Kind: kindExit, Code: exit.Code, Interrupted: h.typed() && exit.Code == 128+int(syscall.SIGINT)})
		removeStale(h.socket())
		return nil
	}
	// Without a warden commands run as well; they are told that it is missing.
	if w, err := startWarden(ctx, h.spec, h.busy); err == nil {
		defer w.close()
	}
	if err := h.record(ssh.process.Pid()); err != nil {
		cancel()
		<-ended
		return err
	}
	h.tell(message{Kind: kindReady})
	_ = h.link.conn.Close()
	slots := h.awaitEnd(ended, cancel)
	ssh.drain()
	h.cleanUp(slots)
	return nil
}

// hangUp ends what ssh left behind in its process group. ssh hangs up on its
// ProxyCommand when it ends in good order; a signal during the login kills ssh
// and nothing else (sshconnect.c, OpenSSH 9.2), and a proxy that hangs does not
// notice the end of its stdin.
func hangUp(group int) { _ = syscall.Kill(-group, syscall.SIGHUP) }

// takeOver waits for the lock that exactly one holder of a route has.
func (h *holder) takeOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, takeover)
	defer cancel()
	h.hold = flock.New(h.dir().sidecar(h.spec.ID, "hold"))
	if _, err := h.hold.TryLockContext(ctx, lockPoll); err != nil {
		return errors.New("the last holder of this connection has not ended; try again, or run: bivy host close " + h.spec.Host)
	}
	return nil
}

// heard keeps ssh's words, and passes them on while the starter listens.
func (h *holder) heard(p []byte) {
	_, _ = h.words.Write(p)
	h.tellWhile(kindWords, p)
}

// tellWhile sends data to the starter unless that has its answer already.
func (h *holder) tellWhile(k kind, p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.told {
		_ = h.link.enc.Encode(message{Kind: k, Data: p})
	}
}

// tell sends the answer; nothing is sent after it.
func (h *holder) tell(msg message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.told {
		h.told = true
		_ = h.link.enc.Encode(msg)
	}
}

// listen carries the user's keys to ssh. When the starter goes away before
// the login has ended, it cancels the login.
func (h *holder) listen(keyboard io.Writer, cancel context.CancelFunc) {
	for {
		var msg message
		if err := h.link.dec.Decode(&msg); err != nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			if !h.told {
				h.told = true
				cancel()
			}
			return
		}
		if msg.Kind == kindInput && keyboard != nil {
			h.mu.Lock()
			h.human = true
			h.mu.Unlock()
			_, _ = keyboard.Write(msg.Data)
		}
	}
}

// typed reports whether somebody typed during the login.
func (h *holder) typed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.human
}

// awaitReady returns true as soon as the socket answers, or false with the
// end of ssh.
func (h *holder) awaitReady(ended <-chan proc.Exit) (proc.Exit, bool) {
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		select {
		case exit := <-ended:
			return exit, false
		case <-ticker.C:
			if probe(h.socket()) == listening {
				return proc.Exit{}, true
			}
		}
	}
}
