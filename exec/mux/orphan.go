package mux

import "github.com/gofrs/flock"

// orphaned reports a master that listens although its holder is gone, killed
// in a way that ssh did not hear of. Nobody keeps its words, ends it when it
// is idle, or watches its commands. The lock of the holder tells: it is held
// from before ssh starts until after it has ended. It is asked for as a reader,
// so that several who ask at once do not take each other for the holder.
func (m *Masters) orphaned(id string) bool {
	if probe(m.dir.socket(id)) != listening {
		return false
	}
	hold := flock.New(m.dir.sidecar(id, "hold"))
	defer hold.Close() //nolint:errcheck // the lock ends with the descriptor
	free, err := hold.TryRLock()
	if err != nil {
		return false
	}
	return free || probe(m.dir.control(id)) == stale
}
