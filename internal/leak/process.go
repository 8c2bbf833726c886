package leak

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Process is one process of this machine that has not ended.
type Process struct {
	PID, Parent int
	// Args is its command line: what it was started with, or its title.
	Args []string
	// Env is the environment that it was started with, as K=V; empty where
	// we may not read that, or it was written over.
	Env []string
}

func (p Process) String() string {
	return fmt.Sprintf("%d %d %s", p.PID, p.Parent, strings.Join(p.Args, " "))
}

// Has reports whether the environment holds NAME=VALUE.
func (p Process) Has(name, value string) bool {
	for _, entry := range p.Env {
		if entry == name+"="+value {
			return true
		}
	}
	return false
}

func (p Process) kill() { _ = syscall.Kill(p.PID, syscall.SIGKILL) }

// Marked returns the processes, other than ours, whose environment holds
// NAME=VALUE. See All for where it finds none.
func Marked(name, value string) []Process {
	return selected(func(p Process) bool { return p.Has(name, value) })
}

func children() []Process {
	return selected(func(p Process) bool { return p.Parent == os.Getpid() })
}

func selected(is func(Process) bool) []Process {
	var list []Process
	for _, p := range All() {
		if p.PID != os.Getpid() && is(p) {
			list = append(list, p)
		}
	}
	return list
}
