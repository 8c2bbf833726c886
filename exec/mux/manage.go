package mux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

// controlDeadline bounds every control operation: a master that is stopped
// answers nothing, and no option of ssh bounds that (OpenSSH 9.2).
const controlDeadline = 3 * time.Second

// Status is a master as `bivy host ls` shows it.
type Status struct {
	Record
	// Listening says that the control socket accepts.
	Listening bool
	// Busy is the number of sessions taken now.
	Busy int
}

// List returns the masters on record, with what their sockets say.
func (m *Masters) List() ([]Status, error) {
	files, err := filepath.Glob(filepath.Join(m.dir.path, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list the masters: %w", err)
	}
	var list []Status
	for _, file := range files {
		rec, err := readRecord(file)
		if err != nil {
			continue // it ended, or another version of bivy wrote it
		}
		list = append(list, Status{
			Record: rec, Busy: m.busy(rec.ID),
			Listening: probe(m.dir.socket(rec.ID)) == listening,
		})
	}
	return list, nil
}

func readRecord(file string) (Record, error) {
	var rec Record
	data, err := os.ReadFile(file)
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, err
	}
	if rec.Format != 1 || rec.ID != strings.TrimSuffix(filepath.Base(file), ".json") {
		return rec, errors.New("not a record of this version")
	}
	return rec, nil
}

// Connect logs in on a host unless its master is there already.
func (m *Masters) Connect(ctx context.Context, t Target) (Status, error) {
	r, err := m.route(ctx, t, true)
	if err != nil {
		return Status{}, err
	}
	// Somebody asks on purpose: what failed before does not count.
	m.forgetFailure(r.ID)
	m.forgetLimit(r.ID)
	m.forgetLimit(secondID(r.ID))
	if probe(m.dir.socket(r.ID)) != listening {
		if err := m.connect(ctx, r); err != nil {
			return Status{}, err
		}
	}
	rec, err := readRecord(m.dir.sidecar(r.ID, "json"))
	if err != nil {
		rec = Record{Format: 1, ID: r.ID, Host: string(t.Host)}
	}
	return Status{Record: rec, Listening: true, Busy: m.busy(r.ID)}, nil
}

// Check asks the master of a target whether it runs, without logging in. The
// error says why not.
func (m *Masters) Check(ctx context.Context, t Target) error {
	r, err := m.route(ctx, t, false)
	if err != nil {
		return err
	}
	return m.control(ctx, r.ID, string(t.Host), "check")
}

// control runs one `ssh -O` operation within its own deadline.
func (m *Masters) control(ctx context.Context, id, host, op string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, controlDeadline,
		fmt.Errorf("the master of %s did not answer within %s", host, controlDeadline))
	defer cancel()
	var words proc.Tail
	c := sshcmd.Control{SSH: m.cfg.SSH, ControlPath: m.dir.socket(id), Op: op}
	exit, err := proc.Run(ctx, proc.Spec{Args: c.Args(), Env: m.cfg.Env, Stderr: &words, Isolation: proc.Session, Signal: syscall.SIGKILL})
	if err != nil {
		return err
	}
	if !exit.OK() {
		return sshcmd.Classify(host, exit.Code, words.String())
	}
	return nil
}

// Close ends the masters of a target with all their sessions; closed is false
// where none was running.
func (m *Masters) Close(ctx context.Context, t Target) (closed bool, err error) {
	r, err := m.route(ctx, t, false)
	if err != nil {
		return false, err
	}
	// The second first, so that nobody takes a session there meanwhile for
	// want of one on the first.
	second := secondID(r.ID)
	if probe(m.dir.socket(second)) != absent {
		if closed, err = m.CloseID(ctx, second, string(t.Host)); err != nil {
			return closed, err
		}
	}
	first, err := m.CloseID(ctx, r.ID, string(t.Host))
	return closed || first, err
}

// CloseID is Close for one master from List, which may have two of a route. A socket on which something that is
// no master of ours listens is left alone, with an error.
func (m *Masters) CloseID(ctx context.Context, id, host string) (closed bool, err error) {
	socket, hold := m.dir.socket(id), flock.New(m.dir.sidecar(id, "hold"))
	before := probe(socket)
	m.forgetFailure(id)
	politely := m.control(ctx, id, host, "exit")
	// The holder follows its ssh; one whose ssh did not answer is told.
	rec, recErr := readRecord(m.dir.sidecar(id, "json"))
	for _, sig := range []syscall.Signal{0, syscall.SIGTERM, syscall.SIGKILL} {
		if sig != 0 && recErr == nil {
			_ = syscall.Kill(rec.Holder, sig)
		}
		if sig == syscall.SIGKILL && recErr == nil {
			_ = syscall.Kill(rec.SSH, sig)
		}
		wait, cancel := context.WithTimeout(ctx, controlDeadline)
		locked, err := hold.TryLockContext(wait, lockPoll)
		cancel()
		if locked {
			defer hold.Close() //nolint:errcheck // the lock ends with the descriptor
			removeStale(socket)
			if probe(socket) == listening {
				return false, fmt.Errorf("close the master of %s: somebody else listens on %s", host, socket)
			}
			return before == listening, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if recErr != nil && !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	if politely == nil {
		politely = errors.New("ssh took the order")
	}
	return false, fmt.Errorf("close the master of %s: its holder does not end: %w", host, politely)
}
