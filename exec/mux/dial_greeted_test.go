package mux

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// countedMaster gives every session that it is asked for, and counts its
// connections.
func countedMaster(t *testing.T, env ...string) (*fakeMaster, *atomic.Int32) {
	t.Helper()
	var count atomic.Int32
	return newFakeMaster(t, func(conn *net.UnixConn) {
		count.Add(1)
		_, _ = conn.Write(packets(hello))
		if _, _, err := takeRequest(conn); err == nil {
			_, _ = conn.Write(packets(muxproto.SessionOpened{ID: requestID, Session: 3}, muxproto.Exit{Session: 3}))
		}
	}, env...), &count
}

// TestOneConnection: who has made sure of a master has a connection for the
// first session, and no second one is made for that.
func TestOneConnection(t *testing.T) {
	f, count := countedMaster(t)
	for want, before := range []func(){
		func() {
			if !f.greets(t.Context()) {
				t.Error("the master is not heard")
			}
		},
		func() {}, // the connection is used up
		func() {
			first, second := f.greets(t.Context()), f.greets(t.Context()) // a connection for each
			if !first || !second {
				t.Error("the master is not heard")
			}
		},
		func() { f.greets(t.Context()); f.greeted.began = time.Now().Add(-2 * fresh) },
	} {
		before()
		d, err := dial(t, f.Lease, "true")
		if err != nil {
			t.Fatal(err)
		}
		if e := d.wait(t); e.err != nil {
			t.Errorf("session %d: %+v", want, e)
		}
		if n := int(count.Swap(0)); n != []int{1, 1, 2, 2}[want] {
			t.Errorf("session %d: %d connections", want, n)
		}
		if f.greeted != nil {
			t.Errorf("session %d: a connection is kept", want)
		}
	}
}

// TestKeptConnectionEnds: it ends with its lease.
func TestKeptConnectionEnds(t *testing.T) {
	got := make(chan error, 1)
	f := newFakeMaster(t, func(conn *net.UnixConn) {
		_, _ = conn.Write(packets(hello))
		_, err := conn.Read(make([]byte, 1))
		got <- err
	})
	if !f.greets(t.Context()) || f.greeted == nil {
		t.Fatal("no connection is kept")
	}
	f.Release()
	select {
	case err := <-got:
		if !errors.Is(err, io.EOF) {
			t.Errorf("the master sees %v", err)
		}
	case <-time.After(patience):
		t.Error("the connection is open after the end of its lease")
	}
}

// TestNoConnectionKept: not where an ssh will make its own, nor one to a
// stranger, to somebody who is no master, or to a slow one.
func TestNoConnectionKept(t *testing.T) {
	t.Run("ssh", func(t *testing.T) {
		f, _ := countedMaster(t, muxVar+"="+waySSH)
		if !f.greets(t.Context()) || f.greeted != nil {
			t.Error("a connection is kept")
		}
	})
	t.Run("stranger", func(t *testing.T) {
		f, _ := countedMaster(t)
		if err := os.Chmod(f.ControlPath(), 0o666); err != nil {
			t.Fatal(err)
		}
		if f.greets(t.Context()); f.greeted != nil {
			t.Error("a connection is kept")
		}
	})
	t.Run("no master", func(t *testing.T) {
		f := newFakeMaster(t, func(conn *net.UnixConn) { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n") })
		if f.greets(t.Context()) || f.greeted != nil {
			t.Error("a connection is kept")
		}
	})
	t.Run("slow", func(t *testing.T) {
		gaveUp := false
		f := newFakeMaster(t, func(conn *net.UnixConn) {
			if !gaveUp {
				_, _ = conn.Read(make([]byte, 1)) // until we hang up
				gaveUp = true
				return
			}
			_, _ = conn.Write(packets(hello))
		})
		if !f.greets(t.Context()) || f.greeted != nil {
			t.Error("a slow master is not heard, or its connection is kept")
		}
	})
}

// TestKeptConnectionLost: a master that went away since its hello is found out
// as one that cannot be dialled: nothing has run.
func TestKeptConnectionLost(t *testing.T) {
	f := newFakeMaster(t, func(conn *net.UnixConn) { _, _ = conn.Write(packets(hello)) })
	if !f.greets(t.Context()) || f.greeted == nil {
		t.Fatal("no connection is kept")
	}
	eventually(t, "the master has ended", func() bool {
		_ = f.greeted.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := f.greeted.from.Peek(1)
		return errors.Is(err, io.EOF)
	})
	_ = f.greeted.conn.SetReadDeadline(time.Time{})
	_, err := dial(t, f.Lease, "true")
	wantClass(t, err, sshcmd.ClassMux)
}
