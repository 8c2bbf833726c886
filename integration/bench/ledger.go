package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"syscall"
	"time"
)

// The accounts to which processor time is booked.
const (
	accountClient   = iota // the processes that were started, and their children
	accountMaster          // the ssh that holds the connection
	accountHolder          // the holder of it
	accountSSHD            // sshd's process of the connection
	accountCommands        // the children of that: the shells and commands
	accounts
)

var accountNames = [accounts]string{"client and its ssh", "master", "holder", "sshd", "the host's shells and commands"}

// spent is processor time by account, user and system together.
type spent [accounts]time.Duration

// ledger says where the processor time of a command goes. The kernel counts in
// hundredths of a second, so only many commands together mean something.
// Without /proc only the first account is known.
type ledger struct {
	b             *bench
	total         [2]spent
	commands      [2]int
	ssh, holderID int
}

func newLedger(b *bench) *ledger { return &ledger{b: b} }

func (l *ledger) read(ctx context.Context) (s spent) {
	l.find(ctx) // first: it starts a process itself
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &own) == nil {
		s[accountClient] = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	}
	s[accountMaster], _ = processorTime(l.ssh)
	s[accountHolder], _ = processorTime(l.holderID)
	for _, pid := range l.b.server.Connections() {
		sshd, below := processorTime(pid)
		s[accountSSHD] += sshd
		s[accountCommands] += below
	}
	return s
}

// find asks bivy once which processes hold the connection.
func (l *ledger) find(ctx context.Context) {
	if l.ssh != 0 {
		return
	}
	var list struct {
		Masters []struct {
			PID       int
			HolderPID int `json:"holder_pid"`
		}
	}
	out, err := l.b.output(ctx, l.b.bivy, "--json", "host", "ls")
	if err == nil && json.Unmarshal([]byte(out), &list) == nil && len(list.Masters) > 0 {
		l.ssh, l.holderID = list.Masters[0].PID, list.Masters[0].HolderPID
	}
}

// book adds what n commands have cost; side is 0 for bivy and 1 for plain ssh.
func (l *ledger) book(before, after spent, n, side int) {
	for i := range before {
		l.total[side][i] += after[i] - before[i]
	}
	l.commands[side] += n
}

func (l *ledger) figures() []figure {
	var list []figure
	for i, name := range accountNames {
		each := func(side int) []float64 {
			return []float64{milliseconds(l.total[side][i]) / float64(max(l.commands[side], 1))}
		}
		list = append(list, figure{
			Name: "  processor time a command, " + name, Against: "ssh -S", Kind: remark, Unit: "ms", Bivys: each(0), Plains: each(1),
		}.settle())
	}
	return list
}

// processorTime is what a process has used itself, and what those of its
// children had used that it has waited for (proc(5), fields 14 to 17).
func processorTime(pid int) (own, below time.Duration) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 15 {
		return 0, 0
	}
	var ticks [4]time.Duration
	for i := range ticks {
		n, _ := strconv.Atoi(string(fields[11+i]))
		ticks[i] = time.Duration(n) * tick
	}
	return ticks[0] + ticks[1], ticks[2] + ticks[3]
}
