package mux

import (
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hold takes the place of a holder, until the test ends or gives it up.
func hold(t *testing.T, l *Lease) (free func()) {
	t.Helper()
	file, err := openLock(l.ControlPath() + ".hold")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if ok, err := lockFile(file, unix.LOCK_EX|unix.LOCK_NB); !ok || err != nil {
		t.Fatalf("the lock of the holder: %v, %v", ok, err)
	}
	return func() { _ = file.Close() }
}

// listen serves the connections to a socket until the test ends.
func listen(t *testing.T, socket string, serve func(*net.UnixConn)) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			wg.Go(func() {
				serve(conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
}
