package exec

import "golang.org/x/sys/unix"

// getTermios is the request of tcgetattr(3).
const getTermios = unix.TIOCGETA
