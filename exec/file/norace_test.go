//go:build !race

package file

const underRace = false
