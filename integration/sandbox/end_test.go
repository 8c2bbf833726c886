package sandbox_test

import (
	"io"
	"strings"
	"syscall"
	"testing"

	"bivy/integration/sandbox"
)

func TestSharedConnection(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	_, warm := b.master(t)
	first := b.start(t, append(warm, "echo $PPID; cat")...)
	second := b.start(t, append(warm, "echo $PPID; cat")...)
	host := first.pid(t)
	if other := second.pid(t); other != host {
		t.Errorf("two sessions have the hosts %d and %d", host, other)
	}
	for i := range 20 {
		got := b.exec(t, nil, append(warm, "exit 7")...)
		if got.Code != 7 {
			t.Fatalf("session %d beside two others: %+v", i, got)
		}
	}
	for _, c := range []*client{first, second} {
		_ = c.stdin.Close()
		c.wait(t)
		if !c.exit.OK() {
			t.Errorf("a session ends with %v: %s", c.exit, c.words())
		}
	}
}

func TestMaxSessions(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{MaxSessions: 2})
	_, warm := b.master(t)
	first := b.start(t, append(warm, "echo up; cat")...)
	second := b.start(t, append(warm, "echo up; cat")...)
	first.line(t)
	second.line(t)
	third := b.exec(t, nil, append(warm, "echo ran")...)
	if third.Code != 255 || third.Stdout != "" || !strings.Contains(third.Stderr, "Session open refused by peer") {
		t.Errorf("the third of two sessions: %+v", third)
	}
	_ = first.stdin.Close()
	first.wait(t)
	eventually(t, "a place is free after a session's end", func() bool {
		return b.exec(t, nil, append(warm, "echo ran")...).Stdout == "ran\n"
	})
}

func TestCommandOutlivesItsClient(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{MaxSessions: 1})
	_, warm := b.master(t)
	c := b.start(t, append(warm, `echo $$; cat >/dev/null; echo end >eof; while test ! -e go; do sleep 0.02; done; echo on >on`)...)
	pid := c.pid(t)
	c.kill(t)
	eventually(t, "the command has seen the end of its stdin", func() bool { return b.wake(t) && b.exists("eof", "end\n") })
	if !alive(pid) {
		t.Error("the command was killed with its client")
	}
	// As with sshd its place is taken until it ends.
	if got := b.exec(t, nil, append(warm, "true")...); !strings.Contains(got.Stderr, "Session open refused by peer") {
		t.Errorf("a second session meanwhile: %+v", got)
	}
	if got := b.run(t, nil, "ssh", "sandbox", "touch go"); got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	eventually(t, "the command has gone on to its end", func() bool { return b.exists("on", "on\n") })
	eventually(t, "its place is free", func() bool { return b.exec(t, nil, append(warm, "true")...).Code == 0 })
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *box, *client){
		"the client is killed": func(t *testing.T, _ *box, master *client) { master.kill(t) },
		// Not by SIGTERM: of 2500 sent to a master that had just been busy, 15
		// were taken by ssh 9.2p1 and did not end it within six seconds.
		"the client ends itself": func(t *testing.T, b *box, master *client) {
			b.exec(t, nil, "ssh", "-F", "none", "-S", b.socket(), "-O", "exit", "x")
			master.wait(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, sandbox.Config{})
			master, warm := b.master(t)
			var pids []int
			for _, session := range []struct {
				args []string
				pids int
			}{
				{[]string{"echo $PPID; echo $$; sleep 1000"}, 2},
				{[]string{"-tt", "echo $$; sleep 1000"}, 1},
				// Ignores the hang-up, and so does what it has started.
				{[]string{"trap '' HUP; sleep 1000 & echo $!; echo $$; wait"}, 2},
				// Cannot see the hang-up before it is continued.
				{[]string{"echo $$; kill -STOP $$"}, 1},
				// Has ended; its child has another process group.
				{[]string{"set -m 2>/dev/null; nohup sleep 1000 >/dev/null 2>&1 & echo $!"}, 1},
			} {
				c := b.start(t, append(warm, session.args...)...)
				for range session.pids {
					pids = append(pids, c.pid(t))
				}
			}
			for _, pid := range pids {
				if !alive(pid) {
					t.Errorf("process %d has ended before the connection", pid)
				}
			}
			end(t, b, master)
			for i, pid := range pids {
				eventually(t, "process number "+string(rune('0'+i))+" has ended", func() bool { return !alive(pid) })
			}
		})
	}
}

func TestNothingIsLeftWhenAStreamBreaks(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	c := b.start(t, append(append([]string{"ssh"}, b.options...), "sandbox", "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!; exec yes")...)
	pid := c.pid(t)
	if _, err := io.CopyN(io.Discard, c.stdout, 8<<20); err != nil {
		t.Fatal(err)
	}
	// The host is in the middle of writing to ssh, and must survive that.
	c.kill(t)
	eventually(t, "the command's child has ended", func() bool { return !alive(pid) })
}

func TestCommandsAreHungUpBeforeTheyAreKilled(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	c := b.start(t, append(append([]string{"ssh"}, b.options...), "sandbox",
		// Some shells say "Hangup" when sleep ends, and die of their closed pipe.
		`exec 2>/dev/null; trap 'echo gone >hup; exit' HUP; echo $$; while :; do sleep 0.05; done`)...)
	pid := c.pid(t)
	c.kill(t)
	eventually(t, "the command has ended", func() bool { return !alive(pid) })
	if !b.exists("hup", "gone\n") {
		t.Error("the command was killed without SIGHUP")
	}
}

func TestKeepOrphans(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{KeepOrphans: true})
	c := b.start(t, append(append([]string{"ssh"}, b.options...), "sandbox",
		`echo $PPID; echo $$; cat >/dev/null; echo end >eof; exec sleep 1000`)...)
	host, pid := c.pid(t), c.pid(t)
	defer syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
	c.kill(t)
	eventually(t, "the host has ended", func() bool { return !alive(host) })
	eventually(t, "the command has seen the end of its stdin", func() bool { return b.exists("eof", "end\n") })
	if !alive(pid) {
		t.Error("the command has ended with the connection")
	}
}
