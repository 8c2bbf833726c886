package mux

import (
	"crypto/rand"
	"encoding/hex"
)

// newRunID makes a name for a command.
func newRunID() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}
