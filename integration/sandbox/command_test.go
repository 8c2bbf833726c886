package sandbox_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bivy/integration/sandbox"
)

func TestExitStatus(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	for _, test := range []struct {
		command string
		want    result
	}{
		{"true", result{}},
		{"exit 7", result{Code: 7}},
		{"exit 255", result{Code: 255}},
		{"echo out; echo err >&2; exit 3", result{3, "out\n", "err\n"}},
		{"pwd; echo $HOME", result{Stdout: b.home + "\n" + b.home + "\n"}},
		// ssh has no status of its own for a command that a signal ended.
		{"kill -9 $$", result{Code: 255}},
		{"no-such-program 2>/dev/null", result{Code: 127}},
	} {
		if diff := cmp.Diff(test.want, b.ssh(t, "sandbox", test.command)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.command, diff)
		}
	}
}

func TestLoginShell(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	if err := os.WriteFile(filepath.Join(b.home, ".profile"), []byte("greeting=hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := b.run(t, strings.NewReader("echo $greeting $SHELL\nexit 4\n"), "ssh", "-T", "sandbox")
	if diff := cmp.Diff(result{Code: 4, Stdout: "hello /bin/sh\n"}, got); diff != "" {
		t.Errorf("a shell without a command (-want +got):\n%s", diff)
	}
}

// random returns bytes that are the same in each run.
func random(n int) []byte {
	var seed [32]byte
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(data)
	return data
}

func TestBytesBothWays(t *testing.T) {
	t.Parallel()
	data := random(20 << 20)
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			b := newBox(t, sandbox.Config{Delay: delay})
			got := b.run(t, bytes.NewReader(data), "ssh", "sandbox", "tee copy; echo end >&2")
			if got.Code != 0 || got.Stderr != "end\n" {
				t.Errorf("code %d, stderr %q", got.Code, got.Stderr)
			}
			if back := fmt.Sprintf("%x", sha256.Sum256([]byte(got.Stdout))); back != sum {
				t.Errorf("%d bytes came back with sum %s, want %d with %s", len(got.Stdout), back, len(data), sum)
			}
			copied, err := os.ReadFile(filepath.Join(b.home, "copy"))
			if err != nil || !bytes.Equal(copied, data) {
				t.Errorf("%d bytes arrived (%v), want the %d sent", len(copied), err, len(data))
			}
		})
	}
}

func TestStdinEndsWhenTheClientEndsIt(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	c := b.start(t, append(append([]string{"ssh"}, b.options...), "sandbox", "cat; echo end; exit 6")...)
	for _, word := range []string{"one", "two"} {
		_, _ = fmt.Fprintln(c.stdin, word)
		if got := c.line(t); got != word {
			t.Fatalf("cat said %q, want %q", got, word)
		}
	}
	_ = c.stdin.Close()
	if got := c.line(t); got != "end" {
		t.Errorf("after the end of file: %q", got)
	}
	c.wait(t)
	if c.exit.Code != 6 {
		t.Errorf("the end is %v, want status 6", c.exit)
	}
}

func TestCommandThatClosesItsStdin(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	got := b.run(t, bytes.NewReader(make([]byte, 16<<20)), "ssh", "sandbox", "exec 0<&-; echo on")
	if diff := cmp.Diff(result{Stdout: "on\n"}, got); diff != "" {
		t.Errorf("with 16 MiB that nobody reads (-want +got):\n%s", diff)
	}
}

func TestLeaderHasPipesAndASessionOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	got := b.ssh(t, "sandbox", `for fd in 0 1 2; do test -p /dev/fd/$fd || echo $fd is no pipe; done >&2
ps -o pid= -o pgid= -o ppid= -p $$; ps -o pid= -o ppid= -p $PPID`)
	var pid, group, parent, parentPid, grandparent int
	if _, err := fmt.Sscan(got.Stdout, &pid, &group, &parent, &parentPid, &grandparent); err != nil || got.Stderr != "" {
		t.Fatalf("%v from %+v", err, got)
	}
	if pid != group || parent != parentPid {
		t.Errorf("pid %d has group %d and parent %d", pid, group, parent)
	}
	if _, err := os.Stat("/proc/self/fdinfo"); err == nil {
		// 04000 is O_NONBLOCK, which most programs cannot cope with.
		got = b.ssh(t, "sandbox", `for fd in 0 1 2; do while read k v; do
case $k in flags:) case $v in *[4567]???) echo $fd: $v;; esac;; esac; done </proc/$$/fdinfo/$fd; done`)
		if diff := cmp.Diff(result{}, got); diff != "" {
			t.Errorf("non-blocking descriptors (-want +got):\n%s", diff)
		}
	}
}

func TestBackgroundChildDelaysTheClose(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	// The child speaks when its parent has ended and was waited for.
	got := b.ssh(t, "sandbox", `p=$$; (while kill -0 $p 2>/dev/null; do sleep 0.02; done; echo late) & echo early; exit 5`)
	if diff := cmp.Diff(result{Code: 5, Stdout: "early\nlate\n"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	names := func(r result) string {
		var names []string
		for line := range strings.Lines(r.Stdout) {
			name, _, _ := strings.Cut(line, "=")
			switch name {
			case "PWD", "OLDPWD", "SHLVL", "_":
				// The shell's own.
			default:
				names = append(names, strings.TrimSpace(name))
			}
		}
		return strings.Join(names, " ")
	}
	b := newBox(t, sandbox.Config{})
	if got := names(b.ssh(t, "sandbox", "env | sort")); got != "HOME LANG LOGNAME PATH SHELL USER" {
		t.Errorf("a session's environment is %s", got)
	}
	got := b.ssh(t, "-o", `SetEnv=LC_BIVY="a b" LANG=C EVIL=1 LD_PRELOAD=x BIVY_X=2`, "sandbox",
		`echo "$LC_BIVY:$LANG:$EVIL:$LD_PRELOAD:$BIVY_X:$TERM"`)
	if got.Stdout != "a b:C::::\n" {
		t.Errorf("of the client's environment has arrived: %q", got.Stdout)
	}
	b = newBox(t, sandbox.Config{Env: []string{"PATH=/usr/bin:/bin", "OWN=1"}})
	if got := names(b.ssh(t, "sandbox", "env | sort")); got != "HOME OWN PATH" {
		t.Errorf("a session's environment with a base given is %s", got)
	}
}

func TestFileTransfer(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	data := random(300_000)
	local := filepath.Join(b.dir, "local")
	if err := os.WriteFile(local, data, 0o600); err != nil {
		t.Fatal(err)
	}
	batch := filepath.Join(b.dir, "batch")
	text := "mkdir d\nput " + local + " d/one\nrename d/one d/two\nget d/two " + local + ".back\npwd\n"
	if err := os.WriteFile(batch, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := b.run(t, nil, "sftp", "-b", batch, "sandbox")
	if got.Code != 0 || !strings.Contains(got.Stdout, "working directory: "+b.home+"\n") {
		t.Errorf("sftp: %+v", got)
	}
	for _, file := range []string{filepath.Join(b.home, "d", "two"), local + ".back"} {
		if back, err := os.ReadFile(file); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%s has %d bytes (%v), want %d", file, len(back), err, len(data))
		}
	}
	if got := b.run(t, nil, "scp", local, "sandbox:by-scp"); got.Code != 0 || !b.exists("by-scp", string(data)) {
		t.Errorf("scp: %+v, or another content", got)
	}
	if got := b.ssh(t, "-s", "sandbox", "no-such-subsystem"); got.Code != 255 {
		t.Errorf("an unknown subsystem gives %+v", got)
	}
}
