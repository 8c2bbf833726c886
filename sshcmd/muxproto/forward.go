package muxproto

import "fmt"

// StreamLocal in the place of a port says that the host beside it is the path
// of a socket.
const StreamLocal = 0xfffffffe

const (
	maxPort = 0xffff
	// maxAddress bounds a host or path of a forward, in bytes. The longest name
	// that a resolver gives has 1025 (NI_MAXHOST), and no socket's path as many.
	maxAddress = 1025
)

// ForwardKind says which side of a forward listens.
type ForwardKind uint32

// The kinds of forwards.
const (
	// ForwardLocal listens here and connects from the host.
	ForwardLocal ForwardKind = iota + 1
	// ForwardRemote listens on the host and connects from here.
	ForwardRemote
	// ForwardDynamic listens here, and whoever connects says where to (SOCKS).
	ForwardDynamic
)

// Forward is a port or socket of one side that leads to one of the other.
type Forward struct {
	Kind ForwardKind
	// ListenHost is empty for the loopback interface, and "*" for all.
	ListenHost string
	// ListenPort is at most 65535, or StreamLocal. Port 0 of ForwardRemote has
	// the host choose (RemotePort).
	ListenPort  uint32
	ConnectHost string
	ConnectPort uint32
}

// OpenForward asks a master for a forward. The answer is OK, RemotePort,
// PermissionDenied or Failure.
type OpenForward struct {
	ID uint32
	Forward
}

// CloseForward asks a master to end a forward, which is named as it was asked
// for. The answer is OK, PermissionDenied or Failure.
type CloseForward struct {
	ID uint32
	Forward
}

// RemotePort says that a forward was opened on a port that the host chose.
type RemotePort struct{ ID, Port uint32 }

// bad says what is wrong with a forward. A master closes the connection of
// whoever sends one with a port that cannot be (OpenSSH 9.2).
func (f Forward) bad() string {
	switch {
	case f.Kind < ForwardLocal || f.Kind > ForwardDynamic:
		return fmt.Sprintf("a forward of the unknown kind %d", f.Kind)
	case len(f.ListenHost) > maxAddress, len(f.ConnectHost) > maxAddress:
		return fmt.Sprintf("an address of more than %d bytes", maxAddress)
	case f.ListenPort > maxPort && f.ListenPort != StreamLocal:
		return fmt.Sprintf("a forward from port %d", f.ListenPort)
	case f.ConnectPort > maxPort && f.ConnectPort != StreamLocal:
		return fmt.Sprintf("a forward to port %d", f.ConnectPort)
	}
	return ""
}

func (m RemotePort) bad() string {
	if m.Port > maxPort {
		return fmt.Sprintf("a remote port of %d", m.Port)
	}
	return ""
}

func (f Forward) append(b []byte) []byte {
	b = number(text(number(b, uint32(f.Kind)), f.ListenHost), f.ListenPort)
	return number(text(b, f.ConnectHost), f.ConnectPort)
}

func (m OpenForward) append(b []byte) []byte {
	return m.Forward.append(number(b, typeOpenForward, m.ID))
}

func (m CloseForward) append(b []byte) []byte {
	return m.Forward.append(number(b, typeCloseForward, m.ID))
}

func (m RemotePort) append(b []byte) []byte { return number(b, typeRemotePort, m.ID, m.Port) }

func (r *reader) forward() Forward {
	return Forward{
		Kind: ForwardKind(r.number()), ListenHost: r.text(), ListenPort: r.number(),
		ConnectHost: r.text(), ConnectPort: r.number(),
	}
}
