package sshdtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// POSIXPrograms are those of a host with nothing but what POSIX has for
// processes: no setsid, no timeout, no stat, no env, not even cat.
func POSIXPrograms() []string { return []string{"sh", "ps", "kill", "dd", "sleep", "stty"} }

// BusyboxPrograms are all programs that busybox has, and none but those.
func BusyboxPrograms(t testing.TB) []string {
	t.Helper()
	var out bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{Args: []string{"busybox", "--list"}, Stdout: &out})
	if err != nil || !exit.OK() {
		// Without it there is nothing to be seen; .ci/run installs it.
		t.Skipf("busybox does not list its programs: %v, %v", exit, err)
	}
	var list []string
	for name := range strings.FieldsSeq(out.String()) {
		list = append(list, "busybox "+name)
	}
	return list
}

// linkPrograms makes a directory with these programs and returns its path. The
// form "busybox ls" is a program of many names and one of them.
func linkPrograms(dir string, programs []string) (string, error) {
	if len(programs) == 0 {
		return "", nil
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return "", err
	}
	for _, entry := range programs {
		program, name, two := strings.Cut(entry, " ")
		if !two {
			name = program
		}
		path, err := lookPath(program)
		if err != nil {
			return "", err
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil && !os.IsExist(err) {
			return "", err
		}
	}
	return bin, nil
}
