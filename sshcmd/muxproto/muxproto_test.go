package muxproto

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden are packets written by hand from the document.
var golden = []struct {
	name   string
	m      Message
	packet string // hex digits; blanks do not count
}{
	{"hello", Hello{Version: 4}, "00000008 00000001 00000004"},
	{
		"hello with an extension",
		Hello{Version: 4, Extensions: []Extension{{"ab", "c"}}},
		"00000013 00000001 00000004 00000002 6162 00000001 63",
	},
	{"alive check", AliveCheck{ID: 7}, "00000008 10000004 00000007"},
	{"alive", Alive{ID: 7, PID: 0x1234}, "0000000c 80000005 00000007 00001234"},
	{
		"new session",
		NewSession{ID: 1, Escape: NoEscape, Command: "true"},
		"0000002c 10000002 00000001 00000000 00000000 00000000 00000000 00000000 ffffffff 00000000 00000004 74727565",
	},
	{
		"new session with everything",
		NewSession{ID: 2, TTY: true, X11: true, Agent: true, Subsystem: true, Escape: '~', Term: "vt1", Command: "ls", Env: []string{"A=b", "C="}},
		"0000003a 10000002 00000002 00000000 00000001 00000001 00000001 00000001 0000007e" +
			"00000003 767431 00000002 6c73 00000003 413d62 00000002 433d",
	},
	{"session opened", SessionOpened{ID: 1, Session: 2}, "0000000c 80000006 00000001 00000002"},
	{"permission denied", PermissionDenied{ID: 1, Reason: "no"}, "0000000e 80000002 00000001 00000002 6e6f"},
	{"failure", Failure{ID: 1, Reason: "no"}, "0000000e 80000003 00000001 00000002 6e6f"},
	{"exit", Exit{Session: 2, Status: 255}, "0000000c 80000004 00000002 000000ff"},
	{"tty alloc fail", TTYAllocFail{Session: 2}, "00000008 80000008 00000002"},
	{"terminate", Terminate{ID: 3}, "00000008 10000005 00000003"},
	{"stop listening", StopListening{ID: 3}, "00000008 10000009 00000003"},
	{"ok", OK{ID: 3}, "00000008 80000001 00000003"},
	{
		"local forward",
		OpenForward{ID: 4, Forward: Forward{Kind: ForwardLocal, ListenHost: "*", ListenPort: 8080, ConnectHost: "db", ConnectPort: 5432}},
		"0000001f 10000006 00000004 00000001 00000001 2a 00001f90 00000002 6462 00001538",
	},
	{
		"remote forward of sockets",
		OpenForward{ID: 5, Forward: Forward{Kind: ForwardRemote, ListenHost: "/a", ListenPort: StreamLocal, ConnectHost: "/bc", ConnectPort: StreamLocal}},
		"00000021 10000006 00000005 00000002 00000002 2f61 fffffffe 00000003 2f6263 fffffffe",
	},
	{
		"remote forward of any port",
		OpenForward{ID: 6, Forward: Forward{Kind: ForwardRemote, ConnectHost: "h", ConnectPort: 65535}},
		"0000001d 10000006 00000006 00000002 00000000 00000000 00000001 68 0000ffff",
	},
	{"remote port", RemotePort{ID: 6, Port: 40000}, "0000000c 80000007 00000006 00009c40"},
	{
		"dynamic forward",
		OpenForward{ID: 7, Forward: Forward{Kind: ForwardDynamic, ListenPort: 1080, ConnectHost: "socks"}},
		"00000021 10000006 00000007 00000003 00000000 00000438 00000005 736f636b73 00000000",
	},
	{
		"close forward",
		CloseForward{ID: 8, Forward: Forward{Kind: ForwardDynamic, ListenPort: 1080, ConnectHost: "socks"}},
		"00000021 10000007 00000008 00000003 00000000 00000438 00000005 736f636b73 00000000",
	},
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.packet)
			got, err := Append([]byte("x"), c.m)
			if err != nil || !bytes.Equal(got, append([]byte("x"), want...)) {
				t.Errorf("encoded as %x, %v; want %x behind an x", got, err, want)
			}
			size, err := Size([HeaderSize]byte(want))
			if err != nil || size != len(want)-HeaderSize {
				t.Errorf("the size is %d, %v", size, err)
			}
			m, err := Decode(want[HeaderSize:])
			if diff := cmp.Diff(c.m, m); diff != "" || err != nil {
				t.Errorf("decoded with %v, other than wanted:\n%s", err, diff)
			}
		})
	}
}

// TestBroken: what is cut anywhere, or has something behind it, is refused. A
// list may end at any of its elements.
func TestBroken(t *testing.T) {
	for _, c := range golden {
		payload := unhex(t, c.packet)[HeaderSize:]
		for n := range payload {
			m, err := Decode(payload[:n])
			switch m := m.(type) {
			case Hello: // its list is shorter
				if again, _ := Append(nil, m); bytes.Equal(again[HeaderSize:], payload[:n]) {
					continue
				}
			case NewSession:
				if again, _ := Append(nil, m); bytes.Equal(again[HeaderSize:], payload[:n]) {
					continue
				}
			}
			wantError(t, err, c.name, payload[:n])
		}
		switch c.m.(type) {
		case Hello, NewSession:
		default:
			_, err := Decode(append(payload[:len(payload):len(payload)], 0))
			wantError(t, err, c.name, append(payload, 0))
		}
	}
}

func wantError(t *testing.T, err error, name string, payload []byte) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Error() == "" {
		t.Errorf("%s: %x gives %v, want an error", name, payload, err)
	}
}

func TestRefused(t *testing.T) {
	for name, digits := range map[string]string{
		"nothing":              "",
		"half a type":          "8000",
		"an unknown type":      "80000042 00000001",
		"a long string":        "80000003 00000001 00000003 6e6f",
		"an endless string":    "80000003 00000001 ffffffff 6e6f",
		"a flag of 2":          "10000002 00000001 00000000 00000002 00000000 00000000 00000000 ffffffff 00000000 00000000",
		"half a forward":       "10000006 00000001",
		"forward of no kind":   "10000006 00000001 00000000 00000000 00000001 00000001 68 00000001",
		"forward of kind 4":    "10000007 00000001 00000004 00000000 00000001 00000001 68 00000001",
		"from port 65536":      "10000006 00000001 00000001 00000000 00010000 00000001 68 00000001",
		"to port -1":           "10000006 00000001 00000001 00000000 00000001 00000001 68 ffffffff",
		"a long host":          "10000006 00000001 00000001 00000402" + strings.Repeat("61", 1026) + "00000001 00000001 68 00000001",
		"a remote port":        "80000007 00000001 00010000",
		"half an extension":    "00000001 00000004 00000001 61",
		"many extensions":      "00000001 00000004" + strings.Repeat("00000000", 2*maxExtensions+2),
		"too many variables":   "10000002 00000001 00000000 00000000 00000000 00000000 00000000 ffffffff 00000000 00000000" + strings.Repeat("00000000", maxEnv+1),
		"more than fits":       strings.Repeat("00", MaxPacket+1),
		"a hello cut in two":   "00000001 0000",
		"bytes behind an exit": "80000004 00000002 000000ff 00",
	} {
		_, err := Decode(unhex(t, digits))
		wantError(t, err, name, nil)
	}
	for _, header := range []string{"00000000", "00000003", "00040001", "ffffffff"} {
		if n, err := Size([HeaderSize]byte(unhex(t, header))); err == nil {
			t.Errorf("the length %s is taken for %d", header, n)
		}
	}
	if n, err := Size([HeaderSize]byte(unhex(t, "00040000"))); err != nil || n != MaxPacket {
		t.Errorf("the largest packet gives %d, %v", n, err)
	}
	for _, m := range []Message{
		NewSession{Command: strings.Repeat("x", MaxPacket)},
		RemotePort{Port: 65536},
		OpenForward{},
		OpenForward{Forward: Forward{Kind: ForwardLocal, ListenPort: StreamLocal + 1}},
		CloseForward{Forward: Forward{Kind: ForwardLocal, ConnectHost: strings.Repeat("x", maxAddress+1)}},
	} {
		if b, err := Append(nil, m); err == nil {
			t.Errorf("a %T of %d bytes was encoded", m, len(b))
		}
	}
}

// FuzzDecode: whatever a peer says, decoding ends without a panic, holds no
// more than was said, and is undone by encoding.
func FuzzDecode(f *testing.F) {
	for _, c := range golden {
		f.Add(unhex(f, c.packet)[HeaderSize:])
	}
	f.Add(unhex(f, "80000003 00000001 ffffffff 6e6f"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := Decode(payload)
		if err != nil {
			if m != nil {
				t.Errorf("both a message and an error: %v, %v", m, err)
			}
			return
		}
		again, err := Append(nil, m)
		if err != nil || !bytes.Equal(again[HeaderSize:], payload) {
			t.Errorf("%x is decoded as %+v, which is %x, %v", payload, m, again, err)
		}
	})
}

// FuzzForward: what is encoded is decoded as it was, and what is not encoded
// has something wrong.
func FuzzForward(f *testing.F) {
	f.Add(uint32(1), "", uint32(8080), "db", uint32(5432), uint32(0))
	f.Add(uint32(2), "/a", uint32(StreamLocal), "/b", uint32(StreamLocal), uint32(65536))
	f.Fuzz(func(t *testing.T, kind uint32, from string, port uint32, to string, at, remote uint32) {
		forward := Forward{ForwardKind(kind), from, port, to, at}
		for _, m := range []Message{OpenForward{remote, forward}, CloseForward{at, forward}, RemotePort{kind, remote}} {
			packet, err := Append(nil, m)
			if err != nil {
				if m.(limited).bad() == "" {
					t.Errorf("%+v is not encoded: %v", m, err)
				}
				continue
			}
			back, err := Decode(packet[HeaderSize:])
			if diff := cmp.Diff(m, back); diff != "" || err != nil {
				t.Errorf("%x is decoded with %v, other than wanted:\n%s", packet, err, diff)
			}
		}
	})
}
