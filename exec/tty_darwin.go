package exec

import "golang.org/x/sys/unix"

// setTermios is the request of tcsetattr(3) that waits for nothing.
const setTermios = unix.TIOCSETA
