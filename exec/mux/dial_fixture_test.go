package mux

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bivy/sshcmd/muxproto"
)

// fakeMaster listens where the master of a lease would.
type fakeMaster struct {
	*Lease
	listener *net.UnixListener
}

// newFakeMaster starts a listener that answers each connection in its own way.
func newFakeMaster(t *testing.T, serve func(*net.UnixConn), env ...string) *fakeMaster {
	t.Helper()
	home, err := os.MkdirTemp("/tmp", "mux") //nolint:usetesting // sockets do not fit below t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	m, err := Open(Config{SSH: []string{"ssh"}, Sockets: filepath.Join(home, "m"), Env: append(append(os.Environ(), muxVar+"="+wayAuto), env...)})
	if err != nil {
		t.Fatal(err)
	}
	l := &Lease{masters: m, id: "0123456789abcdef", route: route{Target: Target{Host: "gpu1"}}}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: l.ControlPath(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(l.ControlPath(), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return &fakeMaster{Lease: l, listener: listener}
}

func packets(list ...muxproto.Message) []byte {
	var b []byte
	for _, m := range list {
		b, _ = muxproto.Append(b, m)
	}
	return b
}

// takeRequest reads a client's side, up to the last descriptor. It returns the
// packets other than alive checks, which it answers, and the number of
// descriptors, which it closes.
func takeRequest(conn *net.UnixConn) (said []byte, files int, err error) {
	for {
		var header [muxproto.HeaderSize]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return said, 0, err
		}
		size, err := muxproto.Size(header)
		if err != nil {
			return said, 0, err
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(conn, payload); err != nil {
			return said, 0, err
		}
		m, err := muxproto.Decode(payload)
		if err != nil {
			return said, 0, err
		}
		switch m := m.(type) {
		case muxproto.AliveCheck:
			_, err = conn.Write(packets(muxproto.Alive{ID: m.ID, PID: uint32(os.Getpid())})) //nolint:gosec // a pid is a small number
			if err != nil {
				return said, 0, err
			}
			continue
		case muxproto.NewSession:
			m.ID = 0
			said = append(said, packets(m)...)
			files, err = takeFiles(conn)
			return said, files, err
		}
		said = append(append(said, header[:]...), payload...)
	}
}

func takeFiles(conn *net.UnixConn) (n int, err error) {
	for ; n < 3; n++ {
		var b [1]byte
		oob := make([]byte, 64)
		_, size, _, _, err := conn.ReadMsgUnix(b[:], oob)
		if err != nil {
			return n, err
		}
		list, err := unix.ParseSocketControlMessage(oob[:size])
		if err != nil || len(list) != 1 {
			return n, errors.Join(err, errors.New("no control message"))
		}
		fds, err := unix.ParseUnixRights(&list[0])
		if err != nil || len(fds) != 1 {
			return n, errors.Join(err, errors.New("not one descriptor"))
		}
		_ = unix.Close(fds[0])
	}
	return n, nil
}

var hello = muxproto.Hello{Version: muxproto.Version}
