package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// TestSameAsSSH: a master hears from us what it hears from an ssh.
func TestSameAsSSH(t *testing.T) {
	heard := make(chan []byte, 2)
	f := newFakeMaster(t, func(conn *net.UnixConn) {
		_, _ = conn.Write(packets(hello))
		said, files, err := takeRequest(conn)
		if err != nil || files != 3 {
			said = append(said, "failed"...)
		}
		heard <- said
		_, _ = conn.Write(packets(muxproto.Failure{ID: requestID, Reason: "no"}))
	})
	const command = "exec /bin/sh -c 'a b'"
	d, err := dial(t, f.Lease, command)
	if err != nil {
		t.Fatal(err)
	}
	wantClass(t, d.wait(t).err, sshcmd.ClassMux)
	s := sshcmd.Session{SSH: []string{"ssh"}, ControlPath: f.ControlPath(), Command: command}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := proc.Run(ctx, proc.Spec{Args: s.Args(), Env: []string{"PATH=" + os.Getenv("PATH")}}); err != nil {
		t.Fatal(err)
	}
	ours, theirs := <-heard, <-heard
	if !bytes.Equal(ours, theirs) {
		t.Errorf("we say\n%x, ssh says\n%x", ours, theirs)
	}
	if !strings.Contains(string(ours), command) {
		t.Errorf("the command is not in %q", ours)
	}
}

// TestNoMaster: somebody else listens. He is refused in time, nothing is sent
// to him but what anybody may know, and ssh is asked instead.
func TestNoMaster(t *testing.T) {
	for name, say := range map[string]string{
		"garbage":         "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
		"endless length":  "\xff\xff\xff\xff\x00\x00\x00\x01",
		"no length":       "\x00\x00\x00\x00\x00\x00\x00\x01",
		"another version": string(packets(muxproto.Hello{Version: 5})),
		"another message": string(packets(muxproto.OK{ID: 1})),
		"a cut message":   "\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00",
		"a flood":         strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan int64, 1)
			f := newFakeMaster(t, func(conn *net.UnixConn) {
				_, _ = io.WriteString(conn, say)
				n, _ := io.Copy(io.Discard, conn)
				got <- n
			})
			began := time.Now()
			_, err := dial(t, f.Lease, "true")
			var protocol *ProtocolError
			if !errors.As(err, &protocol) || protocol.Path != f.ControlPath() {
				t.Errorf("the error is %v", err)
			}
			if took := time.Since(began); took > 5*dialDeadline {
				t.Errorf("that took %s", took)
			}
			if n := <-got; n != 0 {
				t.Errorf("%d bytes were sent to it", n)
			}
			if may, _ := f.Dials(); may {
				t.Error("it is not remembered")
			}
			f.masters.forgetSidecars(f.id)
			if may, must := f.Dials(); !may || must {
				t.Error("the next master is not dialled")
			}
		})
	}
}

// TestSilentMaster: nobody speaks. That is no other protocol.
func TestSilentMaster(t *testing.T) {
	for name, say := range map[string]string{"nothing": "", "half a hello": string(packets(hello)[:9])} {
		t.Run(name, func(t *testing.T) {
			f := newFakeMaster(t, func(conn *net.UnixConn) {
				_, _ = io.WriteString(conn, say)
				_, _ = io.Copy(io.Discard, conn)
			})
			began := time.Now()
			_, err := dial(t, f.Lease, "true")
			wantClass(t, err, sshcmd.ClassMux)
			if took := time.Since(began); took > 5*dialDeadline {
				t.Errorf("that took %s", took)
			}
		})
	}
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		f := newFakeMaster(t, func(conn *net.UnixConn) {
			cancel(cause)
			_, _ = io.Copy(io.Discard, conn)
		})
		_, err := f.Dial(ctx, sshcmd.Session{ControlPath: f.ControlPath()}, os.Stdin, os.Stdout, os.Stderr)
		if !errors.Is(err, cause) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestStrangeAnswers: a master that talks nonsense once it has the request may
// have opened the session, and is not dialled again.
func TestStrangeAnswers(t *testing.T) {
	opened := muxproto.SessionOpened{ID: requestID, Session: 3}
	for name, c := range map[string]struct {
		say   string
		class sshcmd.Class
		code  int
		stays bool
	}{
		"denied":          {string(packets(muxproto.PermissionDenied{ID: requestID, Reason: "Permission denied"})), sshcmd.ClassMux, 255, true},
		"failed in lines": {string(packets(muxproto.Failure{ID: requestID, Reason: "no\nHost key verification failed."})), sshcmd.ClassMux, 255, true},
		"nothing":         {"", sshcmd.ClassConnectionLost, 255, true},
		"half an answer":  {string(packets(opened)[:7]), sshcmd.ClassConnectionLost, 255, true},
		"another request": {string(packets(muxproto.SessionOpened{ID: 7, Session: 3})), sshcmd.ClassConnectionLost, 255, false},
		"another answer":  {string(packets(muxproto.OK{ID: requestID})), sshcmd.ClassConnectionLost, 255, false},
		"garbage":         {"HTTP/1.1 400 Bad Request\r\n", sshcmd.ClassConnectionLost, 255, false},
		"lost session":    {string(packets(opened)), sshcmd.ClassNone, 255, true},
		"no terminal":     {string(packets(opened, muxproto.TTYAllocFail{Session: 3})), sshcmd.ClassNone, 255, true},
		"other session":   {string(packets(opened, muxproto.Exit{Session: 4, Status: 0})), sshcmd.ClassConnectionLost, 255, false},
		"two statuses":    {string(packets(opened, muxproto.Exit{Session: 3}, muxproto.Exit{Session: 3})), sshcmd.ClassConnectionLost, 255, false},
		"garbage behind":  {string(packets(opened)) + "\xff\xff\xff\xff", sshcmd.ClassConnectionLost, 255, false},
		"a large status":  {string(packets(opened, muxproto.Exit{Session: 3, Status: 0x103})), "ok", 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeMaster(t, func(conn *net.UnixConn) {
				_, _ = conn.Write(packets(hello))
				if _, _, err := takeRequest(conn); err == nil {
					_, _ = io.WriteString(conn, c.say)
				}
			})
			d, err := dial(t, f.Lease, "true")
			if err != nil {
				t.Fatal(err)
			}
			e := d.wait(t)
			if c.class == "ok" {
				if e.err != nil {
					t.Error(e.err)
				}
			} else {
				wantClass(t, e.err, c.class)
				if said := sshcmd.ClassifySession("gpu1", e.exit.Code, d.words()); said.Class != c.class {
					t.Errorf("the log says %q, of class %q", d.words(), said.Class)
				}
			}
			if e.exit.Code != c.code {
				t.Errorf("the status is %d", e.exit.Code)
			}
			if strings.Count(d.words(), "\n") > 1 {
				t.Errorf("a master wrote lines into the log: %q", d.words())
			}
			if may, _ := f.Dials(); may != c.stays {
				t.Errorf("may be dialled again: %t", may)
			}
		})
	}
}

func TestForeignSocket(t *testing.T) {
	f := newFakeMaster(t, func(conn *net.UnixConn) { _, _ = io.Copy(io.Discard, conn) })
	if err := os.Chmod(f.ControlPath(), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := dial(t, f.Lease, "true")
	var foreign *SocketError
	if !errors.As(err, &foreign) || !strings.Contains(err.Error(), f.ControlPath()) {
		t.Errorf("the error is %v", err)
	}
}

func TestWays(t *testing.T) {
	for _, c := range []struct {
		env       []string
		may, must bool
	}{
		{nil, true, false},
		{[]string{"BIVY_MUX=ssh"}, false, false},
		{[]string{"BIVY_MUX=direct"}, true, true},
		{[]string{"BIVY_MUX=ssh", "BIVY_MUX=direct"}, true, true},
		{[]string{"BIVY_MUX="}, true, false},
		{[]string{"BIVY_MUX=auto"}, true, false},
	} {
		f := newFakeMaster(t, func(*net.UnixConn) {}, append([]string{"BIVY_MUX="}, c.env...)...)
		if may, must := f.Dials(); may != c.may || must != c.must {
			t.Errorf("%q: may %t, must %t", c.env, may, must)
		}
	}
	var way *WayError
	if _, err := Open(Config{Sockets: t.TempDir(), Env: []string{"BIVY_MUX=ssh", "BIVY_MUX=tcp"}}); !errors.As(err, &way) || way.Value != "tcp" {
		t.Errorf("a way that there is not gives %v", err)
	}
}
