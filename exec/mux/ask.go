package mux

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"syscall"
	"time"
)

// answer is a holder's, with the connection on which more may come.
type answer struct {
	news
	conn  net.Conn
	lines *bufio.Scanner
}

// askHolder sends one order to a holder and waits for the answer. One that is
// given up is taken back, lest a holder that was only stopped takes our end
// for that of a command.
func (m *Masters) askHolder(ctx context.Context, id string, o order, limit time.Duration, want string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := m.dialHolder(ctx, id)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxNews)
	err = send(conn, o)
	if err == nil && lines.Scan() {
		var n news
		if json.Unmarshal(lines.Bytes(), &n) == nil && n.Is == want && stop() {
			return &answer{news: n, conn: conn, lines: lines}, nil
		}
	}
	_ = send(conn, order{Do: doOver})
	_ = conn.Close()
	if err == nil {
		err = errors.New("the holder gave no answer")
	}
	return nil, err
}

// dialHolder connects to a holder. A master listens a moment before its holder
// does, so one that is not there yet gets a little time.
func (m *Masters) dialHolder(ctx context.Context, id string) (net.Conn, error) {
	for end := time.Now().Add(holderLate); ; {
		conn, err := dialLocal(m.dir.control(id))
		if !errors.Is(err, syscall.ENOENT) || time.Now().After(end) || m.holderGone(id) || sleep(ctx, lockPoll) != nil {
			return conn, err
		}
	}
}

func send(conn net.Conn, o order) error {
	_ = conn.SetWriteDeadline(time.Now().Add(newsDeadline))
	_, err := conn.Write(o.line())
	return err
}

// YieldGuardian makes room on a host that refused a session to a command: the
// guardian leaves, and no other is started while that master lives. It returns
// when the guardian has left, or could not be reached.
func (m *Masters) YieldGuardian(ctx context.Context, id string) {
	a, err := m.askHolder(ctx, id, order{Do: doYield}, yieldAnswer, isYielded)
	if err == nil {
		_ = a.conn.Close()
	}
}

// makeRoom makes the holder give up its spare session, and open no other for a
// while. It reports whether there was one.
func (m *Masters) makeRoom(ctx context.Context, id string) bool {
	a, err := m.askHolder(ctx, id, order{Do: doRoom}, controlAnswer, isYielded)
	if err != nil {
		return false
	}
	_ = a.conn.Close()
	return a.Found
}
