package proc

import (
	"os"
	"os/signal"
	"syscall"
)

// UnignoreSignals makes our children start with the default for those of
// SIGHUP, SIGINT, SIGQUIT and SIGTERM that we were started to ignore, as by
// nohup(1) or as a background command of a script. An ignored signal is
// inherited through exec, one that is caught is not (execve(2)). We go on
// ignoring them ourselves.
func UnignoreSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}
