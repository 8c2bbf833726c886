package leak

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// All returns the processes of this machine. Those that have ended and wait
// for their parent are not among them: their state is Z or X (proc(5)).
func All() []Process {
	var list []Process
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
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		list = append(list, Process{
			PID: pid, Parent: parent, Args: entries(filepath.Join(dir, "cmdline")), Env: entries(filepath.Join(dir, "environ")),
		})
	}
	return list
}

// entries reads a file of entries that end with NUL.
func entries(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil // somebody else's, or it has ended
	}
	return strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
}
