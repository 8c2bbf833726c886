package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"bivy/exec/proc"
)

// TestFsDenied is an ordinary user among the files of others: each refusal is of
// the right kind, names what it is about, and changes nothing.
func TestFsDenied(t *testing.T) {
	if os.Getuid() != 0 {
		// Only root can make files of somebody else.
		t.Skip("needs root for the files of another account")
	}
	t.Parallel()
	dir := t.TempDir()
	shell := filepath.Join(dir, "shell")
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --reuid %[1]d --regid %[1]d --clear-groups /bin/sh \"$@\"\n", nobody)
	if err := os.WriteFile(shell, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, kindSSHD, hostOptions{Shell: shell})
	t.Cleanup(w.end)
	w.must(os.Chmod(w.root, 0o711))
	w.must(os.Chown(w.remote, nobody, nobody))
	if got := w.bivy("exec", "--host", "gpu1", "--", "id", "-u"); got.stdout != fmt.Sprintln(nobody) {
		t.Skipf("there is no way to run a command as another account: %v", got)
	}
	// Root's: closed is for root alone, through lets pass and not look, names
	// lets look and not pass, open lets do both.
	for name, mode := range map[string]os.FileMode{"closed": 0o700, "through": 0o711, "names": 0o744, "open": 0o755} {
		w.write(w.remote+"/"+name+"/file", "one\n")
		w.write(w.remote+"/"+name+"/in/file", "one\n")
		w.must(os.Chmod(w.remote+"/"+name+"/file", 0o644))
		w.must(os.Chmod(w.remote+"/"+name, mode))
	}
	w.write(w.remote+"/secret", "one\n")
	before := w.run(w.everything())
	for _, c := range []struct {
		code  int
		class string
		args  []string
	}{
		{81, "remote_denied", []string{"read", "secret"}},
		{81, "remote_denied", []string{"read", "closed/file"}},
		{81, "remote_denied", []string{"read", "closed/none"}},
		{0, "", []string{"read", "through/file"}},
		{82, "not_found", []string{"read", "through/none"}},
		{81, "remote_denied", []string{"read", "names/file"}},
		{0, "", []string{"read", "open/file"}},
		{0, "", []string{"stat", "secret"}},
		{81, "remote_denied", []string{"stat", "closed/file"}},
		{81, "remote_denied", []string{"ls", "closed"}},
		{81, "remote_denied", []string{"ls", "through"}},
		{81, "remote_denied", []string{"ls", "names"}},
		{0, "", []string{"ls", "open"}},
		{81, "remote_denied", []string{"find", "closed", "*"}},
		{0, "", []string{"find", "open", "**"}},
		{81, "remote_denied", []string{"grep", "secret", "one"}},
		{81, "remote_denied", []string{"grep", "closed", "one"}},
		{0, "", []string{"grep", "through/file", "one"}},
		{81, "remote_denied", []string{"edit", "secret", "--old", "one", "--new", "two"}},
		{81, "remote_denied", []string{"edit", "open/file", "--old", "one", "--new", "two"}},
		{81, "remote_denied", []string{"write", "closed/file"}},
		{81, "remote_denied", []string{"write", "closed/new/file"}},
		{81, "remote_denied", []string{"write", "open/file"}},
		{81, "remote_denied", []string{"write", "open/new"}},
		{81, "remote_denied", []string{"mkdir", "open/new"}},
		{81, "remote_denied", []string{"mkdir", "-p", "open/new/er"}},
		{81, "remote_denied", []string{"mkdir", "closed/new"}},
		{81, "remote_denied", []string{"mv", "open/file", "mine"}},
		{81, "remote_denied", []string{"mv", "secret", "open/mine"}},
		{81, "remote_denied", []string{"rm", "open/file"}},
		{81, "remote_denied", []string{"rm", "-r", "open"}},
		{81, "remote_denied", []string{"rm", "secret", "open/file"}},
	} {
		got := w.fed("x", append([]string{"fs", c.args[0], "--host", "gpu1", "--json"}, c.args[1:]...)...)
		if got.code != c.code {
			t.Errorf("fs %q gives %v; want code %d", c.args, got, c.code)
			continue
		}
		if c.class == "" {
			continue
		}
		said, _ := w.said(got.stderr)["error"].(map[string]any)
		if c.args[0] == "stat" {
			files, _ := w.said(got.stdout)["files"].([]any)
			said, _ = files[0].(map[string]any)["error"].(map[string]any)
		}
		if said["class"] != c.class {
			t.Errorf("fs %q says %v; want class %s", c.args, said, c.class)
		}
	}
	if after := w.run(w.everything()); after != before {
		t.Errorf("there is now\n%s\nand was\n%s", after.stdout, before.stdout)
	}
	// A directory of root's in one of our own may be renamed and not emptied.
	got := w.wants(81, "fs", "rm", "-r", "--host", "gpu1", "open")
	w.says(got, 81, "ermission denied")
	w.wants(0, "fs", "rm", "--host", "gpu1", "secret")
}

// everything lists all that is in the remote home, with modes, owners and contents.
func (w *world) everything() proc.Spec {
	return proc.Spec{Args: []string{"sh", "-c", `find . -printf '%p %m %U %s %T@ ' -type f -exec cksum {} \; -o -printf '\n' | grep -v '^\. ' | sort`}, Dir: w.remote}
}
