package exec

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"bivy/exec/mux"
	"bivy/integration/sshdtest"
	"bivy/sshcmd/muxproto"
)

// Somebody who speaks like a master where one would listen, and then falls
// silent, is found out within a second. Nothing is sent to him twice, and he is
// left alone.
func TestStrangerThatOnlyGreets(t *testing.T) {
	t.Setenv(wayVar, wayDirect)
	w := newWorld(t, sshdtest.Options{})
	lease, err := w.masters.Lease(t.Context(), w.target)
	if err != nil {
		t.Fatal(err)
	}
	socket := lease.ControlPath()
	lease.Release()
	if _, err := w.masters.Close(t.Context(), w.target); err != nil {
		t.Fatal(err)
	}
	hello, err := muxproto.Append(nil, muxproto.Hello{Version: muxproto.Version})
	if err != nil {
		t.Fatal(err)
	}
	greet(t, socket, hello)
	const refusalTime = time.Second
	began := time.Now()
	receipt, err := Run(t.Context(), w.masters, w.target, Command{Argv: []string{"true"}})
	if took := time.Since(began); took > 5*refusalTime {
		t.Errorf("that took %s", took)
	}
	var silent *mux.SilentError
	if !errors.As(err, &silent) || receipt.State != NeverStarted {
		t.Errorf("the receipt is %+v, the error %v", receipt, err)
	}
	if n := w.server.Logins(t); n != 1 {
		t.Errorf("%d logins, want the first one only", n)
	}
}

// greet listens on a socket, and says the same to everybody.
func greet(t *testing.T, socket string, words []byte) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				_, _ = conn.Write(words)
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
}
