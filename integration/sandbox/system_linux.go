package sandbox

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	termiosGet = unix.TCGETS
	termiosSet = unix.TCSETS
	// noChar is _POSIX_VDISABLE.
	noChar = 0
)

// flagBits is the type of the flag fields of termios.
type flagBits = uint32

// Numbers of the terminal modes (RFC 4254, section 8) that this system has and
// others lack, see terminalModes.
var (
	systemChars = map[byte]int{16: unix.VSWTC}
	systemInput = map[byte]flagBits{37: unix.IUCLC}
	systemLocal = map[byte]flagBits{52: unix.XCASE}
	systemOut   = map[byte]flagBits{71: unix.OLCUC}
)

// replace makes descriptor to a copy of from.
func replace(from, to int) error { return unix.Dup3(from, to, 0) }

// processIDs lists the processes of this machine. See proc(5).
func processIDs() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close() //nolint:errcheck // only read
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// zombie says that the process has ended and waits for its parent, which may
// be one that does not care.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	// The program's name is in brackets and may hold any character.
	i := bytes.LastIndexByte(stat, ')')
	return i < 0 || i+2 >= len(stat) || stat[i+2] == 'Z' || stat[i+2] == 'X'
}
