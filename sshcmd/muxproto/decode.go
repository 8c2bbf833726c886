package muxproto

import (
	"encoding/binary"
	"fmt"
)

// Error says what is wrong with a packet.
type Error struct{ What string }

func (e *Error) Error() string { return e.What }

// Size reads the length in front of a payload. It returns *Error for a length
// that no message has.
func Size(header [HeaderSize]byte) (int, error) {
	n := binary.BigEndian.Uint32(header[:])
	switch {
	case n > MaxPacket:
		return 0, &Error{fmt.Sprintf("a packet of %d bytes; at most %d are allowed", n, MaxPacket)}
	case n < 4:
		return 0, &Error{fmt.Sprintf("a packet of %d bytes has no type", n)}
	}
	return int(n), nil
}

// Decode reads a payload, all of it. It returns *Error for what is cut, for
// what has something behind it, and for types that this package does not know.
func Decode(payload []byte) (Message, error) {
	if len(payload) > MaxPacket {
		return nil, &Error{"a packet is too large"}
	}
	r := reader{rest: payload}
	kind := r.number()
	m := r.message(kind)
	switch {
	case r.bad != "":
		return nil, &Error{r.bad}
	case m == nil:
		return nil, &Error{fmt.Sprintf("a message of the unknown type %#08x", kind)}
	case len(r.rest) > 0:
		return nil, &Error{fmt.Sprintf("%d bytes behind a message of type %#08x", len(r.rest), kind)}
	}
	if m, ok := m.(limited); ok && m.bad() != "" {
		return nil, &Error{m.bad()}
	}
	return m, nil
}

func (r *reader) message(kind uint32) Message {
	switch kind {
	case typeHello:
		return r.hello()
	case typeNewSession:
		return r.newSession()
	case typeSessionOpened:
		return SessionOpened{ID: r.number(), Session: r.number()}
	case typePermissionDenied:
		return PermissionDenied{ID: r.number(), Reason: r.text()}
	case typeFailure:
		return Failure{ID: r.number(), Reason: r.text()}
	case typeExit:
		return Exit{Session: r.number(), Status: r.number()}
	case typeTTYAllocFail:
		return TTYAllocFail{Session: r.number()}
	case typeAliveCheck:
		return AliveCheck{ID: r.number()}
	case typeAlive:
		return Alive{ID: r.number(), PID: r.number()}
	case typeTerminate:
		return Terminate{ID: r.number()}
	case typeStopListening:
		return StopListening{ID: r.number()}
	case typeOpenForward:
		return OpenForward{ID: r.number(), Forward: r.forward()}
	case typeCloseForward:
		return CloseForward{ID: r.number(), Forward: r.forward()}
	case typeRemotePort:
		return RemotePort{ID: r.number(), Port: r.number()}
	case typeOK:
		return OK{ID: r.number()}
	default:
		return nil
	}
}

func (r *reader) hello() Message {
	m := Hello{Version: r.number()}
	for len(r.rest) > 0 && r.bad == "" {
		if len(m.Extensions) == maxExtensions {
			r.bad = "too many extensions"
			break
		}
		m.Extensions = append(m.Extensions, Extension{Name: r.text(), Value: r.text()})
	}
	return m
}

func (r *reader) newSession() Message {
	m := NewSession{ID: r.number(), Reserved: r.text()}
	m.TTY, m.X11, m.Agent, m.Subsystem = r.flag(), r.flag(), r.flag(), r.flag()
	m.Escape, m.Term, m.Command = r.number(), r.text(), r.text()
	for len(r.rest) > 0 && r.bad == "" {
		if len(m.Env) == maxEnv {
			r.bad = "too many variables"
			break
		}
		m.Env = append(m.Env, r.text())
	}
	return m
}

// reader takes values off a payload. After the first that is not there, all
// others are empty.
type reader struct {
	rest []byte
	bad  string
}

func (r *reader) number() uint32 {
	if len(r.rest) < 4 {
		r.cut()
		return 0
	}
	n := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return n
}

func (r *reader) text() string {
	n := r.number()
	if uint64(n) > uint64(len(r.rest)) {
		r.cut()
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) flag() bool {
	n := r.number()
	if n > 1 && r.bad == "" {
		r.bad = fmt.Sprintf("a flag of %d", n)
	}
	return n == 1
}

func (r *reader) cut() {
	r.rest = nil
	if r.bad == "" {
		r.bad = "a message is cut"
	}
}
