package sshdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
)

const (
	// startTimeout is far above the 50 ms that a start takes, for machines
	// under load.
	startTimeout = 20 * time.Second
	pollInterval = 5 * time.Millisecond
)

// noPrivsepDir is sshd's complaint where /run is empty, as in containers.
var noPrivsepDir = regexp.MustCompile(`Missing privilege separation directory: (/\S+)`)

// errPortTaken says that somebody took the port between our choice and sshd's
// bind.
var errPortTaken = errors.New("the port is in use")

// listener is one process of sshd that accepts connections.
type listener struct {
	process *proc.Process
	cancel  context.CancelFunc
	ended   chan struct{}
}

// startAnywhere starts sshd on a free port. sshd cannot choose one itself, so
// a port that somebody else takes meanwhile is no failure.
func (s *Server) startAnywhere(ctx context.Context, configure func(*Server, int) error) error {
	for range 10 {
		port, err := freePort()
		if err != nil {
			return err
		}
		if err := configure(s, port); err != nil {
			return err
		}
		s.Port, s.Addr = port, fmt.Sprintf("127.0.0.1:%d", port)
		err = s.startListener(ctx)
		if errors.Is(err, errPortTaken) {
			continue
		}
		return err
	}
	return fmt.Errorf("ten free ports in turn: %w", errPortTaken)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a local bind does not wait
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // nothing was sent
	return l.Addr().(*net.TCPAddr).Port, nil
}

// startListener starts sshd and returns when it listens.
func (s *Server) startListener(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return err
	}
	before := len(s.readLog())
	// The end of sshd is Stop's, not that of the context of whoever starts it.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	spec, log, err := s.daemon.spec(s)
	if log != nil {
		defer log.Close() //nolint:errcheck // the server has its own
	}
	if err != nil {
		cancel()
		return err
	}
	p, err := proc.Start(own, spec)
	if err != nil {
		cancel()
		return err
	}
	l := &listener{process: p, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		_, _ = p.Wait()
	}()
	s.listener = l
	return s.waitReady(ctx, l, before)
}

// waitReady waits until sshd says that it listens. That line follows listen(2);
// a probing connection would leave lines of its own in the log, count for
// MaxStartups and, since OpenSSH 9.8, earn a penalty (PerSourcePenalties).
func (s *Server) waitReady(ctx context.Context, l *listener, before int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		ended := false
		select {
		case <-tick.C:
		case <-l.ended:
			ended = true
		case <-ctx.Done():
			return fmt.Errorf("sshd does not listen: %w; its log: %s", context.Cause(ctx), s.readLog())
		}
		log := s.readLog()
		log = log[min(before, len(log)):]
		switch {
		case strings.Contains(log, "Address already in use"):
			s.endListener()
			return errPortTaken
		case ended:
			return fmt.Errorf("sshd ended at once: %s", log)
		case strings.Contains(log, s.daemon.ready):
			return nil
		}
	}
}

// check has sshd read its configuration, and makes the directory that it wants
// to have when it runs as root.
func (s *Server) check(ctx context.Context) error {
	if s.serverConf == "" {
		return nil // dropbear has none
	}
	var out bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args: []string{s.sshd, "-t", "-f", s.serverConf}, Stdout: &out, Stderr: &out,
	})
	if err != nil || exit.OK() {
		return err
	}
	if m := noPrivsepDir.FindSubmatch(out.Bytes()); m != nil && os.Getuid() == 0 {
		return os.MkdirAll(string(m[1]), 0o755) //nolint:gosec // as Debian's own service makes it
	}
	return fmt.Errorf("sshd refuses its configuration: %s", out.String())
}

// Kill ends the listener with SIGKILL: new connections are refused, those that
// exist live on. Restart brings it back.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endListener()
}

func (s *Server) endListener() {
	if s.listener == nil {
		return
	}
	// A frozen listener starts no connection that would be missed here, and
	// its children become somebody else's when it ends.
	pid := s.listener.process.Pid()
	_ = signalPID(pid, stopSignal)
	table := processes()
	s.roots = append(s.roots, table.identities(table.children(pid)...)...)
	_ = signalPID(pid, killSignal)
	<-s.listener.ended
	s.listener.cancel()
	s.listener = nil
}

// Restart starts the listener again, on the same port, after Kill or Stop.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.startListener(t.Context()); err != nil {
		t.Fatalf("restart sshd: %v", err)
	}
}

// Connections returns the process ids of sshd's connections: those that were
// made before Kill as well, and not their commands.
func (s *Server) Connections() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections(processes())
}

func (s *Server) connections(table processTable) []int {
	var pids []int
	if s.listener != nil {
		pids = table.children(s.listener.process.Pid())
	}
	for _, pid := range table.alive(s.roots) {
		if strings.HasPrefix(table[pid].program, s.daemon.program) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	pids = slices.Compact(pids)
	// The unprivileged half of a connection may be among the roots as well.
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return slices.Contains(pids, table[pid].parent) })
}

// KillConnections ends every connection with SIGKILL, as a crash of the host
// would: the client's link is lost, the commands stay.
func (s *Server) KillConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	table := processes()
	for _, pid := range s.connections(table) {
		for _, half := range table.halves(pid) {
			// The commands lose their parent: Stop finds them by this.
			s.roots = append(s.roots, table.identities(table.children(half)...)...)
			_ = signalPID(half, killSignal)
		}
	}
}

// Stop ends the listener, all connections, and every process that a session
// has left behind. It may be called more than once.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endListener()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	// A process may fork while the table is read: go round until none is left.
	for ctx.Err() == nil {
		table := processes()
		pids := append(table.below(table.alive(s.roots)), table.marked(s.Dir)...)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = signalPID(pid, killSignal)
		}
		<-tick.C
	}
}
