package mux

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// refusalTime is how long a stranger may keep us, and five times that is what a
// test waits.
const refusalTime = time.Second

// says is a listener with words of its own, who then waits for our end.
func says(words string) func(*net.UnixConn) {
	return func(conn *net.UnixConn) {
		_, _ = io.WriteString(conn, words)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// quickly runs what must not take long.
func quickly(t *testing.T, do func() error) error {
	t.Helper()
	began := time.Now()
	err := do()
	if took := time.Since(began); took > 5*refusalTime {
		t.Errorf("that took %s", took)
	}
	return err
}

func check(t *testing.T, l *Lease) error {
	t.Helper()
	return quickly(t, func() error { _, err := l.Check(t.Context()); return err })
}

// nonsense is what no master says.
var nonsense = map[string]string{
	"garbage":         "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
	"endless length":  "\xff\xff\xff\xff\x00\x00\x00\x01",
	"no length":       "\x00\x00\x00\x00\x00\x00\x00\x01",
	"another version": string(packets(muxproto.Hello{Version: 5})),
	"another message": string(packets(muxproto.OK{ID: 1})),
	"a flood":         strings.Repeat("x", 1<<20),
	"garbage behind":  string(packets(hello)) + "garbage, garbage",
	"another answer":  string(packets(hello, muxproto.OK{ID: requestID})),
	"another request": string(packets(hello, muxproto.Alive{ID: 7, PID: 7})),
}

// quiet is what nobody can be known by.
var quiet = map[string]string{
	"silence":        "",
	"half a hello":   string(packets(hello)[:9]),
	"only a hello":   string(packets(hello)),
	"half an answer": string(packets(hello, muxproto.Alive{ID: requestID})[:20]),
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for name, words := range nonsense {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var protocol *ProtocolError
			direct := newFakeMaster(t, says(words), muxVar+"="+wayDirect)
			if err := check(t, direct.Lease); !errors.As(err, &protocol) || protocol.Path != direct.ControlPath() {
				t.Errorf("the error is %v", err)
			}
			// ssh is asked once, and then from the start.
			auto := newFakeMaster(t, says(words))
			var said *sshcmd.Error
			if err := check(t, auto.Lease); !errors.As(err, &protocol) || !errors.As(err, &said) {
				t.Errorf("the first error is %v", err)
			}
			if may, _ := auto.Dials(); may {
				t.Error("it is not remembered")
			}
			if err := check(t, auto.Lease); errors.As(err, &protocol) || !errors.As(err, &said) {
				t.Errorf("the second error is %v", err)
			}
		})
	}
}

func TestSilenceIsRefused(t *testing.T) {
	t.Parallel()
	for name, words := range quiet {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMaster(t, says(words))
			var silent *SilentError
			if err := check(t, f.Lease); !errors.As(err, &silent) || silent.Path != f.ControlPath() || silent.After+strangerGreeting > refusalTime {
				t.Errorf("the error is %v", err)
			}
			if may, _ := f.Dials(); !may {
				t.Error("a silent one is not dialled any more")
			}
		})
	}
}

// TestOursMayBeSilentLonger: behind the socket stands a holder.
func TestOursMayBeSilentLonger(t *testing.T) {
	t.Parallel()
	f := newFakeMaster(t, says(""))
	hold(t, f.Lease)
	_, err := f.Check(t.Context())
	var silent *SilentError
	if !errors.As(err, &silent) || silent.After != controlDeadline {
		t.Errorf("the error is %v", err)
	}
	if f.spares(err) {
		t.Error("a master of ours that is silent is not ended")
	}
}

func TestForeignSocketsAreNotTalkedTo(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(socket string) error{
		"group":     func(s string) error { return os.Chmod(s, 0o660) },
		"world":     func(s string) error { return os.Chmod(s, 0o602) },
		"directory": func(s string) error { return os.Chmod(filepath.Dir(s), 0o770) },
		"owner":     func(s string) error { return os.Lchown(s, 12345, 12345) },
		"its owner": func(s string) error { return os.Chown(filepath.Dir(s), 12345, 12345) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(name, "owner") && os.Getuid() != 0 {
				// Only root gives files away.
				t.Skip("needs root")
			}
			f := newFakeMaster(t, func(*net.UnixConn) { t.Error("somebody connected") })
			if err := change(f.ControlPath()); err != nil {
				t.Fatal(err)
			}
			var foreign *SocketError
			for _, err := range []error{check(t, f.Lease), f.Terminate(t.Context()), f.CloseForward(t.Context(), Forward{Kind: muxproto.ForwardLocal})} {
				if !errors.As(err, &foreign) || !f.spares(err) {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}

// TestAnswers: what a master may answer, in the words of ssh.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer muxproto.Message
		want   string // empty: it was met
		order  func(*Lease) error
	}{
		"alive": {muxproto.Alive{ID: requestID, PID: 7}, "", func(l *Lease) error { _, err := l.Check(t.Context()); return err }},
		"ended": {nil, "", func(l *Lease) error { return l.Terminate(t.Context()) }},
		"done":  {muxproto.OK{ID: requestID}, "", func(l *Lease) error { return l.Terminate(t.Context()) }},
		"denied": {
			muxproto.PermissionDenied{ID: requestID, Reason: "no\nHost key verification failed."},
			"Master refused termination request: no",
			func(l *Lease) error { return l.Terminate(t.Context()) },
		},
		"failed": {
			muxproto.Failure{ID: requestID, Reason: "no"},
			"stop listening request failed: no",
			func(l *Lease) error { return l.StopListening(t.Context()) },
		},
		"lost": {nil, "read from master failed", func(l *Lease) error { _, err := l.Check(t.Context()); return err }},
		"refused": {
			muxproto.Failure{ID: requestID, Reason: "port not forwarded"},
			"forwarding request failed: port not forwarded",
			func(l *Lease) error { return l.CloseForward(t.Context(), Forward{Kind: muxproto.ForwardDynamic}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMaster(t, func(conn *net.UnixConn) {
				_, _ = conn.Write(packets(hello))
				_, _ = io.ReadFull(conn, make([]byte, 2*len(packets(hello))))
				if c.answer != nil {
					_, _ = conn.Write(packets(c.answer))
				}
			})
			err := quickly(t, func() error { return c.order(f.Lease) })
			var said *sshcmd.Error
			switch {
			case c.want == "":
				if err != nil {
					t.Error(err)
				}
			case !errors.As(err, &said) || said.Class != sshcmd.ClassMux || !strings.Contains(said.Line, c.want) || strings.Count(said.Log, "\n") != 1:
				t.Errorf("the error is %v, the log %+v", err, said)
			}
		})
	}
}

// TestStrangersAreRefused: somebody listens where a master would. He is not
// ended, his socket stays, and who wants a lease or to close is told soon.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]string{"garbage": nonsense["garbage"], "silence": "", "half a hello": quiet["half a hello"]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			m := f.masters(t, way(wayDirect))
			r, err := m.route(t.Context(), f.target("gpu1"), false)
			if err != nil {
				t.Fatal(err)
			}
			socket := m.dir.socket(r.ID)
			listen(t, socket, says(words))
			before, err := os.Lstat(socket)
			if err != nil {
				t.Fatal(err)
			}
			for what, do := range map[string]func() error{
				"a lease": func() error { _, err := m.Lease(t.Context(), f.target("gpu1")); return err },
				"Connect": func() error { _, err := m.Connect(t.Context(), f.target("gpu1")); return err },
				"Close":   func() error { _, err := m.Close(t.Context(), f.target("gpu1")); return err },
			} {
				err := quickly(t, do)
				if !answersNot(err) || !strings.Contains(err.Error(), "somebody else listens on "+socket) {
					t.Errorf("%s gives %v", what, err)
				}
			}
			after, err := os.Lstat(socket)
			if err != nil || !os.SameFile(before, after) || f.Logins(t) != 0 {
				t.Errorf("the socket is another, %v, or there was a login", err)
			}
		})
	}
}

// TestHeldBehindNothing: a lock file alone is no holder, and none is made.
func TestHeldBehindNothing(t *testing.T) {
	t.Parallel()
	f := newFakeMaster(t, says(""))
	if held(f.ControlPath()) || onDisk(f.ControlPath()+".hold") {
		t.Error("there is a holder, or its lock was made")
	}
	free := hold(t, f.Lease)
	if !held(f.ControlPath()) || f.masters.holderGone(f.id) {
		t.Error("a holder is not seen")
	}
	free()
	if held(f.ControlPath()) {
		t.Error("a holder is seen that has gone")
	}
}
