// Package muxproto encodes and decodes the messages between the master of a
// shared connection and its clients, version 4 of OpenSSH's PROTOCOL.mux. It
// does no input or output, and knows no order of messages.
//
// A packet is a length and a payload; the payload begins with a type. Numbers
// are 32 bits in network order, strings are a length and bytes. The document's
// bool is a number, too, as OpenSSH writes it.
package muxproto

import "encoding/binary"

// Version is the one version of the protocol that this package speaks.
const Version = 4

// MaxPacket bounds the payload of a packet in bytes, both ways. It is what
// OpenSSH allows at least; what a master says to a client is far smaller.
const MaxPacket = 256 << 10

// HeaderSize is the size of the length in front of a payload, in bytes.
const HeaderSize = 4

// NoEscape is the escape character of a session that has none.
const NoEscape = 0xffffffff

// The types of messages. Those of a master have the highest bit set.
const (
	typeHello            = 0x00000001
	typeNewSession       = 0x10000002
	typeAliveCheck       = 0x10000004
	typeTerminate        = 0x10000005
	typeOpenForward      = 0x10000006
	typeCloseForward     = 0x10000007
	typeStopListening    = 0x10000009
	typeOK               = 0x80000001
	typePermissionDenied = 0x80000002
	typeFailure          = 0x80000003
	typeExit             = 0x80000004
	typeAlive            = 0x80000005
	typeSessionOpened    = 0x80000006
	typeRemotePort       = 0x80000007
	typeTTYAllocFail     = 0x80000008
)

// Limits of lists in a message. OpenSSH takes as many variables (9.2), and
// defines no extension.
const (
	maxEnv        = 4096
	maxExtensions = 64
)

// Message is one of the types below.
type Message interface {
	append(b []byte) []byte
}

// limited is a message with values that cannot be.
type limited interface {
	// bad says what is wrong; empty is nothing.
	bad() string
}

// Hello is the first message of both sides, of their own accord.
type Hello struct {
	Version    uint32
	Extensions []Extension
}

// Extension is a name and a value that nobody defines yet.
type Extension struct{ Name, Value string }

// NewSession asks for a session. Behind it the client sends stdin, stdout and
// stderr, each as one descriptor with one byte (SCM_RIGHTS). Behind a
// NewSession without them a master waits for ever (OpenSSH 9.2).
type NewSession struct {
	ID                         uint32
	Reserved                   string
	TTY, X11, Agent, Subsystem bool
	// Escape is the escape character, or NoEscape.
	Escape uint32
	// Term is the type of terminal.
	Term string
	// Command is empty for the login shell.
	Command string
	// Env holds NAME=VALUE. The master drops what its SendEnv does not name.
	Env []string
}

// SessionOpened says that the host gave a session. The next words about it
// carry its number instead of the request's.
type SessionOpened struct{ ID, Session uint32 }

// PermissionDenied says that the master's user was asked, and refused.
type PermissionDenied struct {
	ID     uint32
	Reason string
}

// Failure says that a request could not be met; nothing came of it.
type Failure struct {
	ID     uint32
	Reason string
}

// Exit is the exit status of a session. A command that died of a signal has
// none. The master closes the connection when the session's streams are done,
// and not before.
type Exit struct{ Session, Status uint32 }

// TTYAllocFail says that the host gave no terminal. The session goes on
// without.
type TTYAllocFail struct{ Session uint32 }

// AliveCheck asks a master whether it works.
type AliveCheck struct{ ID uint32 }

// Alive is the answer, with the master's process.
type Alive struct{ ID, PID uint32 }

// Terminate asks a master to end at once.
type Terminate struct{ ID uint32 }

// StopListening asks a master to take no more clients.
type StopListening struct{ ID uint32 }

// OK says that a request was met.
type OK struct{ ID uint32 }

// Append appends a message as a packet. It returns *Error for one that is too
// large, or has a value that cannot be.
func Append(b []byte, m Message) ([]byte, error) {
	if m, ok := m.(limited); ok && m.bad() != "" {
		return nil, &Error{m.bad()}
	}
	start := len(b)
	b = m.append(number(b, 0))
	size := len(b) - start - HeaderSize
	if size > MaxPacket {
		return nil, &Error{"a message is too large"}
	}
	binary.BigEndian.PutUint32(b[start:], uint32(size)) //nolint:gosec // at most MaxPacket
	return b, nil
}

// number appends numbers.
func number(b []byte, list ...uint32) []byte {
	for _, n := range list {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// text appends a string. One whose length does not fit makes the packet too
// large as well.
func text(b []byte, list ...string) []byte {
	for _, s := range list {
		b = append(number(b, uint32(len(s))), s...) //nolint:gosec // see above
	}
	return b
}

func flag(set bool) uint32 {
	if set {
		return 1
	}
	return 0
}

func (m Hello) append(b []byte) []byte {
	b = number(b, typeHello, m.Version)
	for _, e := range m.Extensions {
		b = text(b, e.Name, e.Value)
	}
	return b
}

func (m NewSession) append(b []byte) []byte {
	b = text(number(b, typeNewSession, m.ID), m.Reserved)
	b = number(b, flag(m.TTY), flag(m.X11), flag(m.Agent), flag(m.Subsystem), m.Escape)
	return text(text(b, m.Term, m.Command), m.Env...)
}

func (m SessionOpened) append(b []byte) []byte { return number(b, typeSessionOpened, m.ID, m.Session) }

func (m PermissionDenied) append(b []byte) []byte {
	return text(number(b, typePermissionDenied, m.ID), m.Reason)
}

func (m Failure) append(b []byte) []byte       { return text(number(b, typeFailure, m.ID), m.Reason) }
func (m Exit) append(b []byte) []byte          { return number(b, typeExit, m.Session, m.Status) }
func (m TTYAllocFail) append(b []byte) []byte  { return number(b, typeTTYAllocFail, m.Session) }
func (m AliveCheck) append(b []byte) []byte    { return number(b, typeAliveCheck, m.ID) }
func (m Alive) append(b []byte) []byte         { return number(b, typeAlive, m.ID, m.PID) }
func (m Terminate) append(b []byte) []byte     { return number(b, typeTerminate, m.ID) }
func (m StopListening) append(b []byte) []byte { return number(b, typeStopListening, m.ID) }
func (m OK) append(b []byte) []byte            { return number(b, typeOK, m.ID) }
