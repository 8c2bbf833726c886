package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"bivy/exec/proc"
)

// rssPoll is how often the memory of a process is looked at. The kernel keeps
// the peak itself (VmHWM, proc(5)), so only the last moment can be missed.
const rssPoll = 20 * time.Millisecond

func measureStream(ctx context.Context, b *bench, o options) ([]figure, error) {
	command := []string{"head", "-c", strconv.Itoa(o.MiB << 20), "/dev/zero"}
	bivy := append([]string{b.bivy, "exec", "--host", host, "--"}, command...)
	rate := figure{
		Name: fmt.Sprintf("bivy exec streaming %d MiB", o.MiB), Against: "ssh -S", Kind: throughput, Unit: "MiB/s", Goal: 0.9,
	}
	memory := figure{Name: "  its resident memory, peak", Kind: absolute, Unit: "MiB", Goal: 40}
	for range o.Rounds {
		took, peak, err := b.watched(ctx, bivy)
		if err != nil {
			return nil, err
		}
		plain, _, err := b.watched(ctx, b.plain(strings.Join(command, " ")))
		if err != nil {
			return nil, err
		}
		rate.Bivys = append(rate.Bivys, float64(o.MiB)/took.Seconds())
		rate.Plains = append(rate.Plains, float64(o.MiB)/plain.Seconds())
		memory.Bivys = append(memory.Bivys, float64(peak)/(1<<20))
	}
	return []figure{rate.settle(), memory.settle()}, nil
}

// watched runs a command with its output to /dev/null, and returns its time
// and the peak of its resident memory in bytes.
func (b *bench) watched(ctx context.Context, args []string) (time.Duration, int64, error) {
	began := time.Now()
	p, err := proc.Start(ctx, proc.Spec{Args: args, Env: b.env, Stderr: os.Stderr})
	if err != nil {
		return 0, 0, err
	}
	done := make(chan struct{})
	peaks := make(chan int64, 1)
	go func() {
		tick := time.NewTicker(rssPoll)
		defer tick.Stop()
		var peak int64
		for {
			select {
			case <-tick.C:
				peak = max(peak, residentPeak(ctx, p.Pid()))
			case <-done:
				peaks <- peak
				return
			}
		}
	}()
	exit, err := p.Wait()
	took := time.Since(began)
	close(done)
	if err == nil && !exit.OK() {
		err = fmt.Errorf("%s: %s", strings.Join(args, " "), exit)
	}
	return took, <-peaks, err
}

// residentPeak is the most memory that a process had resident, in bytes: from
// /proc, elsewhere what ps says that it has now.
func residentPeak(ctx context.Context, pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err == nil {
		_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
		return kilobytes(string(after))
	}
	var out bytes.Buffer
	_, _ = proc.Run(ctx, proc.Spec{Args: []string{"ps", "-o", "rss=", "-p", strconv.Itoa(pid)}, Stdout: &out})
	return kilobytes(out.String())
}

// kilobytes reads a first word of kilobytes; anything else is nothing.
func kilobytes(text string) int64 {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// stopwatch is a time to count from.
type stopwatch struct{ began time.Time }

func now() stopwatch { return stopwatch{time.Now()} }

// since is in milliseconds.
func (s stopwatch) since() float64 { return milliseconds(time.Since(s.began)) }
