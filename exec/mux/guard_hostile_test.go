package mux

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dialControl connects to a holder as anybody of the same user may.
func dialControl(t *testing.T, l *Lease) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "unix", l.masters.dir.control(l.RouteID()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// cutOff reports whether the holder ends a connection on its own.
func cutOff(conn net.Conn) bool {
	_, err := io.Copy(io.Discard, conn)
	// A reset is an end, too; only the deadline is none.
	return err == nil || !strings.Contains(err.Error(), "timeout")
}

func TestControlTakesNoNonsense(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	rec := record(t, l)
	id := newRunID()
	for _, words := range []string{
		"\n", "GET / HTTP/1.1\r\n", "{}\n", "null\n", "[]\n", `{"do":"what"}` + "\n", `{"do":"end"}` + "\n", "\x00\xff\x00\n",
		`{"do":"run"}` + "\n", `{"do":"run","run":"` + strings.Repeat("a", 15) + `;"}` + "\n",
		`{"do":"run","run":"` + id + `","grace_s":-1}` + "\n", `{"do":"run","run":"` + id + `","grace_s":1e99}` + "\n",
		strings.Repeat("x", maxOrder+1), strings.Repeat("[", maxOrder+1),
		`{"do":"run","run":"` + id + `"}` + "\n" + "nonsense\n",
		`{"do":"run","run":"` + id + `"}` + "\n" + strings.Repeat("y", maxOrder+1),
	} {
		conn := dialControl(t, l)
		_, _ = io.WriteString(conn, words)
		if !cutOff(conn) {
			t.Errorf("%.60q is taken", words)
		}
	}
	// One that says nothing is not waited for, for ever.
	if silent := dialControl(t, l); !cutOff(silent) {
		t.Error("a client that says nothing stays")
	}
	// Whoever does not read its news is cut off, too.
	flood := dialControl(t, l)
	_, _ = fmt.Fprintf(flood, "{\"do\":\"run\",\"run\":%q}\n", newRunID())
	for range 1000 {
		if _, err := io.WriteString(flood, strings.Repeat(`{"do":"started","pid":1}`+"\n"+`{"do":"started","pid":-5}`+"\n", 20)); err != nil {
			t.Fatalf("a flood of orders is cut off: %v", err)
		}
	}
	g := l.Guard(t.Context(), Run{ID: newRunID()})
	defer g.Over()
	if !g.Present() || !alive(rec.Holder) || !alive(rec.SSH) {
		t.Errorf("afterwards: present %v (%s), holder %v, ssh %v", g.Present(), g.Why(), alive(rec.Holder), alive(rec.SSH))
	}
}

func TestControlTakesACrowd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	conns := make([]net.Conn, 2*maxControls)
	for i := range conns {
		conns[i] = dialControl(t, l)
		_, _ = fmt.Fprintf(conns[i], "{\"do\":\"run\",\"run\":%q,\"keep\":true}\n", newRunID())
	}
	g := l.Guard(t.Context(), Run{ID: newRunID()})
	if g.Present() {
		t.Error("there is no bound for clients")
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	eventually(t, "there is room again", func() bool {
		g := l.Guard(t.Context(), Run{ID: newRunID()})
		defer g.Over()
		return g.Present()
	})
	if rec := record(t, l); !alive(rec.Holder) || !alive(rec.SSH) {
		t.Error("the master is gone")
	}
}

func TestControlIsPrivateAndReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	if info := fileMode(t, m.dir.control(l.RouteID())); info != 0o600 {
		t.Errorf("the mode of the control socket is %o", info)
	}
	killBoth(t, l)
	// The last thread of the holder closes it, a little after the first has ended.
	eventually(t, "the control socket is stale", func() bool { return probe(m.dir.control(l.RouteID())) == stale })
	if err := l.Reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := l.Guard(t.Context(), Run{ID: newRunID()})
	if !g.Present() {
		t.Errorf("the next holder does not answer: %s", g.Why())
	}
	g.Over()
	l.Release()
	if _, err := m.CloseID(t.Context(), l.RouteID(), "gpu1"); err != nil {
		t.Fatal(err)
	}
	f.nothingLeft(t)
}

// talk gives a warden what a host says, and returns the news of a command
// that was ordered to end.
func talk(t *testing.T, said io.Reader) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ours, theirs := net.Pipe()
	var heard text
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(&heard, theirs)
	}()
	w := &warden{posts: make(chan func(time.Time)), runs: map[string]*watched{}}
	r := order{Do: doRun, Run: "00000000000000aa"}.watched(&client{conn: ours})
	w.register(time.Now(), r)
	w.guardian = &guardian{cancel: cancel, ready: true}
	r.briefed, r.want, r.sent = true, doEnd, doEnd
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.readAnswers(ctx, w.guardian, testNonce, said)
	}()
	for over := false; !over; {
		select {
		case do := <-w.posts:
			// The order that follows a report goes nowhere.
			if w.guardian.stdin == nil {
				w.guardian.stdin = devNull(t)
			}
			do(time.Now())
		case <-done:
			over = true
		}
	}
	_ = ours.Close()
	<-copied
	return heard.String()
}

func TestGuardianOfAHostileHost(t *testing.T) {
	t.Parallel()
	const here = `{"is":"here"}` + "\n"
	line := func(s string) string { return testNonce + " " + s + "\n" }
	for name, c := range map[string]struct{ said, want string }{
		"nothing":         {"", here},
		"without a nonce": {"ended 00000000000000aa 1 1\n", here},
		"another nonce":   {"1123456789abcdef ended 00000000000000aa 1 1\n", here},
		"another run":     {line("ended 00000000000000ab 1 1") + line("ended") + line("ended "), here},
		"words":           {line("ready") + line("ready") + line("what") + line("") + "\x00\xff\n", here},
		"honest": {
			line("left 00000000000000aa 17 sleep 5") + line("ended 00000000000000aa 1 0"),
			here + `{"is":"ended","found":true,"survivors":[{"pid":17,"command":"sleep 5"}]}` + "\n",
		},
		"twice": {
			line("ended 00000000000000aa 0 1") + line("ended 00000000000000aa 1 1"),
			here + `{"is":"ended","complete":true}` + "\n",
		},
		"numbers that are none": {
			line("left 00000000000000aa x y") + line("left 00000000000000aa -1 y") + line("left 00000000000000aa") +
				line("left 00000000000000aa 99999999999999999999 y") + line("ended 00000000000000aa yes 2"),
			here + `{"is":"ended"}` + "\n",
		},
		"escapes": {
			line("left 00000000000000aa 17 \x1b]0;title\x07a\x1b[31mb\x9b") + line("ended 00000000000000aa 1 1"),
			here + `{"is":"ended","found":true,"complete":true,"survivors":[{"pid":17,"command":"ab\\x9b"}]}` + "\n",
		},
		"long lines": {
			strings.Repeat("z", 1<<20) + "\n" + strings.Repeat(testNonce+" ended 00000000000000aa 1 1", 100) + "\n" +
				line("left 00000000000000aa 17 "+strings.Repeat("ü", 5000)) + line("ended 00000000000000aa 1 1"),
			here + `{"is":"ended","found":true,"complete":true}` + "\n" +
				"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := talk(t, strings.NewReader(c.said))
			if name == "long lines" {
				if len(got) > 1000 || !strings.Contains(got, `"is":"ended"`) {
					t.Errorf("%d bytes of news: %.500s", len(got), got)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("news (-want +got):\n%s", diff)
			}
		})
	}
}

// endless is a host that never stops talking.
type endless struct {
	line []byte
	n    int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, bytes.Repeat(e.line, len(p)/len(e.line)+1))
	e.n += int64(n)
	return n, nil
}

func TestGuardianThatNeverStopsTalking(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"z", "zz\n", testNonce + " left 00000000000000aa 17 x\n"} {
		e := &endless{line: []byte(line)}
		if got := talk(t, e); len(got) > 100 {
			t.Errorf("news: %.200q", got)
		}
		if e.n > 2*maxAnswers {
			t.Errorf("%d bytes were read", e.n)
		}
	}
}

func TestSafeCommand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       "",
		"sleep 5":                "sleep 5",
		strings.Repeat("a", 200): strings.Repeat("a", 200),
		strings.Repeat("a", 201): strings.Repeat("a", 199-2) + "…",
		strings.Repeat("ü", 150): strings.Repeat("ü", 98) + "…",
	} {
		if got := safeCommand(in); got != want || len(got) > maxCommand {
			t.Errorf("%.20q… of %d bytes gives %q, %d bytes", in, len(in), got, len(got))
		}
	}
}

// A guardian whose ssh takes no orders any more is given up.
func TestStoppedGuardianIsGivenUp(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	m := f.masters(t)
	l := f.held(t, m, f.target("gpu1"), quick)
	c := f.run(t, l, polite)
	c.guard(t, l, Run{Keep: true})
	rec := record(t, l)
	if err := syscall.Kill(rec.SSH, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	g := l.Guard(t.Context(), Run{ID: newRunID()})
	defer g.Over()
	if !g.Present() {
		t.Errorf("the holder of a stopped master does not answer: %s", g.Why())
	}
	if err := syscall.Kill(rec.Holder, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the holder ends though its master is stopped", func() bool { return !alive(rec.Holder) && !alive(rec.SSH) })
	f.nothingLeft(t)
}
