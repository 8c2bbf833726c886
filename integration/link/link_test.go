package link_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/integration/link"
)

// patience is how long a test waits for what should be there at once.
const patience = 20 * time.Second

// target echoes what it gets, and counts who came.
type target struct {
	net.Listener
	work sync.WaitGroup

	mu    sync.Mutex
	conns []*net.TCPConn
}

func newTarget(t *testing.T) *target {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &target{Listener: l}
	s.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn.(*net.TCPConn))
			s.mu.Unlock()
			s.work.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.work.Wait()
	})
	return s
}

func (s *target) came() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func newLink(t *testing.T) (*link.Link, *target) {
	t.Helper()
	s := newTarget(t)
	return link.Start(t, s.Addr().String()), s
}

func dial(t *testing.T, l *link.Link) *net.TCPConn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatalf("write %q: %v", text, err)
	}
}

func hear(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("heard %q, %v; want %q", got[:n], err, text)
	}
}

// mute checks that nothing comes, neither bytes nor an end.
func mute(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("a mute link delivers %d bytes, %v", n, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// ended waits for the end of what comes, and returns its error; nil is an end
// in good order.
func ended(t *testing.T, conn net.Conn) error {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, conn)
	if isTimeout(err) {
		t.Fatalf("the connection does not end")
	}
	return err
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after %s it does not hold that %s", patience, what)
		}
	}
}

func TestRelay(t *testing.T) {
	t.Parallel()
	l, _ := newLink(t)
	one, two := dial(t, l), dial(t, l)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { _, _ = two.Write(big); _ = two.CloseWrite() })
	say(t, one, "hello")
	hear(t, one, "hello")
	_ = two.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(two); err != nil || !bytes.Equal(got, big) {
		t.Errorf("of %d bytes %d come back, equal %v, %v", len(big), len(got), bytes.Equal(got, big), err)
	}
	if n := l.Connections(); n < 1 || n > 2 {
		t.Errorf("%d connections, want one or two", n)
	}
	_ = one.Close()
	_ = two.Close()
	eventually(t, "both connections have ended", func() bool { return l.Connections() == 0 })
}

func TestSilenceHoldsEverything(t *testing.T) {
	t.Parallel()
	l, s := newLink(t)
	conn := dial(t, l)
	say(t, conn, "before")
	hear(t, conn, "before")
	l.Silence()
	say(t, conn, "one ")
	say(t, conn, "two")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	mute(t, conn)
	later := dial(t, l)
	say(t, later, "later")
	mute(t, later)
	if n, came := l.Connections(), s.came(); n != 2 || came != 1 {
		t.Errorf("the link has %d connections, the target %d; want 2 and 1", n, came)
	}
	l.Restore()
	hear(t, conn, "one two")
	if err := ended(t, conn); err != nil {
		t.Errorf("after Restore the connection ends with %v", err)
	}
	hear(t, later, "later")
}

func TestSilenceOfOneWay(t *testing.T) {
	t.Parallel()
	l, s := newLink(t)
	conn := dial(t, l)
	say(t, conn, "x")
	hear(t, conn, "x")
	l.SilenceDown()
	say(t, conn, "down")
	mute(t, conn)
	second := dial(t, l)
	eventually(t, "the target hears of a new connection", func() bool { return s.came() == 2 })
	mute(t, second)
	l.Restore()
	hear(t, conn, "down")

	l.SilenceUp()
	say(t, conn, "up")
	mute(t, conn)
	s.mu.Lock()
	say(t, s.conns[0], "unasked")
	s.mu.Unlock()
	hear(t, conn, "unasked")
	l.Restore()
	hear(t, conn, "up")
}

// TestSilenceOfAKilledClient: the target never hears of the client's end.
func TestSilenceOfAKilledClient(t *testing.T) {
	t.Parallel()
	l, s := newLink(t)
	conn := dial(t, l)
	say(t, conn, "x")
	hear(t, conn, "x")
	l.Silence()
	_ = conn.SetLinger(0)
	_ = conn.Close()
	s.mu.Lock()
	far := s.conns[0]
	s.mu.Unlock()
	say(t, far, "is anybody there?")
	if n := l.Connections(); n != 1 {
		t.Errorf("%d connections, want the one whose end nobody has heard of", n)
	}
	l.Restore()
	eventually(t, "the connection has ended", func() bool { return l.Connections() == 0 })
}

func TestCutAndReset(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		l, s := newLink(t)
		first := dial(t, l)
		say(t, first, "x")
		hear(t, first, "x")
		if silent {
			l.Silence()
			say(t, first, "lost")
		}
		l.Cut()
		if err := ended(t, first); err != nil {
			t.Errorf("silent %v: a cut connection ends with %v", silent, err)
		}
		if n := l.Connections(); n != 0 {
			t.Errorf("silent %v: %d connections after a cut", silent, n)
		}
		l.Restore()
		second := dial(t, l)
		say(t, second, "y")
		hear(t, second, "y")
		if silent {
			l.Silence()
		}
		l.Reset()
		if err := ended(t, second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("silent %v: a reset connection ends with %v", silent, err)
		}
		if n := s.came(); n != 2 {
			t.Errorf("silent %v: the target has seen %d connections, want 2", silent, n)
		}
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	l, s := newLink(t)
	old := dial(t, l)
	say(t, old, "x")
	hear(t, old, "x")
	addr := l.Addr()
	l.Refuse()
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a refused connection gives %v, %v", conn, err)
	}
	say(t, old, "old")
	hear(t, old, "old")
	l.Restore()
	again := dial(t, l)
	say(t, again, "again")
	hear(t, again, "again")
	if n := s.came(); n != 2 || l.Addr() != addr {
		t.Errorf("the target has seen %d connections, want 2; the address is %s, was %s", n, l.Addr(), addr)
	}
}

func TestTargetThatIsGone(t *testing.T) {
	t.Parallel()
	l, s := newLink(t)
	_ = s.Close()
	// The reset may come before dial has returned.
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	if err == nil {
		err = ended(t, conn)
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection to a target that is gone ends with %v", err)
	}
	eventually(t, "no connection is left", func() bool { return l.Connections() == 0 })
}

func TestDelayAndRate(t *testing.T) {
	t.Parallel()
	const oneWay, perSecond = 40 * time.Millisecond, 100_000
	l, _ := newLink(t)
	l.Delay(oneWay)
	conn := dial(t, l)
	began := time.Now()
	say(t, conn, "x")
	hear(t, conn, "x")
	if took := time.Since(began); took < 2*oneWay {
		t.Errorf("there and back took %s, want at least %s", took, 2*oneWay)
	}
	l.Delay(0)
	l.Rate(perSecond)
	text := string(bytes.Repeat([]byte("x"), perSecond/10))
	began = time.Now()
	say(t, conn, text)
	hear(t, conn, text)
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("%d bytes at %d/s took %s", len(text), perSecond, took)
	}
	l.Rate(0)
	l.Setup(oneWay)
	began = time.Now()
	slow := dial(t, l)
	say(t, slow, "x")
	hear(t, slow, "x")
	if took := time.Since(began); took < oneWay {
		t.Errorf("a connection was made in %s, want at least %s", took, oneWay)
	}
}

// TestEndOfATest: whatever state a link is in, nothing of it outlives its
// test. The check for goroutines is TestMain's.
func TestEndOfATest(t *testing.T) {
	t.Parallel()
	var conn *net.TCPConn
	t.Run("mute", func(t *testing.T) {
		l, _ := newLink(t)
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		conn = c.(*net.TCPConn)
		say(t, conn, "x")
		hear(t, conn, "x")
		l.Delay(time.Hour)
		say(t, conn, "x")
		l.Silence()
		dial(t, l)
	})
	if err := ended(t, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after its test a link ends connections with %v", err)
	}
	_ = conn.Close()
}
