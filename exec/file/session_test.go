package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bivy/exec"
	"bivy/integration/mastertest"
	"bivy/integration/sshdtest"
)

// remote is a real sshd, and a Session on it.
func remote(t testing.TB, o sshdtest.Options) (*sshdtest.Server, *Session) {
	t.Helper()
	server := sshdtest.Start(t, o)
	masters, target := mastertest.Open(t, server)
	return server, &Session{Masters: masters, Target: target}
}

// Every operation works over ssh, with hosts of several kinds.
func TestOverSSH(t *testing.T) {
	for name, o := range map[string]sshdtest.Options{
		"sh": {}, "fish": {LoginShell: "fish"}, "tcsh": {LoginShell: "tcsh"}, "busybox": {LoginShell: "busybox ash", Programs: sshdtest.BusyboxPrograms(t)},
	} {
		t.Run(name, func(t *testing.T) {
			if shell := o.LoginShell; shell != "" && !strings.Contains(shell, " ") {
				if _, err := os.Stat("/usr/bin/" + shell); err != nil {
					// .ci/run installs all of them; a laptop tests those it has.
					t.Skipf("%s is not installed", shell)
				}
			}
			server, session := remote(t, o)
			everyOperation(t, &FS{Runner: session, Root: "~/work"}, &host{root: server.Home + "/work"})
		})
	}
}

func everyOperation(t *testing.T, f *FS, h *host) {
	t.Helper()
	ctx := t.Context()
	const name = "d/a 'b'\n\xff$(id)"
	content := allBytes() + strings.Repeat("line\n", 100_000)
	if w, err := f.Write(ctx, name, []byte(content), WriteOptions{Mode: mode(0o640)}); err != nil || !w.Created || w.Verified != "sha256" {
		t.Fatalf("%+v, %v", w, err)
	}
	h.want(t, name, content)
	// A content that nobody reads does not hide why.
	_, err := f.Write(ctx, "d", make([]byte, 8<<20), WriteOptions{})
	wantKind(t, err, IsDir)
	c, err := f.Read(ctx, name, ReadOptions{})
	if err != nil || string(c.Data) != content || c.Mode != 0o640 || !c.Whole {
		t.Errorf("read: %d bytes, %+v, %v", len(c.Data), c.Info, err)
	}
	if c, err = f.Read(ctx, name, ReadOptions{Tail: 3}); err != nil || string(c.Data) != "line\nline\nline\n" || c.SHA256 != sumOf(content) {
		t.Errorf("the tail: %q, %v", c.Data, err)
	}
	h.put(t, "e.txt", "one\ntwo\n")
	e, err := f.Edit(ctx, "e.txt", []Replacement{{Old: "two", New: "2"}}, EditOptions{})
	if err != nil || !strings.Contains(e.Diff, "-two\n+2\n") {
		t.Errorf("edit: %+v, %v", e, err)
	}
	var changed *PreconditionError
	if _, err = f.Write(ctx, "e.txt", []byte("x"), WriteOptions{IfMatch: e.Before}); !errors.As(err, &changed) || changed.Have != e.SHA256 {
		t.Errorf("a second edit: %v", err)
	}
	list, err := f.Stat(ctx, []string{"e.txt", "none"}, StatOptions{})
	if err != nil || list[0].Size != 6 || list[1].Err == nil {
		t.Errorf("stat: %+v, %v", list, err)
	}
	many := make([]string, 3000)
	for i := range many {
		many[i] = strings.Repeat("no\nsuch\xff'name", 8) + itoa(int64(i))
	}
	list, err = f.Stat(ctx, append(many, "e.txt"), StatOptions{})
	if err != nil || len(list) != 3001 || list[0].Err == nil || list[3000].Size != 6 {
		t.Errorf("stat of many: %d, %v", len(list), err)
	}
	l, err := f.List(ctx, "", ListOptions{Depth: -1})
	if err != nil || len(l.Entries) != 3 || l.Entries[1].Path != name {
		t.Errorf("ls: %+v, %v", l, err)
	}
	found, err := f.Find(ctx, "", "**/*.txt", FindOptions{})
	if err != nil || !slices.Equal(found.Paths, []string{"e.txt"}) {
		t.Errorf("find: %+v, %v", found, err)
	}
	m, err := f.Grep(ctx, "", "^2$", GrepOptions{Context: 1})
	if err != nil || m.Count != 1 || len(m.Lines) != 2 {
		t.Errorf("grep: %+v, %v", m, err)
	}
	if made, err := f.Mkdir(ctx, "m", MkdirOptions{}); err != nil || !made {
		t.Errorf("mkdir: %v, %v", made, err)
	}
	if err := f.Move(ctx, name, "m/x", MoveOptions{}); err != nil {
		t.Errorf("mv: %v", err)
	}
	if n, err := f.Remove(ctx, []string{"m", "d", "e.txt"}, RemoveOptions{Recursive: true}); err != nil || n != 3 {
		t.Errorf("rm: %d, %v", n, err)
	}
	h.wantTree(t)
}

// A write whose connection is cut leaves the old file or the new, and nothing
// else after the next write.
func TestCutConnection(t *testing.T) {
	server, session := remote(t, sshdtest.Options{})
	f, h := &FS{Runner: session}, &host{root: server.Home}
	old, content := strings.Repeat("old", 1000), strings.Repeat("0123456789abcdef", 1<<18)
	if _, err := f.Write(t.Context(), "file", []byte(old), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"connection", "cancel"} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := f.Write(ctx, "file", []byte(content), WriteOptions{})
			ended <- err
		}()
		// The temporary file is there as soon as the content comes.
		tick := time.NewTicker(time.Millisecond)
		for begun := false; !begun; {
			<-tick.C
			names, err := filepath.Glob(server.Home + "/.bivy-tmp-*")
			if err != nil {
				t.Fatal(err)
			}
			begun = len(names) > 0 || len(ended) > 0
		}
		tick.Stop()
		if how == "cancel" {
			cancel()
		} else {
			server.KillConnections()
		}
		err := <-ended
		cancel()
		got, _ := os.ReadFile(server.Home + "/file")
		if string(got) != old && string(got) != content || err == nil && string(got) != content {
			t.Errorf("%s: the file holds %d bytes, %.20q; the error is %v", how, len(got), got, err)
		}
		var canceled *exec.CanceledError
		if how == "cancel" && err != nil && !errors.As(err, &canceled) {
			t.Errorf("the error is %v, want a *exec.CanceledError", err)
		}
		if _, err := f.Write(t.Context(), "file", []byte(old), WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		// What was cut off may be at its end just now.
		deadline := time.Now().Add(patience)
		for left := []string{""}; len(left) > 0 && time.Now().Before(deadline); {
			if left, err = filepath.Glob(server.Home + "/.bivy-*"); err != nil {
				t.Fatal(err)
			}
		}
		h.want(t, "file", old)
		h.wantNoLitter(t)
	}
}
