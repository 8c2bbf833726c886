package mux

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bivy/sshcmd"
	"bivy/sshcmd/muxproto"
)

// echoPort listens on a port that returns what it gets.
func echoPort(t *testing.T) uint32 {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return portOf(l.Addr())
}

func portOf(a net.Addr) uint32 {
	_, digits, _ := net.SplitHostPort(a.String())
	port, _ := strconv.ParseUint(digits, 10, 16)
	return uint32(port)
}

// freePort is one that nobody has, a moment ago.
func freePort(t *testing.T) uint32 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a local bind does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // somebody else is to have it
	return portOf(l.Addr())
}

// through says words to an address, and returns an answer of some size.
func through(t *testing.T, network, address, words string, size int) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), network, address)
	if err != nil {
		return ""
	}
	defer conn.Close() //nolint:errcheck // all was read
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, words)
	answer := make([]byte, size)
	n, _ := io.ReadFull(conn, answer)
	return string(answer[:n])
}

func TestForwards(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	f.calls(t)
	echo, dynamic, socket := echoPort(t), freePort(t), filepath.Join(f.Home, "fwd")
	for name, c := range map[string]struct {
		forward          Forward
		network, address string // no address: the host chooses a port
		say, want        string
	}{
		"local": {
			Forward{Kind: muxproto.ForwardLocal, ListenHost: socket, ListenPort: muxproto.StreamLocal, ConnectHost: "127.0.0.1", ConnectPort: echo},
			"unix", socket, "words", "words",
		},
		"remote": {
			Forward{Kind: muxproto.ForwardRemote, ListenHost: "127.0.0.1", ConnectHost: "127.0.0.1", ConnectPort: echo},
			"tcp", "", "words", "words",
		},
		// A client of SOCKS 5 offers to do without a password, and that is taken.
		"dynamic": {
			Forward{Kind: muxproto.ForwardDynamic, ListenPort: dynamic},
			"tcp", address(int(dynamic)), "\x05\x01\x00", "\x05\x00",
		},
	} {
		port, err := l.OpenForward(t.Context(), c.forward)
		if err != nil || (port != 0) != (c.address == "") {
			t.Errorf("%s: OpenForward gives %d, %v", name, port, err)
		}
		if c.address == "" {
			c.address = address(port)
		}
		if again, err := l.OpenForward(t.Context(), c.forward); err != nil || again != port {
			t.Errorf("%s: a second time it gives %d, %v", name, again, err)
		}
		if got := through(t, c.network, c.address, c.say, len(c.want)); got != c.want {
			t.Errorf("%s: through it comes %q, want %q", name, got, c.want)
		}
		if err := l.CloseForward(t.Context(), c.forward); err != nil {
			t.Errorf("%s: CloseForward: %v", name, err)
		}
		eventually(t, name+" is closed", func() bool { return through(t, c.network, c.address, c.say, len(c.want)) == "" })
		var said *sshcmd.Error
		if err := l.CloseForward(t.Context(), c.forward); !errors.As(err, &said) || !strings.Contains(said.Line, "port not forwarded") {
			t.Errorf("%s: a second CloseForward gives %v", name, err)
		}
	}
	var impossible *muxproto.Error
	if _, err := l.OpenForward(t.Context(), Forward{}); !errors.As(err, &impossible) {
		t.Errorf("a forward of no kind gives %v", err)
	}
	if calls := f.calls(t); len(calls) != 0 {
		t.Errorf("ssh was started: %q", calls)
	}
}

func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
