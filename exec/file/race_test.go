//go:build race

package file

// underRace says that the race detector is on. It sees nothing of what programs
// on a host do, so tests that run thousands of them are short then.
const underRace = true
