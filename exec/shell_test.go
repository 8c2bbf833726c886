package exec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"bivy/exec/frame"
	"bivy/exec/proc"
	"bivy/internal/leak"
)

// shell is one of the programs that hosts have as /bin/sh.
type shell struct {
	name string
	argv []string
	// mute says that it never tells of a child's signal, so that there is no
	// evidence.
	mute bool
}

func shells(t testing.TB) []shell {
	t.Helper()
	list := []shell{
		{name: "dash", argv: []string{"dash"}},
		{name: "bash", argv: []string{"bash"}},
		{name: "busybox", argv: []string{"busybox", "sh"}},
		{name: "mksh", argv: []string{"mksh"}},
		{name: "zsh", argv: []string{"zsh", "--emulate", "sh"}, mute: true},
	}
	// bash that is called sh is in POSIX mode.
	for _, path := range []string{"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"} {
		if _, err := os.Stat(path); err == nil {
			link := filepath.Join(t.TempDir(), "sh")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			return append(list, shell{name: "bash-as-sh", argv: []string{link}})
		}
	}
	return list
}

// eachShell runs a test in parallel for every shell that is installed.
func eachShell(t *testing.T, test func(t *testing.T, sh shell)) {
	t.Helper()
	for _, sh := range shells(t) {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			_, err := proc.Run(t.Context(), proc.Spec{Args: append(append([]string{}, sh.argv...), "-c", ":"), Isolation: proc.Session})
			var missing *proc.NotFoundError
			if errors.As(err, &missing) {
				// .ci/run installs all of them; a laptop tests those it has.
				t.Skipf("%s is not installed", sh.argv[0])
			}
			if err != nil {
				t.Fatal(err)
			}
			test(t, sh)
		})
	}
}

// session is a shell with a frame on its stdin, as sshd would start it.
type session struct {
	t      testing.TB
	mark   string // the value of markVar
	home   string
	proc   *proc.Process
	stdin  *os.File
	out    *scanner
	err    *scanner
	stdout buffer
	stderr buffer
	ended  chan proc.Exit
	link   []*os.File    // our ends of all three streams
	unread chan struct{} // closed when nobody reads the outputs any more
	begun  chan struct{} // closed at the start mark
	once   sync.Once     // closes it
}

// hangUp closes the streams, as sshd does when the connection is gone.
func (s *session) hangUp() { closeAll(s.link) }

const testNonce = "0123456789abcdef"

// testID is a new mark for what a command starts, and the nonce that the
// scanners of these tests look for.
func testID() identity {
	id := newIdentity()
	id.nonce = testNonce
	return id
}

// setup says how a session differs from the usual.
type setup struct {
	home string
	path string // goes in front of PATH
	dir  string // the working directory
}

var lastMark atomic.Int64

// start starts the shell; its stdin is the session's.
func (sh shell) start(t testing.TB, o setup) *session {
	t.Helper()
	if o.home == "" {
		o.home = t.TempDir()
	}
	s := &session{
		t: t, home: o.home, ended: make(chan proc.Exit, 1), unread: make(chan struct{}), begun: make(chan struct{}),
		mark: strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(lastMark.Add(1), 10),
	}
	t.Cleanup(func() { endMarked(s.mark) })
	s.out = newScanner(testNonce, &s.stdout, s.note)
	s.err = newScanner(testNonce, &s.stderr, nil)
	path := "/usr/local/bin:/usr/bin:/bin"
	if o.path != "" {
		path = o.path + ":" + path
	}
	var ends []*os.File // reader, writer for each of the three streams
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, r, w)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	p, err := proc.Start(ctx, proc.Spec{
		Args: append(append([]string{}, sh.argv...), "-c", frame.BootAlone, "sh"),
		Dir:  o.dir, Env: []string{"HOME=" + o.home, "PATH=" + path, "TMPDIR=" + t.TempDir(), markVar + "=" + s.mark, leak.Mark()},
		Stdin: ends[0], Stdout: ends[3], Stderr: ends[5], Isolation: proc.Session,
	})
	closeAll([]*os.File{ends[0], ends[3], ends[5]})
	s.link = []*os.File{ends[1], ends[2], ends[4]}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	s.proc, s.stdin = p, ends[1]
	copied := make(chan struct{}, 2)
	for from, to := range map[*os.File]*scanner{ends[2]: s.out, ends[4]: s.err} {
		go func() {
			_, _ = io.CopyBuffer(to, struct{ io.Reader }{from}, make([]byte, 64<<10))
			_ = to.finish()
			copied <- struct{}{}
		}()
	}
	go func() {
		<-copied
		<-copied
		close(s.unread)
	}()
	go func() {
		defer cancel()
		exit, _ := p.Wait()
		<-s.unread
		closeAll([]*os.File{ends[2], ends[4]})
		s.ended <- exit
	}()
	t.Cleanup(func() { _ = s.stdin.Close() })
	return s
}

// note is told of the marks on stdout.
func (s *session) note(m marks) {
	if m.started {
		s.once.Do(func() { close(s.begun) })
	}
}

// feed writes a frame to the session's stdin, and the rest when that has
// started something, from a goroutine of its own, which ends with the session at
// the latest.
func (s *session) feed(parts ...[]byte) { go s.write(parts) }

// feedAll is feed, and then the end of stdin.
func (s *session) feedAll(parts ...[]byte) {
	go func() {
		s.write(parts)
		_ = s.stdin.Close()
	}()
}

func (s *session) write(parts [][]byte) {
	for i, p := range parts {
		if i > 0 {
			select {
			case <-s.begun:
			case <-s.unread:
				return
			}
		}
		if _, err := s.stdin.Write(p); err != nil {
			return
		}
	}
}

// result is what a session left.
type result struct {
	exit        proc.Exit
	out, err    marks
	stdout      string
	stderr      string
	noise       string
	stderrNoise string
}

// wait waits for the end of the shell and of both streams.
func (s *session) wait() result {
	s.t.Helper()
	exit := <-s.ended // the context of the process is the deadline
	r := result{exit: exit, stdout: s.stdout.String(), stderr: s.stderr.String(), noise: s.out.noiseText(), stderrNoise: s.err.noiseText()}
	r.out, _ = s.out.state()
	r.err, _ = s.err.state()
	if exit.Signal == syscall.SIGKILL || exit.Signal == syscall.SIGTERM {
		s.t.Logf("the supervisor was ended by %s; stdout %q, stderr %q", exit, r.stdout, r.stderr)
	}
	return r
}

// run runs a command whose stdin is the lifeline.
func (sh shell) run(t testing.TB, o setup, c Command) result {
	t.Helper()
	s := sh.start(t, o)
	s.feed(commandFrame(c, testID(), modeWatch))
	return s.wait()
}

// wantExit checks the marks of a command that ran to its own end.
func (r result) wantExit(t testing.TB, code int) {
	t.Helper()
	for name, m := range map[string]marks{"stdout": r.out, "stderr": r.err} {
		if !m.started || m.pid == 0 || m.failed != "" || !m.exited || m.code != code || m.ended {
			t.Errorf("marks on %s are %+v, want an exit with %d; stdout %.200q, stderr %.200q", name, m, code, r.stdout, r.stderr)
		}
	}
	if r.exit.Code != code {
		t.Errorf("the supervisor ended with %s, want status %d", r.exit, code)
	}
	if r.noise != "" || r.stderrNoise != "" {
		t.Errorf("noise before the start: %q, %q", r.noise, r.stderrNoise)
	}
}

// withoutProc is a frame for a host that has no /proc, such as macOS.
func withoutProc(t testing.TB, whole []byte) []byte {
	t.Helper()
	_, script, ok := bytes.Cut(whole, []byte("\n"))
	if !ok || !bytes.Contains(script, []byte("/proc/")) {
		t.Fatal("the frame does not read /proc; this test is of no use any more")
	}
	return frame.Pack(string(bytes.ReplaceAll(script, []byte("/proc/"), []byte("/nonexistent/"))))
}
