package mux

import "golang.org/x/sys/unix"

// isLocal reports whether dir is on a disk of this machine (statfs(2), flag
// MNT_LOCAL). An answer that cannot be had counts as local.
func isLocal(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(existingParent(dir), &st); err != nil {
		return true
	}
	return st.Flags&unix.MNT_LOCAL != 0
}
