package sshdtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processes reads /proc; a small machine has no ps. See proc(5).
func processes() processTable {
	table := processTable{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has ended meanwhile
		}
		// The program's name is in brackets and may hold any character.
		open, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
		fields := strings.Fields(string(stat[end+1:]))
		if open < 0 || end < open || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		table[pid] = process{
			parent: parent, program: string(stat[open+1 : end]),
			started: fields[19], marker: environmentMarker(dir),
		}
	}
	return table
}

// environmentMarker returns our variable from the environment that the process
// was started with.
func environmentMarker(dir string) string {
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return "" // somebody else's, or it has ended
	}
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if value, ok := strings.CutPrefix(entry, marker+"="); ok {
			return value
		}
	}
	return ""
}
