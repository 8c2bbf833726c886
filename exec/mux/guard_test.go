package mux

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/frame"
	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/sshcmd"
)

// newRunID makes a name for a command.
func newRunID() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}

// onLinux skips where the commands of a test cannot be found.
func onLinux(t *testing.T) {
	t.Helper()
	if !onDisk("/proc/self/environ") {
		// The guardian finds these commands by their environment.
		t.Skip("there is no /proc to find commands in")
	}
}

// held starts a master whose holder has other times than usual, and leases it.
func (f *fixture) held(t *testing.T, m *Masters, at Target, change func(*holderSpec)) *Lease {
	t.Helper()
	r, err := m.route(t.Context(), at, true)
	if err != nil {
		t.Fatal(err)
	}
	features, err := m.features(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spec := m.holderSpec(r, features)
	change(&spec)
	hold, err := m.launch(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.conn.Close() //nolint:errcheck // nothing is left to say
	for msg := (message{}); msg.Kind != kindReady; {
		if err := hold.dec.Decode(&msg); err != nil || msg.Kind == kindExit {
			t.Fatalf("the holder said %+v, %v", msg, err)
		}
	}
	return lease(t, m, at)
}

// remote is a command on the host, under something like a supervisor.
type remote struct {
	id              string
	ssh             *proc.Process
	supervisor, pid int
	refused         bool // there was no session for it
}

func (r *remote) alive() bool { return alive(r.pid) }

const (
	polite   = ``
	stubborn = `trap "" TERM; `
)

// run starts a command in a session of its own.
func (f *fixture) run(t *testing.T, l *Lease, manner string) *remote {
	t.Helper()
	r := &remote{id: newRunID()}
	// Its stdin stays open, as that of a command that has the user's.
	in, script, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(script, "echo $$; BIVY_RUN=%s sh -c '%s echo $$; while :; do sleep 0.1; done'; exit\n", r.id, manner)
	if err != nil {
		t.Fatal(err)
	}
	session := sshcmd.Session{SSH: f.cfg.SSH, ControlPath: l.ControlPath(), Command: "exec sh"}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.ssh, err = proc.Start(ctx, proc.Spec{Args: session.Args(), Env: f.cfg.Env, Stdin: in, Stdout: w, Isolation: proc.Session})
	_, _ = in.Close(), w.Close()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _, _ = r.ssh.Wait(); close(ended) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		_, _ = out.Close(), script.Close()
		for _, pid := range withEnvironment("BIVY_RUN=" + r.id) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if _, err := fmt.Fscan(bufio.NewReader(out), &r.supervisor, &r.pid); err != nil {
		r.refused = true
	}
	return r
}

// guard registers a command that runs, and waits until it is watched.
func (r *remote) guard(t *testing.T, l *Lease, how Run) *Guard {
	t.Helper()
	g := r.register(t, l, how)
	eventually(t, "the command is watched", g.Watching)
	if why := g.Why(); why != "" {
		t.Errorf("it is watched, and yet %q", why)
	}
	return g
}

func (r *remote) register(t *testing.T, l *Lease, how Run) *Guard {
	t.Helper()
	if r.refused {
		t.Fatal("the command got no session")
	}
	how.ID = r.id
	g := l.Guard(t.Context(), how)
	t.Cleanup(g.Over)
	if !g.Present() {
		t.Fatalf("the holder does not answer: %s", g.Why())
	}
	g.Started(r.supervisor)
	return g
}

// report waits for the guardian's report.
func report(t *testing.T, g *Guard) (Ended, bool) {
	t.Helper()
	select {
	case end, ok := <-g.Ended():
		return end, ok
	case <-time.After(patience):
		t.Fatal("the guardian does not report")
		return Ended{}, false
	}
}

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
	if within(t, 5*time.Second, func() bool { return !plain.alive() || !lifeline.alive() }) {
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

func TestGuardWhereTheHostAllowsOneSession(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	f.Server = sshdtest.Start(t, sshdtest.Options{MaxSessions: 1})
	l := lease(t, f.masters(t), f.target("gpu1"))
	first := f.run(t, l, polite)
	g := first.register(t, l, Run{})
	eventually(t, "it is said that nobody watches", func() bool { return g.Why() == whyAlone })
	g.End()
	if end, ok := report(t, g); ok || g.Watching() || !g.Present() || !first.alive() {
		t.Errorf("without a guardian: report %+v, %v, watching %v, present %v, alive %v", end, ok, g.Watching(), g.Present(), first.alive())
	}
	_ = syscall.Kill(first.pid, syscall.SIGKILL)
	g.Over()
	for range 3 {
		// The host frees a session a little after its end.
		var next *remote
		eventually(t, "the next command gets its session", func() bool {
			next = f.run(t, l, polite)
			return !next.refused
		})
		g := next.register(t, l, Run{})
		if g.Why() != whyAlone || !next.alive() {
			t.Errorf("the next one: why %q, alive %v", g.Why(), next.alive())
		}
		_ = syscall.Kill(next.pid, syscall.SIGKILL)
		g.Over()
	}
}

func TestYieldGuardian(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	f.Server = sshdtest.Start(t, sshdtest.Options{MaxSessions: 2})
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	m.YieldGuardian(t.Context(), newRunID()) // nobody there
	first := f.run(t, l, polite)
	g := first.guard(t, l, Run{})
	if second := f.run(t, l, polite); !second.refused {
		t.Fatal("the guardian takes no session; this test is of no use any more")
	}
	m.YieldGuardian(t.Context(), l.RouteID())
	var second *remote
	eventually(t, "there is a session", func() bool {
		second = f.run(t, l, polite)
		return !second.refused
	})
	eventually(t, "it is said that nobody watches", func() bool { return g.Why() == whyYielded && !g.Watching() })
	if !first.alive() {
		t.Error("the guardian ended a command when it made room")
	}
	m.YieldGuardian(t.Context(), l.RouteID())
	_ = syscall.Kill(second.pid, syscall.SIGKILL)
	third := second.register(t, l, Run{})
	if within(t, 3*time.Second, third.Watching) || third.Why() != whyYielded {
		t.Errorf("after it made room: watching %v, why %q", third.Watching(), third.Why())
	}
}

// guardians are the shells of guardians on the host.
func (f *fixture) guardians(t *testing.T) []int {
	t.Helper()
	var pids []int
	for _, pid := range withEnvironment("BIVY_SSHDTEST=" + f.Dir) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(line), frame.Boot[:20]) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestGuardianComesAndGoes(t *testing.T) {
	t.Parallel()
	onLinux(t)
	f := newFixture(t)
	l := f.held(t, f.masters(t), f.target("gpu1"), func(s *holderSpec) { s.GuardIdle = 100 * time.Millisecond })
	c := f.run(t, l, polite)
	before := l.Guard(t.Context(), Run{ID: newRunID()})
	if within(t, time.Second, func() bool { return len(f.guardians(t)) > 0 }) {
		t.Error("there is a guardian before any command has started")
	}
	before.Over()
	for range 2 {
		g := c.guard(t, l, Run{})
		g.Over()
		eventually(t, "an idle host has no guardian", func() bool { return len(f.guardians(t)) == 0 })
	}
	g := c.guard(t, l, Run{})
	for _, pid := range f.guardians(t) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	eventually(t, "the loss of the guardian is told", func() bool { return g.Why() == whyEnded })
	eventually(t, "there is another", func() bool { return g.Watching() && g.Why() == "" })
	if !c.alive() {
		t.Error("the command was ended with its guardian")
	}
	g.End()
	if end, ok := report(t, g); !ok || !end.Found {
		t.Errorf("the other guardian reports %+v, %v", end, ok)
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

func TestOrphanedMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.masters(t)
	l := lease(t, m, f.target("gpu1"))
	if m.orphaned(l.RouteID()) {
		t.Error("a master that is held counts as an orphan")
	}
	rec := record(t, l)
	// Where the kernel ends ssh with its holder, one that is stopped stays.
	for _, kill := range []struct {
		pid int
		sig syscall.Signal
	}{{rec.SSH, syscall.SIGSTOP}, {rec.Holder, syscall.SIGKILL}} {
		if err := syscall.Kill(kill.pid, kill.sig); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the master is an orphan", func() bool { return m.orphaned(l.RouteID()) })
	if err := syscall.Kill(rec.SSH, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the socket has no listener", func() bool { return probe(l.ControlPath()) == stale })
	if m.orphaned(l.RouteID()) {
		t.Error("a master that is dead counts as an orphan")
	}
}

func fileMode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
