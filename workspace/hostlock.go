package workspace

import _ "embed"

// hostLockScript stands in front of the scripts that change a workspace.
//
//go:embed hostlock.sh
var hostLockScript string

// lockVars is what hostlock.sh wants to know; doing says what the lock is for,
// in words that others will read, such as "bivy rm".
func lockVars(doing string) []variable {
	return []variable{
		{"L_token", NewID()},
		{"L_doing", doing},
		{"L_proc", "/proc"},
		{"L_wait", "50"},   // five seconds
		{"L_beat", "10"},   // seconds
		{"L_stale", "300"}, // longer than NFS clients cache the times of files
	}
}
