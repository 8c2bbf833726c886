// Package partial finds what may be the beginning of a mark in a stream.
package partial

import "bytes"

// Suffix is the length of the longest end of data that begins mark, in bytes,
// and is not all of it. The mark must not be empty.
func Suffix(data, mark []byte) int {
	start := max(0, len(data)-len(mark)+1)
	for i := start; i < len(data); i++ {
		if data[i] == mark[0] && bytes.HasPrefix(mark, data[i:]) {
			return len(data) - i
		}
	}
	return 0
}
