package mux

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	// maxControls bounds the control connections of one holder. A command has
	// one, and so few run on a master that whoever comes beyond it is no friend.
	maxControls = 256
	// maxOrder bounds a line from a client, in bytes.
	maxOrder = 1 << 10
	// firstOrder is how long a client may take to say what it wants.
	firstOrder = 5 * time.Second
	// newsDeadline is how long a client's socket may refuse a line from us.
	newsDeadline = 100 * time.Millisecond
)

// order is one line of JSON from a running bivy to the holder.
type order struct {
	Do string `json:"do"`
	// Of run: what to watch. Grace counts seconds.
	Run      string `json:"run,omitempty"`
	Grace    int    `json:"grace_s,omitempty"`
	Lifeline bool   `json:"lifeline,omitempty"`
	Keep     bool   `json:"keep,omitempty"`
	Spare    bool   `json:"spare,omitempty"`
	// PID is the supervisor's on the host, of started.
	PID int `json:"pid,omitempty"`
}

// What an order may do. A connection begins with run, or with yield or room,
// which make room on the host: by the guardian and the spare session, or by the
// latter alone.
const (
	doRun     = "run"
	doStarted = "started"
	doEnd     = "end"
	doKill    = "kill"
	doOver    = "over"
	doYield   = "yield"
	doRoom    = "room"
)

// line is the order as it is sent. Every command sends some, and to have
// encoding/json look at the type first would take as long as the rest of them.
func (o order) line() []byte {
	b := append(append([]byte(`{"do":"`), o.Do...), '"')
	if o.Run != "" {
		b = strconv.AppendQuote(append(b, `,"run":`...), o.Run)
	}
	for _, number := range []struct {
		name  string
		value int
	}{{"grace_s", o.Grace}, {"pid", o.PID}} {
		if number.value != 0 {
			b = strconv.AppendInt(append(append(append(b, `,"`...), number.name...), `":`...), int64(number.value), 10)
		}
	}
	if o.Lifeline {
		b = append(b, `,"lifeline":true`...)
	}
	if o.Keep {
		b = append(b, `,"keep":true`...)
	}
	if o.Spare {
		b = append(b, `,"spare":true`...)
	}
	return append(b, "}\n"...)
}

// news is one line of JSON from the holder to a running bivy.
type news struct {
	Is string `json:"is"`
	// Spare, of here, is the session that comes along.
	Spare     *spareNews `json:"spare,omitempty"`
	Why       string     `json:"why,omitempty"`
	Found     bool       `json:"found,omitempty"`
	Complete  bool       `json:"complete,omitempty"`
	Survivors []Survivor `json:"survivors,omitempty"`
}

// read decodes a line. What every command hears is known by its looks: the first
// use of encoding/json takes longer than all else that a short command does here.
func (n *news) read(line []byte) error {
	_, rest, ok := spareIn(line)
	switch {
	case ok && string(rest) == "}", string(line) == `{"is":"`+isHere+`"}`:
		*n = news{Is: isHere}
		return nil
	case string(line) == `{"is":"`+isWatching+`"}`:
		*n = news{Is: isWatching}
		return nil
	}
	return json.Unmarshal(line, n)
}

// What news may be: the run is registered; the guardian knows it; there is no
// guardian, and why; the guardian's report; no report is to be expected; the
// guardian has gone to make room.
const (
	isHere      = "here"
	isWatching  = "watching"
	isUnwatched = "unwatched"
	isEnded     = "ended"
	isLost      = "lost"
	isYielded   = "yielded"
)

// client is one connection to the control socket.
type client struct{ conn net.Conn }

// tell sends news. A client that does not read is cut off, which counts as
// its end.
func (c *client) tell(n news) {
	line, err := json.Marshal(n)
	if err == nil {
		_ = c.conn.SetWriteDeadline(time.Now().Add(newsDeadline))
		_, err = c.conn.Write(append(line, '\n'))
	}
	if err != nil {
		_ = c.conn.Close()
	}
}

// hand sends news along with a spare session.
func (c *client) hand(n news, s *Spare) error {
	line, err := json.Marshal(n)
	if err != nil {
		return err
	}
	rights, err := s.rights()
	if err != nil {
		return err
	}
	conn, ok := c.conn.(*net.UnixConn)
	if !ok {
		return errors.New("not a local socket")
	}
	_ = conn.SetWriteDeadline(time.Now().Add(newsDeadline))
	_, _, err = conn.WriteMsgUnix(append(line, '\n'), rights, nil)
	return err
}

// listenControl makes the control socket. The caller has the lock of the
// holder, so one that is there belongs to nobody.
func listenControl(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the last control socket: %w", err)
	}
	l, err := net.Listen("unix", path) //nolint:noctx // a local bind does not wait
	if err != nil {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	// The directory is ours alone already.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("make the control socket private: %w", err)
	}
	return l, nil
}

// accept serves clients until the listener is closed.
func (w *warden) accept(ctx context.Context, l net.Listener) {
	free := make(chan struct{}, maxControls)
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// No descriptors are left, for one: that passes.
			if sleep(ctx, newsDeadline) != nil {
				return
			}
			continue
		}
		select {
		case free <- struct{}{}:
			w.work.Go(func() {
				w.serve(ctx, conn)
				<-free
			})
		default:
			_ = conn.Close()
		}
	}
}

// serve takes the orders of one client.
func (w *warden) serve(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close() //nolint:errcheck // nothing is left to say
	c := &client{conn: conn}
	lines := bufio.NewReaderSize(conn, maxOrder)
	_ = conn.SetReadDeadline(time.Now().Add(firstOrder))
	first, err := readOrder(lines)
	if err != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	switch first.Do {
	case doYield:
		left := make(chan struct{})
		w.post(ctx, func(now time.Time) { w.yield(now, func() { close(left) }) })
		select {
		case <-left:
			c.tell(news{Is: isYielded})
		case <-ctx.Done():
		}
	case doRoom:
		had := make(chan bool, 1)
		w.post(ctx, func(now time.Time) { had <- w.restSpare(now) })
		select {
		case found := <-had:
			c.tell(news{Is: isYielded, Found: found})
		case <-ctx.Done():
		}
	case doRun:
		r := first.watched(c)
		if r == nil {
			return
		}
		taken := make(chan bool, 1)
		w.post(ctx, func(now time.Time) { taken <- w.register(now, r) })
		select {
		case ok := <-taken:
			if ok {
				w.follow(ctx, r, lines)
			}
		case <-ctx.Done():
		}
	}
}

// follow takes the orders about one command until it is over, or its client
// is gone.
func (w *warden) follow(ctx context.Context, r *watched, lines *bufio.Reader) {
	for {
		o, err := readOrder(lines)
		if err != nil {
			w.post(ctx, func(now time.Time) { w.orphan(now, r) })
			return
		}
		switch o.Do {
		case doStarted:
			w.post(ctx, func(time.Time) { r.begin(o.PID) })
		case doEnd, doKill:
			w.post(ctx, func(time.Time) { w.endRun(r, o.Do) })
		case doOver:
			w.post(ctx, func(now time.Time) { w.forget(now, r) })
			return
		}
	}
}

// readOrder reads one line. One that is too long or no order is an error.
func readOrder(lines *bufio.Reader) (order, error) {
	line, err := lines.ReadSlice('\n')
	if err != nil {
		return order{}, err
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return order{}, err
	}
	return o, nil
}
