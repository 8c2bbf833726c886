package proc

import "syscall"

// endWithParent does nothing: macOS has no signal for the death of a parent.
func endWithParent(*syscall.SysProcAttr) {}
