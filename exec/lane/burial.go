package lane

import (
	"errors"
	"time"

	"bivy/exec"
)

// burial is what a lane that is over leaves to do.
type burial struct {
	again  []*request // to be sent in another lane
	lost   []*request // to be told the error
	ended  *request   // ended by itself, and the lane with it
	reason error
}

// buried takes a lane that is over from the pool, and decides about the calls
// that were on their way in it.
func (p *Pool) buried(l *lane, receipt exec.Receipt, err error) {
	p.mu.Lock()
	b := l.leaves(receipt, err, p.closed)
	for i, other := range p.lanes {
		if other == l {
			p.lanes = append(p.lanes[:i:i], p.lanes[i+1:]...)
			break
		}
	}
	p.queue = append(b.again, p.queue...)
	if !l.ready {
		p.again = time.Now().Add(reopen)
		var lost *exec.LostError
		if len(p.lanes) == 0 && (len(b.again) == 0 || !errors.As(b.reason, &lost)) {
			// Nobody is left who could run what waits, and the next one would
			// fare no better.
			b.lost = append(b.lost, p.queue...)
			p.queue = nil
		}
	}
	p.dispatch()
	p.mu.Unlock()
	if b.ended != nil {
		b.ended.finish(Result{Status: statusAstray}, nil)
	}
	for _, r := range b.lost {
		r.finish(Result{}, b.reason)
	}
}

// leaves sorts the calls of a lane that is over. The caller holds the pool's
// lock.
func (l *lane) leaves(receipt exec.Receipt, err error, closed bool) burial {
	sent := l.sent
	l.sent = nil
	b := burial{reason: l.pool.lost(err)}
	astray := err == nil && receipt.State == exec.Exited && receipt.Code == statusAstray
	if astray && len(sent) > 0 {
		// The first one ended, with an answer or without, and ended the loop.
		// What waited behind it has not run.
		b.ended, sent = sent[0], sent[1:]
	}
	for _, r := range sent {
		if (astray || !r.call.Changes) && !closed && r.repeat() {
			b.again = append(b.again, r)
		} else {
			b.lost = append(b.lost, r)
		}
	}
	return b
}

// lost is what those are told whose lane is over. That it was we who ended it is
// nothing to them.
func (p *Pool) lost(err error) error {
	var canceled *exec.CanceledError
	switch {
	case errors.As(err, &canceled):
		return &exec.LostError{Host: p.host, Started: true, Ended: canceled.Confirmed, MasterAlive: true}
	case err == nil:
		return &exec.LostError{Host: p.host, Started: true, MasterAlive: true}
	}
	return err
}
