package mux

import (
	"encoding/json"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// holderSpec is the first message to a holder: all it must know.
type holderSpec struct {
	Format int           `json:"format"`
	Host   string        `json:"host"`
	ID     string        `json:"id"`
	Argv   []string      `json:"argv"`
	Dir    string        `json:"dir"`
	Slots  int           `json:"slots"`
	Idle   time.Duration `json:"idle_ns"`
	// Interactive gives ssh terminals to ask on.
	Interactive bool   `json:"interactive"`
	Rows        uint16 `json:"rows"`
	Cols        uint16 `json:"cols"`
	// SSH is the program for the guardian's session, possibly of several words.
	SSH []string `json:"ssh"`
	// Beat is the time between two signs of life to the guardian, Silence how
	// long it does without one (whole seconds), and GuardIdle how long it
	// stays when no command runs. Zero gives the defaults.
	Beat      time.Duration `json:"beat_ns,omitempty"`
	Silence   time.Duration `json:"silence_ns,omitempty"`
	GuardIdle time.Duration `json:"guard_idle_ns,omitempty"`
	// Human says that somebody may be asked out of our sight.
	Human bool `json:"human"`
	// Spare keeps a session open for the next command.
	Spare bool `json:"spare,omitempty"`
	// CPUFile keeps what the guardian says of the host's processor.
	CPUFile string `json:"cpu_file,omitempty"`
}

// kind is what a message between a holder and the process that started it is.
type kind string

const (
	// From the holder: what ssh shows on its terminal, what it and its
	// proxies say on stderr, and how the login ended.
	kindPrompt kind = "prompt"
	kindWords  kind = "words"
	kindReady  kind = "ready"
	kindExit   kind = "exit"
	// To the holder: what the user types.
	kindInput kind = "input"
)

// message is one line of JSON on the socket between holder and starter.
type message struct {
	Kind kind   `json:"kind"`
	Data []byte `json:"data,omitempty"`
	// Code and Interrupted say how ssh ended, Trouble why it never began.
	Code        int    `json:"code,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
	Trouble     string `json:"trouble,omitempty"`
}

// link is the socket between holder and starter.
type link struct {
	conn net.Conn
	enc  *json.Encoder
	dec  *json.Decoder
}

func newLink(f *os.File) (*link, error) {
	defer f.Close() //nolint:errcheck // FileConn has its own copy
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return &link{conn: conn, enc: json.NewEncoder(conn), dec: json.NewDecoder(conn)}, nil
}

// socketPair returns two connected sockets, both closed on exec.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return os.NewFile(uintptr(fds[0]), "holder"), os.NewFile(uintptr(fds[1]), "starter"), nil
}
