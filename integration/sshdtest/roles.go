package sshdtest

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bivy/internal/leak"
)

// Role is one kind of process of a server.
type Role int

const (
	// Listener accepts connections.
	Listener Role = iota
	// Monitor is the process of a connection that the listener has started.
	Monitor
	// Worker is the one that holds the connection's socket and starts its
	// commands: a child of the monitor, or for root and dropbear the same.
	Worker
	// Command is what a worker has started: the login shell of a session, and
	// what became of it by exec. Its descendants are not among them.
	Command
)

// Pids returns the process ids of that role, on all connections.
func (s *Server) Pids(role Role) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pids(processes(), role)
}

func (s *Server) pids(table processTable, role Role) []int {
	var pids []int
	monitors := s.connections(table)
	switch role {
	case Listener:
		if s.listener != nil {
			pids = append(pids, s.listener.process.Pid())
		}
	case Monitor:
		pids = monitors
	case Worker:
		for _, pid := range monitors {
			halves := table.halves(pid)
			pids = append(pids, halves[len(halves)-1])
		}
	case Command:
		for _, pid := range monitors {
			for _, half := range table.halves(pid) {
				pids = append(pids, slices.DeleteFunc(table.children(half), func(child int) bool {
					return table[child].program == table[half].program
				})...)
			}
		}
	}
	return pids
}

// halves returns a connection's process and, of an account other than root,
// sshd's unprivileged half, a child of the same program.
func (p processTable) halves(monitor int) []int {
	all := []int{monitor}
	for _, child := range p.children(monitor) {
		if p[child].program == p[monitor].program {
			all = append(all, child)
		}
	}
	return all
}

// Signal sends a signal to all processes of a role and returns how many there
// were. What they leave behind is ended with the server. A listener that was
// ended can be brought back by Restart.
func (s *Server) Signal(t testing.TB, role Role, sig syscall.Signal) int {
	t.Helper()
	if role == Listener && (sig == syscall.SIGKILL || sig == syscall.SIGTERM) {
		n := len(s.Pids(role))
		s.Kill()
		return n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	table := processes()
	pids := s.pids(table, role)
	for _, pid := range pids {
		if role != Listener {
			s.roots = append(s.roots, table.identities(append(table.children(pid), pid)...)...)
		}
		if err := signalPID(pid, sig); err != nil {
			t.Errorf("send signal %d to process %d: %v", sig, pid, err)
		}
	}
	return len(pids)
}

// LocalRole is one kind of process on the user's side.
type LocalRole int

const (
	// Bivy is the program itself, without its holders.
	Bivy LocalRole = iota
	// Holder is the process that started a Master.
	Holder
	// Master is an ssh that holds a connection.
	Master
	// Session is an ssh that runs one command over a master.
	Session
)

// Local returns the processes of that role among those that have NAME=VALUE in
// their environment, such as BIVY_HOME of one test. They are told by the
// options that bivy gives to ssh. Where there is no /proc it finds none.
func Local(role LocalRole, name, value string) []leak.Process {
	all := leak.Marked(name, value)
	is := func(p leak.Process) bool {
		switch role {
		case Bivy:
			return len(p.Args) > 1 && filepath.Base(p.Args[0]) == "bivy" && p.Args[1] != "holder"
		case Master:
			return slices.Contains(p.Args, "ControlMaster=yes") && !slices.Contains(p.Args, "-G")
		case Session:
			return slices.Contains(p.Args, "ControlMaster=no") && !slices.Contains(p.Args, "-O")
		case Holder:
			return slices.ContainsFunc(all, func(child leak.Process) bool {
				return child.Parent == p.PID && slices.Contains(child.Args, "ControlMaster=yes") && !slices.Contains(child.Args, "-G")
			})
		}
		return false
	}
	return slices.DeleteFunc(slices.Clone(all), func(p leak.Process) bool { return !is(p) })
}

// SignalLocal sends a signal to all processes that Local finds, and returns
// them.
func SignalLocal(t testing.TB, role LocalRole, name, value string, sig syscall.Signal) []leak.Process {
	t.Helper()
	list := Local(role, name, value)
	for _, p := range list {
		if err := signalPID(p.PID, sig); err != nil {
			t.Errorf("send signal %d to %s: %v", sig, strings.Join(p.Args, " "), err)
		}
	}
	return list
}
