package lane

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"bivy/exec"
	"bivy/exec/frame"
	"bivy/sshcmd"
)

//go:embed lane.sh
var script string

// Statuses of a loop that ended by itself (lane.sh).
const (
	statusAstray = 75 // a call left an unknown part of its stdin
	statusBroken = 76 // what came was no request
)

// maxLine is the longest text that the host's shell reads by itself, in bytes.
const maxLine = 1 << 10

// lane is one session. All but its constants belong to the pool's lock.
type lane struct {
	pool  *Pool
	in    *outbox
	end   context.CancelFunc // ends the session and what runs in it
	nonce string

	hello   [2]bool    // the loop has said on its streams that it is there
	ready   bool       // it has said so on both
	leaving bool       // it gets no more calls
	sent    []*request // on their way, in their order
	defined map[string]bool
	idle    *time.Timer
}

// start opens another lane, which begins with a call unless that is nil. The
// caller holds p.mu.
func (p *Pool) start(first *request) {
	ctx, end := context.WithCancel(p.ctx)
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	l := &lane{pool: p, in: newOutbox(), end: end, nonce: hex.EncodeToString(b[:]), defined: map[string]bool{}}
	l.idle = time.AfterFunc(idle, l.rest)
	l.idle.Stop()
	begin := ""
	if first != nil {
		first.lane = l
		first.sent++
		l.sent = []*request{first}
		l.defined[first.call.Define] = true
		begin = first.call.Define + "\nbivy_serve 0 " + sshcmd.Quote(first.call.Text) + "\nbivy_said \"$L_status\"\n"
	}
	p.lanes = append(p.lanes, l)
	p.alive.Add(1)
	go func() {
		defer p.alive.Done()
		defer end()
		l.run(ctx, begin)
	}()
}

// run is the lane's life. It begins with a text.
func (l *lane) run(ctx context.Context, begin string) {
	out, errs := l.reply(0), l.reply(1)
	c := exec.Command{
		Script: frame.Strip(script) + "L_nonce=" + l.nonce + "\nbivy_said 0\n" + begin + "bivy_lane\n",
		Stdin:  l.in, Stdout: out, Stderr: errs,
	}
	receipt, err := l.pool.open(ctx, c, l.leaveSoon)
	l.in.drop()
	l.idle.Stop()
	l.pool.buried(l, receipt, err)
}

// send puts a call on its way. The caller holds the pool's lock.
func (l *lane) send(r *request) {
	r.lane = l
	r.sent++
	l.idle.Stop()
	l.sent = append(l.sent, r)
	if text := r.call.Define; text != "" && !l.defined[text] {
		l.defined[text] = true
		l.in.put([]byte("define 0 " + strconv.Itoa(len(text)) + "\n" + text))
	}
	length := strconv.Itoa(len(r.call.Stdin))
	if text := r.call.Text; oneLine(text) {
		l.in.put([]byte("call " + length + " " + text + "\n"))
	} else {
		l.in.put([]byte("long " + length + " " + strconv.Itoa(len(text)) + "\n" + text))
	}
	l.in.put(r.call.Stdin)
}

// oneLine reports whether every shell's read gets a text as it is: printable
// ASCII and the record separator, which marks begin with, without blanks around
// it, and short.
func oneLine(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < ' ' || c > '~') && c != '\x1e' {
			return false
		}
	}
	return len(text) <= maxLine && strings.TrimSpace(text) == text && text != ""
}

// leave lets the lane end as soon as its calls have ended. The caller holds the
// pool's lock.
func (l *lane) leave() {
	l.leaving = true
	if len(l.sent) == 0 {
		l.in.close()
	}
}

// leaveSoon is leave, for who does not hold the lock.
func (l *lane) leaveSoon() {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	l.leave()
	l.pool.dispatch()
}

// rest ends a lane that had nothing to do for long.
func (l *lane) rest() {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if len(l.sent) == 0 {
		l.leave()
	}
}

// hurry ends the lane where a call that nobody waits for stands in its way.
func (l *lane) hurry(r *request) {
	time.AfterFunc(leaveWait, func() {
		select {
		case <-r.done:
		default:
			l.end()
		}
	})
}
