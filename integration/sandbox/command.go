package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"github.com/rs/zerolog"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"bivy/exec/proc"
)

// copySize is the size of one read of a stream: a pipe's capacity on Linux.
const copySize = 64 << 10

// command is the process of a session and our ends of its streams.
type command struct {
	process *proc.Process
	// tty says that stdin and stdout are both the controlling end of its
	// terminal, and stderr is nil.
	tty                   bool
	stdin, stdout, stderr *os.File
	reaped                chan struct{} // closed when the leader was waited for
}

// start starts the session's leader. It returns what moves its streams until
// its end, or nil where the session has been started before.
func (s *session) start(argv []string) (run func()) {
	if s.done != nil || strings.Contains(argv[len(argv)-1], "\x00") {
		return nil
	}
	c, err := s.launch(argv)
	if err != nil {
		return func() { s.fail(argv[0], err) }
	}
	s.command = c
	s.setLeader(c.process.Pid())
	return func() { s.run(c) }
}

// launch starts the process with a terminal or with three pipes, which it gets
// as they are: an end of file means the same on both sides of them.
func (s *session) launch(argv []string) (*command, error) {
	spec := proc.Spec{
		Args: argv, Dir: s.host.cfg.Home, Isolation: proc.Session,
		Env: append(s.host.cfg.Env[:len(s.host.cfg.Env):len(s.host.cfg.Env)], s.env...),
	}
	c := &command{reaped: make(chan struct{})}
	theirs, err := c.connect(s.terminal, &spec)
	defer closeAll(theirs)
	if err == nil {
		c.process, err = proc.Start(s.host.ctx, spec)
	}
	if err != nil {
		c.hangUp()
		return nil, err
	}
	return c, nil
}

// connect makes the streams and returns the ends that belong to the process.
func (c *command) connect(t *terminal, spec *proc.Spec) (theirs []*os.File, err error) {
	if t != nil {
		control, tty, err := t.open()
		if err != nil {
			return nil, err
		}
		c.tty, c.stdin, c.stdout = true, control, control
		spec.TTY, spec.Stdin, spec.Stdout, spec.Stderr = tty, tty, tty, tty
		spec.Env = append(spec.Env, "TERM="+t.Term, "SSH_TTY="+tty.Name())
		return []*os.File{tty}, nil
	}
	stdin, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.stdin, spec.Stdin, theirs = ours, stdin, append(theirs, stdin)
	ours, stdout, err := os.Pipe()
	if err != nil {
		return theirs, err
	}
	c.stdout, spec.Stdout, theirs = ours, stdout, append(theirs, stdout)
	ours, stderr, err := os.Pipe()
	if err != nil {
		return theirs, err
	}
	c.stderr, spec.Stderr, theirs = ours, stderr, append(theirs, stderr)
	return theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// hangUp closes our ends of the streams, whoever waits for them. A command with
// pipes is left alone and learns it from them; a terminal sends SIGHUP.
func (c *command) hangUp() {
	for _, f := range []*os.File{c.stdin, c.stdout, c.stderr} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// run moves the streams. The exit status is sent when the leader ends; the
// channel is closed when both outputs have ended too, which something that the
// leader has left behind may delay (with a terminal it does not).
func (s *session) run(c *command) {
	var input, output sync.WaitGroup
	input.Go(func() { c.feed(s.ch) })
	output.Go(func() { c.forward(s.ch, c.stdout) })
	if c.stderr != nil {
		output.Go(func() { c.forward(s.ch.Stderr(), c.stderr) })
	}
	exit, err := c.process.Wait()
	pid := c.process.Pid()
	s.setLeader(0)
	close(c.reaped)
	if err != nil {
		zerolog.Ctx(s.host.ctx).Debug().Err(err).Int("pid", pid).Msg("sandbox lost a command's status")
	}
	report(s.ch, exit)
	if c.tty {
		// Something that ignores SIGHUP may hold the terminal, which the
		// kernel has taken from it, and its end would not show here. sshd
		// takes what is there and no more.
		_ = c.stdout.SetReadDeadline(time.Now())
	} else {
		// Nobody whom the client has started reads it any more.
		_ = c.stdin.Close()
	}
	output.Wait()
	_ = s.ch.CloseWrite()
	_ = s.ch.Close()
	s.host.remember(pid)
	input.Wait()
}

// feed moves the client's bytes into the command. The client's end of file
// closes a pipe; to a terminal it means nothing, since that is a character
// (^D). If the command has closed its end, the client is told so in OpenSSH's
// way (PROTOCOL, section 2.1), and the rest is thrown away.
func (c *command) feed(ch gossh.Channel) {
	err := pump(c.stdin, ch)
	if !c.tty {
		_ = c.stdin.Close()
	}
	if err != nil {
		_, _ = ch.SendRequest("eow@openssh.com", false, nil)
		_, _ = io.Copy(io.Discard, ch)
	}
}

// forward moves one output of the command to the client. When the client does
// not take it the pipe is closed, and the command gets SIGPIPE. A terminal is
// left to hangUp, whose goroutine is the one that sets its size; its end is EIO
// on Linux, an end like any other.
func (c *command) forward(to io.Writer, from *os.File) {
	err := pump(to, from)
	switch {
	case !c.tty:
		_ = from.Close()
	case errors.Is(err, os.ErrDeadlineExceeded):
		flush(to, from)
	}
}

// flush moves what is in the terminal at this moment. Linux has pushed all that
// an ended process has written before it says that there is no more (n_tty.c).
func flush(to io.Writer, from *os.File) {
	raw, err := from.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, copySize)
	for {
		n, failed := 0, error(unix.EINTR)
		for errors.Is(failed, unix.EINTR) {
			failed = nil
			if err := raw.Control(func(fd uintptr) { n, failed = unix.Read(int(fd), buf) }); err != nil {
				return
			}
		}
		if n <= 0 {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// pump copies until an error or the end of file, which is none. Both ends are
// wrapped, since os.File would look for shortcuts that sockets and pipes have
// and we do not.
func pump(to io.Writer, from io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, copySize))
	return err
}

// report tells the client how the command ended (RFC 4254, section 6.10).
func report(ch gossh.Channel, exit proc.Exit) {
	if exit.Signal == 0 {
		status := struct{ Code uint32 }{uint32(exit.Code)} //nolint:gosec // -1 is the largest one
		_, _ = ch.SendRequest("exit-status", false, gossh.Marshal(&status))
		return
	}
	status := struct {
		Signal         string
		CoreDumped     bool
		Text, Language string
	}{Signal: signalName(exit.Signal)}
	_, _ = ch.SendRequest("exit-signal", false, gossh.Marshal(&status))
}

// fail ends a session whose command could not be started (a command line that
// is too long, for one) as sshd does: words on stderr, status 1.
func (s *session) fail(shell string, err error) {
	_, _ = fmt.Fprintf(s.ch.Stderr(), "%s: %v\n", shell, err)
	report(s.ch, proc.Exit{Code: 1})
	_ = s.ch.CloseWrite()
	_ = s.ch.Close()
}

// transferFiles is the subsystem sftp, which needs no process.
func (s *session) transferFiles() {
	server, err := sftp.NewServer(s.ch, sftp.WithServerWorkingDirectory(s.host.cfg.Home))
	if err != nil {
		s.fail("sftp", err)
		return
	}
	exit := proc.Exit{}
	if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
		zerolog.Ctx(s.host.ctx).Debug().Err(err).Msg("sandbox's file transfer ended")
		exit.Code = 1
	}
	report(s.ch, exit)
	_ = s.ch.CloseWrite()
	_ = s.ch.Close()
}
