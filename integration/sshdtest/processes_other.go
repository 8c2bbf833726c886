//go:build !linux

package sshdtest

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"bivy/exec/proc"
)

// processes asks ps of macOS and the BSDs.
func processes() processTable {
	table := processTable{}
	for line := range strings.Lines(ps("-axww", "-o", "pid=,ppid=,stat=,lstart=,comm=")) {
		// lstart is five words: Mon Jan  2 15:04:05 2006.
		f := strings.Fields(line)
		if len(f) < 9 || strings.HasPrefix(f[2], "Z") {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		parent, err2 := strconv.Atoi(f[1])
		if err != nil || err2 != nil {
			continue
		}
		table[pid] = process{
			parent: parent, started: strings.Join(f[3:8], " "), program: strings.Join(f[8:], " "),
		}
	}
	// -E shows the environment of our own processes behind the command.
	for line := range strings.Lines(ps("-axwwE", "-o", "pid=,command=")) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		row, ok := table[pid]
		if err != nil || !ok {
			continue
		}
		for _, word := range f[1:] {
			if value, found := strings.CutPrefix(word, marker+"="); found {
				row.marker = value
			}
		}
		table[pid] = row
	}
	return table
}

func ps(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	// Without ps nothing is found, and Stop ends the listener only.
	_, _ = proc.Run(ctx, proc.Spec{Args: append([]string{"ps"}, args...), Stdout: &out})
	return out.String()
}
