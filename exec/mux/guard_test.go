package mux

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

const guardRole = "BIVY_GUARD_TEST"

// guardRequest is what a process that plays bivy is told.
type guardRequest struct {
	Config     Config
	Target     Target
	Runs       []Run
	Supervisor []int
}

// TestGuardProcess is no test: it is the process of the next one, which
// registers commands and is then killed.
func TestGuardProcess(t *testing.T) {
	var req guardRequest
	if json.Unmarshal([]byte(os.Getenv(guardRole)), &req) != nil {
		// The name of the test is the name of the role.
		t.Skip("runs as a process of another test")
	}
	m, err := Open(req.Config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := m.Lease(t.Context(), req.Target)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range req.Runs {
		g := l.Guard(t.Context(), r)
		g.Started(req.Supervisor[i])
		eventually(t, "it is watched", g.Watching)
	}
	fmt.Println("watched")
	<-t.Context().Done()
}

func TestGuardOfAProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	plain, lifeline, keep := f.run(t, l, stubborn), f.run(t, l, polite), f.run(t, l, polite)
	req := guardRequest{Config: f.cfg, Target: f.target("gpu1"), Supervisor: []int{plain.supervisor, lifeline.supervisor, keep.supervisor}}
	req.Runs = []Run{{ID: plain.id, Grace: time.Second}, {ID: lifeline.id, Grace: time.Second, Lifeline: true}, {ID: keep.id, Keep: true}}
	text, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // the end of the test
	p, err := proc.Start(t.Context(), proc.Spec{
		Args: []string{f.cfg.Holder[0], "-test.run=^TestGuardProcess$"}, Env: append(f.cfg.Env, guardRole+"="+string(text)), Stdout: w,
	})
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "watched\n" {
		t.Fatalf("the process said %q, %v", said, err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, _ = p.Wait()
	eventually(t, "the one without a lifeline ends", func() bool { return !plain.alive() })
	eventually(t, "the one with a lifeline ends", func() bool { return !lifeline.alive() })
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("the one with a lifeline was ended after %s, want its grace and 2 s", took)
	}
	if !keep.alive() {
		t.Error("the one to keep was ended")
	}
}

// quick are times that a test can wait for.
func quick(s *holderSpec) { s.Beat, s.Silence = 200*time.Millisecond, 2*time.Second }

func TestGuardOnASilentLink(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	m := f.masters(t)
	l := f.held(t, m, f.target("gpu1"), quick)
	plain, lifeline, keep := f.run(t, l, stubborn), f.run(t, l, polite), f.run(t, l, polite)
	for r, how := range map[*remote]Run{plain: {Grace: time.Second}, lifeline: {Lifeline: true, Grace: time.Second}, keep: {Keep: true}} {
		r.guard(t, l, how)
	}
	// The beat keeps them alive.
	if within(t, 3*time.Second, func() bool { return !plain.alive() || !lifeline.alive() }) {
		t.Fatal("a command was ended though the link is fine")
	}
	rec := record(t, l)
	if err := syscall.Kill(rec.Holder, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all but the one to keep end", func() bool { return !plain.alive() && !lifeline.alive() })
	// A holder that is stopped is as good as none, and does not take back a
	// command later that it was never asked to watch.
	late := f.run(t, l, polite)
	began := time.Now()
	g := l.Guard(t.Context(), Run{ID: late.id})
	if g.Present() || g.Why() == "" {
		t.Errorf("a stopped holder: present %v, why %q", g.Present(), g.Why())
	}
	if took := time.Since(began); took > 5*controlAnswer {
		t.Errorf("to find that out took %s", took)
	}
	g.Started(late.supervisor)
	g.End()
	if _, ok := report(t, g); ok {
		t.Error("a report comes from nobody")
	}
	if err := syscall.Kill(rec.Holder, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	again := f.run(t, l, polite)
	again.guard(t, l, Run{})
	if !late.alive() || !keep.alive() {
		t.Errorf("lives: the one that nobody watches %v, the one to keep %v", late.alive(), keep.alive())
	}
}

func TestGuardWhenTheMasterIsKilled(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	plain, lifeline, keep := f.run(t, l, stubborn), f.run(t, l, polite), f.run(t, l, polite)
	g := plain.guard(t, l, Run{Grace: time.Second})
	lifeline.guard(t, l, Run{Lifeline: true})
	keep.guard(t, l, Run{Keep: true})
	// What the holder has told the guardian may still be with the master. A
	// report on a later order shows that it has arrived.
	last := f.run(t, l, polite).guard(t, l, Run{})
	last.End()
	if _, ok := report(t, last); !ok {
		t.Fatal("the guardian does not report")
	}
	if err := syscall.Kill(record(t, l).SSH, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all but the one to keep end", func() bool { return !plain.alive() && !lifeline.alive() })
	if !keep.alive() {
		t.Error("the one to keep was ended")
	}
	eventually(t, "the guard is not there any more", func() bool { return !g.Present() })
	if _, ok := report(t, g); ok || g.Watching() || g.Why() == "" {
		t.Errorf("after the end of the master: report %v, watching %v, why %q", ok, g.Watching(), g.Why())
	}
	f.nothingLeft(t)
}

func TestGuardEndsOnOrder(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	soft, hard, other := f.run(t, l, polite), f.run(t, l, stubborn), f.run(t, l, polite)
	other.guard(t, l, Run{})
	g := soft.guard(t, l, Run{Grace: 10 * patience, Keep: true})
	g.End()
	if end, ok := report(t, g); !ok || !end.Found || len(end.Survivors) != 0 || soft.alive() {
		t.Errorf("End gives %+v, %v; alive %v", end, ok, soft.alive())
	}
	g = hard.guard(t, l, Run{Grace: 10 * patience})
	g.End()
	g.Kill()
	if end, ok := report(t, g); !ok || !end.Found || hard.alive() {
		t.Errorf("Kill during the grace gives %+v, %v; alive %v", end, ok, hard.alive())
	}
	g.Over()
	g.Over()
	if g.Present() || g.Watching() {
		t.Error("a guard is there after Over")
	}
	nobody := l.Guard(t.Context(), Run{ID: newRunID()})
	defer nobody.Over()
	nobody.Kill()
	if end, ok := report(t, nobody); !ok || end.Found {
		t.Errorf("the end of nobody gives %+v, %v", end, ok)
	}
	if !other.alive() {
		t.Error("a command was ended that nobody asked about")
	}
}

// A command may be ended before its process has told who its supervisor is.
func TestGuardOfACommandWhoseStartNobodySaw(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l := lease(t, f.masters(t), f.target("gpu1"))
	id := newRunID()
	g := l.Guard(t.Context(), Run{ID: id})
	g.mu.Lock()
	_ = g.conn.Close() // as the kernel does it for a process that is killed
	g.mu.Unlock()
	// Only now it arrives at the host.
	session := sshcmd.Session{SSH: f.cfg.SSH, ControlPath: l.ControlPath(), Command: "BIVY_RUN=" + id + " sh -c 'while :; do sleep 0.1; done'; :"}
	if _, err := proc.Run(t.Context(), proc.Spec{Args: session.Args(), Env: f.cfg.Env, Isolation: proc.Session}); err != nil {
		t.Errorf("the session: %v", err)
	}
}

func TestGuardWithoutAHolder(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	taken := newRunID()
	g := l.Guard(t.Context(), Run{ID: taken})
	if !g.Present() {
		t.Fatalf("the holder does not answer: %s", g.Why())
	}
	for _, id := range []string{"", "short", strings.Repeat("X", idLength), strings.Repeat("../", 6), taken} {
		if l.Guard(t.Context(), Run{ID: id}).Present() {
			t.Errorf("the name %q is taken", id)
		}
	}
	if err := syscall.Kill(record(t, l).Holder, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the guard is not there any more", func() bool { return !g.Present() })
	began := time.Now()
	for _, g := range []*Guard{g, l.Guard(t.Context(), Run{ID: newRunID()})} {
		g.Started(2)
		g.End()
		g.Kill()
		if _, ok := report(t, g); ok || g.Present() || g.Watching() || g.Why() == "" {
			t.Errorf("without a holder: report %v, present %v, watching %v, why %q", ok, g.Present(), g.Watching(), g.Why())
		}
		g.Over()
		g.Over()
	}
	m.YieldGuardian(t.Context(), l.RouteID())
	if took := time.Since(began); took > 5*controlAnswer {
		t.Errorf("all that took %s", took)
	}
}
