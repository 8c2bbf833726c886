package mux

import "golang.org/x/sys/unix"

// isLocal reports whether dir is on a disk of this machine. Sockets and file
// locks on network file systems work on some and hang on others (statfs(2)
// lists the magic numbers). An answer that cannot be had counts as local:
// what follows will then say what is wrong.
func isLocal(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(existingParent(dir), &st); err != nil {
		return true
	}
	switch int64(st.Type) { //nolint:unconvert // the field's type differs between architectures
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC,
		unix.AFS_SUPER_MAGIC, unix.CODA_SUPER_MAGIC, unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC:
		return false
	}
	return true
}
