package mux

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
	"bivy/internal/leak"
	"bivy/sshcmd"
)

// patience is how long a test waits for what should be there at once.
const patience = 30 * time.Second

// markName is a variable in the environment of every holder, ssh and proxy of
// a test; its value is the test's own directory.
const markName = "BIVY_MUX_TEST"

// fixture is one real sshd, and the masters of one bivy home.
type fixture struct {
	*sshdtest.Server
	// Home is short, so that sockets fit into it.
	Home string
	cfg  Config
}

// newFixture starts a server. Whatever the test leaves running is ended after
// it, and a data race in a holder fails it.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, sshdtest.Options{})
}

// newFixtureWith is newFixture with a server that has options.
func newFixtureWith(t *testing.T, o sshdtest.Options) *fixture {
	t.Helper()
	f := &fixture{Server: sshdtest.Start(t, o)}
	// Sockets do not fit below t.TempDir, which has the test's name in it.
	home, err := os.MkdirTemp("/tmp", "mux") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	f.Home = home
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f.cfg = Config{
		SSH: []string{f.script(t, "ssh", `echo "$*" >> "$(dirname "$0")/calls"; exec ssh "$@"`)}, Holder: []string{self, "holder"},
		Sockets: filepath.Join(home, "m"), CacheDir: filepath.Join(home, "cache"), Wait: patience,
		Env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + home, "SHELL=/bin/sh", markName + "=" + home, muxVar + "=" + os.Getenv(muxVar),
			leak.Mark(), "GORACE=atexit_sleep_ms=0 log_path=" + filepath.Join(home, "race"),
		},
	}
	t.Cleanup(func() {
		for _, pid := range f.processes(t) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		races, _ := filepath.Glob(filepath.Join(home, "race*"))
		for _, file := range races {
			words, _ := os.ReadFile(file)
			t.Errorf("a holder has a data race:\n%s", words)
		}
		_ = os.RemoveAll(home)
	})
	return f
}

// script writes a shell script into the test's directory.
func (f *fixture) script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(f.Home, name)
	// A process that is forked meanwhile would have the file open for writing,
	// and nobody could run it until that one execs.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *fixture) masters(t *testing.T, change ...func(*Config)) *Masters {
	t.Helper()
	cfg := f.cfg
	for _, c := range change {
		c(&cfg)
	}
	m, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// target is a host of the server's own configuration file.
func (f *fixture) target(host string) Target {
	return Target{Host: sshcmd.Host(host), User: sshcmd.User{ConfigFile: f.ConfigFile}}
}

// lease takes a lease that the test gives back at the latest at its end.
func lease(t *testing.T, m *Masters, at Target) *Lease {
	t.Helper()
	l, err := m.Lease(t.Context(), at)
	if err != nil {
		t.Fatalf("lease on %s: %v", at.Host, err)
	}
	t.Cleanup(l.Release)
	return l
}

// record reads who holds the master of a lease.
func record(t *testing.T, l *Lease) Record {
	t.Helper()
	rec, err := readRecord(l.masters.dir.sidecar(l.RouteID(), "json"))
	if err != nil {
		t.Fatalf("the record of the master: %v", err)
	}
	return rec
}

// recordSoon is the record of the very master that a lease is on, which may
// listen a moment before its holder has written it.
func recordSoon(t *testing.T, l *Lease) (rec Record) {
	t.Helper()
	eventually(t, "the master is on record", func() bool {
		var err error
		rec, err = readRecord(l.masters.dir.sidecar(l.id, "json"))
		return err == nil
	})
	return rec
}

// calls are the arguments of every ssh that was started since the last call.
func (f *fixture) calls(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(f.Home, "calls")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	_ = os.Remove(path)
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// processes are the holders, masters and proxies of this test.
func (f *fixture) processes(t *testing.T) []int {
	t.Helper()
	mark := markName + "=" + f.Home
	if runtime.GOOS != "linux" {
		return markedByPS(t, mark)
	}
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		environ, err := os.ReadFile(file) // empty for a zombie
		if err != nil || !bytes.Contains(environ, []byte(mark+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// markedByPS asks ps, whose -E shows the environment on macOS.
func markedByPS(t *testing.T, mark string) []int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	var out bytes.Buffer
	if _, err := proc.Run(ctx, proc.Spec{Args: []string{"ps", "-axwwE", "-o", "pid=,command="}, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		if strings.Contains(line, mark) && len(fields) > 0 {
			if pid, err := strconv.Atoi(fields[0]); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// nothingLeft waits until no process and no socket of the test is there.
func (f *fixture) nothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, "no holder, ssh or proxy is left", func() bool { return len(f.processes(t)) == 0 })
	entries, err := os.ReadDir(f.cfg.Sockets)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type()&os.ModeSocket != 0 || strings.HasSuffix(e.Name(), ".json") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// eventually polls a condition until a generous deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !within(t, patience, ok) {
		t.Fatalf("in %s this has not happened: %s", patience, what)
	}
}

// within polls a condition and says whether it came true in time.
func within(t *testing.T, d time.Duration, ok func() bool) bool {
	t.Helper()
	limit := time.NewTimer(d)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			return false
		}
	}
	return true
}

// alive reports a process that has not ended; one that nobody reaped has.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// other is a process of its own that asks for a lease.
type other struct {
	*proc.Process
	wait  func() (proc.Exit, error)
	stdin io.Closer
	said  *bufio.Reader
}

// Wait may be called more than once: the end of the test does, too.
func (o *other) Wait() (proc.Exit, error) { return o.wait() }

func (f *fixture) leaseElsewhere(t *testing.T, cfg Config, at Target) *other {
	t.Helper()
	request, err := json.Marshal(leaseRequest{cfg, at})
	if err != nil {
		t.Fatal(err)
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = inW.Close(), outR.Close() })
	p, err := proc.Start(t.Context(), proc.Spec{
		Args: []string{f.cfg.Holder[0], "lease"}, Env: f.cfg.Env, Stdin: inR, Stdout: outW,
	})
	_, _ = inR.Close(), outW.Close()
	if err != nil {
		t.Fatal(err)
	}
	o := &other{Process: p, wait: sync.OnceValues(p.Wait), stdin: inW, said: bufio.NewReader(outR)}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL); _, _ = o.Wait() })
	if _, err := inW.Write(append(request, '\n')); err != nil {
		t.Fatal(err)
	}
	return o
}

// answer is what the process says of its lease.
func (o *other) answer(t *testing.T) string {
	t.Helper()
	line, err := o.said.ReadString('\n')
	if err != nil {
		t.Errorf("a process that asked for a lease said nothing: %v", err)
	}
	return strings.TrimSpace(line)
}

// onDisk reports whether a path is there, whatever it is.
func onDisk(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}
