package sandbox

import (
	"sync"
	"syscall"

	gossh "golang.org/x/crypto/ssh"

	"bivy/exec/proc"
)

// session is one channel of the type "session" (RFC 4254, section 6) and the
// command that runs in it.
type session struct {
	host *host
	ch   gossh.Channel

	// Only the goroutine that serves the requests uses these.
	env      []string
	terminal *terminal
	command  *command      // nil before it runs, and for a file transfer
	done     chan struct{} // closed when the command or transfer has ended

	mu  sync.Mutex
	pid int // of the leader, while it runs
}

// serve answers the channel's requests until both sides have closed it, and
// waits for the command.
func (s *session) serve(requests <-chan *gossh.Request) {
	for req := range requests {
		run := s.answer(req)
		if run == nil {
			continue
		}
		// Only now, so that the answer is sent before any output.
		s.done = make(chan struct{})
		go func() {
			defer close(s.done)
			run()
		}()
	}
	if s.command != nil {
		s.command.hangUp()
		<-s.command.reaped
	}
	s.host.free()
	if s.done != nil {
		<-s.done
	}
}

// answer does what the request asks for. It must not wait: all channels of the
// connection stand still if it does. For a request that starts the session it
// returns what is to be done then.
func (s *session) answer(req *gossh.Request) (run func()) {
	ok := false
	switch req.Type {
	case "env":
		ok = s.setEnv(req.Payload)
	case "pty-req":
		ok = s.setTerminal(req.Payload)
	case "window-change":
		ok = s.resize(req.Payload)
	case "signal":
		ok = s.signal(req.Payload)
	case "shell":
		run = s.start([]string{s.host.cfg.Shell, "-l"})
		ok = run != nil
	case "exec":
		var msg struct{ Command string }
		if gossh.Unmarshal(req.Payload, &msg) == nil {
			run = s.start([]string{s.host.cfg.Shell, "-c", msg.Command})
			ok = run != nil
		}
	case "subsystem":
		var msg struct{ Name string }
		if gossh.Unmarshal(req.Payload, &msg) == nil && msg.Name == "sftp" && s.done == nil {
			run, ok = s.transferFiles, true
		}
	default:
		// Agent and X11 forwarding, break, and what nobody has heard of.
	}
	_ = req.Reply(ok, nil)
	return run
}

func (s *session) setEnv(payload []byte) bool {
	var msg struct{ Name, Value string }
	if gossh.Unmarshal(payload, &msg) != nil || !accepts(msg.Name, msg.Value) || len(s.env) >= maxClientEnv {
		return false
	}
	s.env = append(s.env, msg.Name+"="+msg.Value)
	return true
}

func (s *session) setTerminal(payload []byte) bool {
	var t terminal
	if s.terminal != nil || s.done != nil || gossh.Unmarshal(payload, &t) != nil {
		return false
	}
	s.terminal = &t
	return true
}

func (s *session) resize(payload []byte) bool {
	var w window
	if gossh.Unmarshal(payload, &w) != nil || s.command == nil || !s.command.tty {
		return false
	}
	return proc.Resize(s.command.stdin, w.size()) == nil
}

// signal delivers a signal to the process group of the leader, which is all of
// its session where no shell with job control is at work.
func (s *session) signal(payload []byte) bool {
	var msg struct{ Name string }
	if gossh.Unmarshal(payload, &msg) != nil {
		return false
	}
	sig, ok := signals[msg.Name]
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid != 0 && syscall.Kill(-s.pid, sig) == nil
}

// leader returns the id of the session's leader while it runs.
func (s *session) leader() (pid int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid, s.pid != 0
}

func (s *session) setLeader(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = pid
}

// signals are those that the protocol has names for (RFC 4254, section 6.10).
var signals = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP,
	"ILL": syscall.SIGILL, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE,
	"QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV, "TERM": syscall.SIGTERM,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

// signalName is the protocol's name of the signal, or what sshd says for those
// that have none.
func signalName(sig syscall.Signal) string {
	for name, known := range signals {
		if known == sig {
			return name
		}
	}
	return "SIG@openssh.com"
}
