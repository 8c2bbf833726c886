package mux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

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
	if own := m.ridden(ctx, r); own != "" {
		if _, err := m.at(rideID(r.ID), string(t.Host), own).Check(ctx); err != nil {
			return Status{}, &OwnMasterError{Host: string(t.Host), Path: own}
		}
		return Status{Record: Record{Format: 1, ID: rideID(r.ID), Host: string(t.Host)}, Listening: true, Busy: m.busy(rideID(r.ID))}, nil
	}
	if err := m.ready(ctx, r); err != nil {
		return Status{}, err
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
	master := m.at(r.ID, string(t.Host), "")
	if own := m.ridden(ctx, r); own != "" {
		master = m.at(rideID(r.ID), string(t.Host), own)
	}
	_, err = master.Check(ctx)
	return err
}

// Close ends the masters of a target with all their sessions; closed is false
// where none was running. The user's own is never closed: where there is only
// that, the error is *OwnMasterError.
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
	closed = closed || first
	if own := m.ridden(ctx, r); own != "" && err == nil && !closed {
		return false, &OwnMasterError{Host: string(t.Host), Path: own, Closing: true}
	}
	return closed, err
}

// CloseID is Close for one master from List, which may have two of a route. A
// socket on which something that is no master of ours listens is left alone,
// with an error: *SilentError, *ProtocolError or *SocketError where it is not
// even known to be one.
func (m *Masters) CloseID(ctx context.Context, id, host string) (closed bool, err error) {
	socket := m.dir.socket(id)
	before := probe(socket)
	m.forgetFailure(id)
	master := m.at(id, host, "")
	politely := master.Terminate(ctx)
	if answersNot(politely) && master.OnStranger() {
		return false, fmt.Errorf("close the master of %s: somebody else listens on %s: %w", host, socket, politely)
	}
	// The holder follows its ssh; one whose ssh did not answer is told.
	wait := controlDeadline
	if politely != nil && before == listening {
		wait = 0
	}
	hold, err := m.end(ctx, id, wait)
	if err == nil {
		defer hold.Close() //nolint:errcheck // the lock ends with the descriptor
		if probe(socket) == listening {
			return false, fmt.Errorf("close the master of %s: somebody else listens on %s", host, socket)
		}
		return before == listening, nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if politely == nil {
		politely = errors.New("ssh took the order")
	}
	return false, fmt.Errorf("close the master of %s: %w (%w)", host, err, politely)
}
