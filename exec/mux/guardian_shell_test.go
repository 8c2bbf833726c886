package mux

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
)

func TestGuardianEndsOnOrder(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		h := newHost(t, sh, time.Hour)
		polite, stubborn, other, none := runName(t), runName(t), runName(t), runName(t)
		first, second, third := command(t, polite, false), command(t, stubborn, true), command(t, other, false)
		for _, run := range []string{polite, other, none} {
			h.order("run %s %d 0 0 .", run, long)
		}
		h.order("run %s 1 0 0 .", stubborn)
		h.order("end %s - - - .", stubborn)
		h.order("end %s - - - .", stubborn)
		h.order("end %s - - - .", polite)
		h.order("end %s - - - .", none)
		h.await(testNonce + " ended " + polite + " 1 ")
		h.await(testNonce + " ended " + stubborn + " 1 ")
		h.await(testNonce + " ended " + none + " 0 ")
		if alive(first.Pid()) || alive(second.Pid()) || !alive(third.Pid()) {
			t.Errorf("polite %v, stubborn %v, the other %v", alive(first.Pid()), alive(second.Pid()), alive(third.Pid()))
		}
		if n := strings.Count(h.said.String(), " ended "); n != 3 {
			t.Errorf("%d reports on three commands: %q", n, h.said.String())
		}
		h.order("bye - - - - .")
		h.gone()
		if !alive(third.Pid()) {
			t.Error("the guardian that was told to go ended a command")
		}
	})
}

func TestGuardianKillsDuringTheGrace(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		h := newHost(t, sh, time.Hour)
		for _, first := range []string{"end", "kill"} {
			run := runName(t)
			c := command(t, run, true)
			h.order("run %s %d 0 0 .", run, long)
			h.order("%s %s - - - .", first, run)
			// The order is repeated, as the holder does it: the first may
			// come before the shell that it is for can take it.
			if !within(t, patience, func() bool {
				h.order("kill %s - - - .", run)
				return !alive(c.Pid())
			}) {
				t.Fatalf("after %s and kill it lives; the guardian said %q", first, h.said.String())
			}
			h.await(testNonce + " ended " + run + " 1 ")
		}
	})
}

func TestGuardianOnASilentLink(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		h := newHost(t, sh, 3*time.Second)
		plain, lifeline, keep, over := runName(t), runName(t), runName(t), runName(t)
		runs := []*proc.Process{command(t, plain, true), command(t, lifeline, true), command(t, keep, false), command(t, over, false)}
		h.order("run %s 1 0 0 .", plain)
		h.order("run %s 1 1 0 .", lifeline)
		h.order("run %s 1 0 1 .", keep)
		h.order("run %s 1 0 0 .", over)
		h.order("over %s - - - .", over)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		most := 0
		for range 18 {
			<-tick.C
			h.order("beat - - - - .")
			most = max(most, len(withEnvironment(h.mark)))
		}
		if !alive(runs[0].Pid()) || !alive(runs[1].Pid()) {
			t.Error("a command was ended though the beat went on")
		}
		// The shell, its two halves of the pipe, cat, the timer and its sleep,
		// and old timers that are about to end.
		if most > 12 {
			t.Errorf("%d processes at once", most)
		}
		h.gone()
		for i, want := range []bool{false, false, true, true} {
			if alive(runs[i].Pid()) != want {
				t.Errorf("command %d lives: %v, want %v", i, !want, want)
			}
		}
	})
}

func TestGuardianAtTheEndOfTheConnection(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		h := newHost(t, sh, time.Hour)
		plain, lifeline, keep := runName(t), runName(t), runName(t)
		first, second, third := command(t, plain, false), command(t, lifeline, false), command(t, keep, false)
		h.order("run %s 1 0 0 .", plain)
		h.order("run %s 0 1 0 .", lifeline)
		h.order("run %s 1 0 1 .", keep)
		// Whatever was cut is no order.
		if _, err := fmt.Fprintf(h.stdin, "kill %s - - -", keep); err != nil {
			t.Fatal(err)
		}
		_ = h.stdin.Close()
		began := time.Now()
		eventually(t, "the one without a lifeline ends", func() bool { return !alive(first.Pid()) })
		if time.Since(began) < time.Second && !alive(second.Pid()) {
			t.Error("the one with a lifeline was ended at once")
		}
		eventually(t, "the one with a lifeline ends", func() bool { return !alive(second.Pid()) })
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("the one with a lifeline was ended after %s, want 2 s", took)
		}
		h.gone()
		if !alive(third.Pid()) {
			t.Error("the one to keep was ended")
		}
	})
}

func TestGuardianIgnoresNonsense(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		h := newHost(t, sh, time.Hour)
		run, marker := runName(t), filepath.Join(t.TempDir(), "executed")
		c := command(t, run, false)
		for _, line := range []string{
			"", "end", "end " + run, "end " + run + " - - - .", // not registered
			"run $(touch${IFS}" + marker + ") 1 0 0 .", "run x;touch${IFS}" + marker + " 1 0 0 .", "run * 1 0 0 .",
			"started " + run + " $(touch${IFS}" + marker + ") - - .", "what " + run + " - - - .", "run " + run + " 1 0 0",
			strings.Repeat("x", 5000),
		} {
			h.order("%s", line)
		}
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR2} {
			if err := syscall.Kill(h.pid, sig); err != nil {
				t.Fatal(err)
			}
		}
		if !alive(c.Pid()) || onDisk(marker) {
			t.Errorf("the command lives: %v; a text was run: %v", alive(c.Pid()), onDisk(marker))
		}
		h.order("run %s 1 0 0 .", run)
		h.order("end %s - - - .", run)
		h.await(testNonce + " ended " + run + " 1 ")
		h.order("bye - - - - .")
		h.gone()
	})
}
