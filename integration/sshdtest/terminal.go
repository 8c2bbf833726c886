package sshdtest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"

	"bivy/exec/proc"
)

// RequireTerminal skips a test that asks the server for a terminal, where sshd
// cannot give one. Without privileges sshd must find a new terminal to be of
// the group tty (pty_setowner in OpenSSH 9.2 ends the connection otherwise:
// "chown(/dev/pts/0, …) failed"), which is so wherever devpts is mounted with
// gid=5, as usual, and not in some containers. Root can always.
func RequireTerminal(t testing.TB) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	group, err := user.LookupGroup("tty")
	if err != nil {
		return // then sshd takes the terminal as it is
	}
	control, tty, err := proc.OpenTTY(proc.Size{})
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close() //nolint:errcheck // nothing was written
	defer tty.Close()     //nolint:errcheck // nothing was written
	info, err := tty.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && strconv.FormatUint(uint64(st.Gid), 10) != group.Gid {
		// No option of sshd changes this; as root, or with a usual /dev/pts, it runs.
		t.Skipf("/dev/pts gives terminals to group %d, not to tty: an unprivileged sshd cannot serve one here", st.Gid)
	}
}
