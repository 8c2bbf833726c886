package sshdtest

import (
	"errors"
	"syscall"
)

const (
	stopSignal = syscall.SIGSTOP
	killSignal = syscall.SIGKILL
)

// process is one row of the table of processes.
type process struct {
	parent  int
	program string
	// started tells a process from a later one of the same id.
	started string
	// marker is the value of our variable in its environment, where we may
	// read that.
	marker string
}

// identity names one process for as long as the machine runs.
type identity struct {
	pid     int
	started string
}

// processTable holds the processes of this machine, without those that have
// ended and wait for their parent.
type processTable map[int]process

func (p processTable) children(pid int) []int {
	var pids []int
	for child, row := range p {
		if row.parent == pid {
			pids = append(pids, child)
		}
	}
	return pids
}

// identities returns the identity of each of these processes that exists.
func (p processTable) identities(pids ...int) []identity {
	var ids []identity
	for _, pid := range pids {
		if row, ok := p[pid]; ok {
			ids = append(ids, identity{pid, row.started})
		}
	}
	return ids
}

// alive returns those that exist still.
func (p processTable) alive(ids []identity) []int {
	var pids []int
	for _, id := range ids {
		if row, ok := p[id.pid]; ok && row.started == id.started {
			pids = append(pids, id.pid)
		}
	}
	return pids
}

// below returns these processes and all their descendants.
func (p processTable) below(pids []int) []int {
	var all []int
	for _, pid := range pids {
		all = append(all, pid)
		all = append(all, p.below(p.children(pid))...)
	}
	return all
}

// marked returns the processes whose environment has our marker with that
// value.
func (p processTable) marked(value string) []int {
	var pids []int
	for pid, row := range p {
		if row.marker == value {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signalPID sends a signal; a process that has ended is no error.
func signalPID(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
