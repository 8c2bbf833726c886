package mux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// onTTY is a session on a terminal of ours.
type onTTY struct {
	*dialled
	control *os.File

	mu   sync.Mutex
	seen bytes.Buffer
}

// dialTTY opens a session on a new terminal of 31 by 97, whose modes change
// sets.
func dialTTY(t *testing.T, l *Lease, command string, change func(*unix.Termios)) *onTTY {
	t.Helper()
	control, tty, err := proc.OpenTTY(proc.Size{Rows: 31, Cols: 97})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		setModes(t, tty, change)
	}
	c, err := l.DialTTY(t.Context(), sshcmd.Session{ControlPath: l.ControlPath(), Command: command}, "vt100", tty)
	_ = tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	o := &onTTY{dialled: &dialled{Channel: c, done: make(chan end, 1)}, control: control}
	var read sync.WaitGroup
	read.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := control.Read(buf)
			o.mu.Lock()
			o.seen.Write(buf[:n])
			o.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	go func() {
		exit, err := c.Wait()
		o.done <- end{exit, err}
	}()
	t.Cleanup(func() { _ = c.Signal(syscall.SIGKILL); _ = control.Close(); read.Wait() })
	return o
}

func (o *onTTY) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen.String()
}

func (o *onTTY) awaitText(t *testing.T, text string) {
	t.Helper()
	if !within(t, patience, func() bool { return strings.Contains(o.text(), text) }) {
		t.Fatalf("the terminal shows %q, and not %q", o.text(), text)
	}
}

// TestDialTTY: a terminal on the host has the type, the size and the modes of
// ours, follows its size, and passes whatever is typed.
func TestDialTTY(t *testing.T) {
	sshdtest.RequireTerminal(t)
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	f.calls(t)
	script := `trap 'told=1; stty size' WINCH; tty; stty size; echo "$TERM"; stty -a; echo up
until [ "$told" ]; do sleep 0.05; done; while read -r line; do echo "line $line"; [ "$line" ] || exit 7; done`
	o := dialTTY(t, l, script, func(m *unix.Termios) { m.Cc[unix.VERASE], m.Cc[unix.VINTR] = 'e', 'i' })
	o.awaitText(t, "up\r")
	for _, want := range []string{"/dev/", "31 97", "vt100", "erase = e;", "intr = i;"} {
		if !strings.Contains(o.text(), want) {
			t.Errorf("there is no %q in %q", want, o.text())
		}
	}
	setModes(t, o.control, func(m *unix.Termios) { m.Lflag &^= unix.ICANON | unix.ECHO })
	if err := proc.Resize(o.control, proc.Size{Rows: 44, Cols: 102}); err != nil {
		t.Fatal(err)
	}
	o.Resized()
	o.awaitText(t, "44 102")
	_, _ = io.WriteString(o.control, "~.\n~~\n\n") // what would end an ssh with an escape character
	o.awaitText(t, "line ~.")
	o.awaitText(t, "line ~~")
	if e := o.wait(t); e.err != nil || e.exit.String() != "ended with 7" {
		t.Errorf("the session ended with %+v", e)
	}
	if o.words() != "" {
		t.Errorf("the log says %q", o.words())
	}
	o.Resized()
	if calls := f.calls(t); len(calls) != 0 {
		t.Errorf("ssh was started: %q", calls)
	}
}

// TestDialTTYRefused: a host that gives no terminal is no other failure, as
// the session's words say. Sessions without are no matter of it.
func TestDialTTYRefused(t *testing.T) {
	f := newFixtureWith(t, sshdtest.Options{Extra: []string{"PermitTTY no"}})
	l := lease(t, f.masters(t), f.target("gpu1"))
	o := dialTTY(t, l, "stty size || exit 9", nil)
	if e := o.wait(t); e.err != nil || e.exit.Code != 9 {
		t.Errorf("the session ended with %+v", e)
	}
	if said := sshcmd.ClassifySession("gpu1", 9, o.words()); said == nil || said.Class != sshcmd.ClassTTY {
		t.Errorf("the log says %q", o.words())
	}
	d, err := dial(t, l, "true")
	if err != nil {
		t.Fatal(err)
	}
	if e := d.wait(t); e.err != nil || !e.exit.OK() || d.words() != "" {
		t.Errorf("without a terminal: %+v, %q", e, d.words())
	}
}

// TestDialTTYHangsUp: the end of the client hangs the terminal up.
func TestDialTTYHangsUp(t *testing.T) {
	sshdtest.RequireTerminal(t)
	f := newFixture(t)
	file := f.Server.Home + "/hup"
	o := dialTTY(t, lease(t, f.masters(t), f.target("gpu1")), "trap ': >hup; exit' HUP; echo up; while :; do sleep 0.05; done", nil)
	o.awaitText(t, "up\r")
	if err := o.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := o.wait(t); e.exit.Code != 255 {
		t.Errorf("the session ended with %+v", e)
	}
	eventually(t, "the command was told", func() bool { return onDisk(file) })
}

// TestTTYSameAsSSH: a master hears from us what it hears from an ssh that was
// asked for a terminal.
func TestTTYSameAsSSH(t *testing.T) {
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
	o := dialTTY(t, f.Lease, "true", nil)
	wantClass(t, o.wait(t).err, sshcmd.ClassMux)
	s := sshcmd.Session{SSH: []string{"ssh"}, ControlPath: f.ControlPath(), Command: "true", TTY: true}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, control, err := proc.StartTTY(ctx, proc.Spec{
		Args: s.Args(), Env: []string{"PATH=" + os.Getenv("PATH"), "TERM=vt100"},
	}, proc.Size{})
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close() //nolint:errcheck // the test is over for it
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if ours, theirs := <-heard, <-heard; !bytes.Equal(ours, theirs) || !bytes.Contains(ours, []byte("vt100")) {
		t.Errorf("we say\n%x, ssh says\n%x", ours, theirs)
	}
}

// TestResizedTellsTheMaster: a signal goes to the process that answers on this
// very connection, as long as that is open, and to nobody else.
func TestResizedTellsTheMaster(t *testing.T) {
	got := make(chan os.Signal, 8)
	signal.Notify(got, syscall.SIGWINCH)
	defer signal.Stop(got)
	asked, answer, ends := make(chan struct{}), make(chan struct{}), make(chan struct{})
	f := newFakeMaster(t, func(conn *net.UnixConn) {
		_, _ = conn.Write(packets(hello))
		_, _, _ = takeRequest(conn) // which says that we are the master
		close(asked)
		<-answer
		_, _ = conn.Write(packets(muxproto.SessionOpened{ID: requestID, Session: 3}))
		<-ends
		_, _ = conn.Write(packets(muxproto.Exit{Session: 3}))
	})
	o := dialTTY(t, f.Lease, "true", nil)
	<-asked
	o.Resized() // is remembered
	select {
	case <-got:
		t.Error("a master that has not answered was signalled")
	default:
	}
	close(answer)
	await := func(what string) {
		t.Helper()
		select {
		case <-got:
		case <-time.After(patience):
			t.Error(what)
		}
	}
	await("a change of size before the answer was lost")
	o.Resized()
	await("a change of size was lost")
	close(ends)
	if e := o.wait(t); e.err != nil {
		t.Errorf("the session ended with %+v", e)
	}
	o.Resized()
	if len(got) > 0 {
		t.Error("a signal was sent after the end")
	}
}

// TestStrangeProcess: numbers that are no process, or all of them, are never
// signalled.
func TestStrangeProcess(t *testing.T) {
	for name, answer := range map[string]muxproto.Message{
		"nobody":         muxproto.Alive{ID: aliveID},
		"the first":      muxproto.Alive{ID: aliveID, PID: 1},
		"everybody":      muxproto.Alive{ID: aliveID, PID: 0xffffffff},
		"a group":        muxproto.Alive{ID: aliveID, PID: 0x80000002},
		"another answer": muxproto.Alive{ID: 9, PID: uint32(os.Getpid())}, //nolint:gosec // a pid is a small number
		"no answer":      muxproto.SessionOpened{ID: requestID, Session: 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeMaster(t, func(conn *net.UnixConn) {
				_, _ = conn.Write(packets(hello, answer, muxproto.SessionOpened{ID: requestID, Session: 3}, muxproto.Exit{Session: 3}))
				_, _, _ = takeRequest(conn)
			})
			o := dialTTY(t, f.Lease, "true", nil)
			wantClass(t, o.wait(t).err, sshcmd.ClassConnectionLost)
			o.Resized()
			if may, _ := f.Dials(); may {
				t.Error("it is not remembered")
			}
		})
	}
}

// setModes changes a terminal's modes, by either end.
func setModes(t *testing.T, f *os.File, change func(*unix.Termios)) {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(conn.Control(func(fd uintptr) {
		var m *unix.Termios
		if m, err = unix.IoctlGetTermios(int(fd), getTermios); err == nil {
			change(m)
			err = unix.IoctlSetTermios(int(fd), setTermios, m)
		}
	}), err)
	if err != nil {
		t.Fatal(fmt.Errorf("set the terminal's modes: %w", err))
	}
}
