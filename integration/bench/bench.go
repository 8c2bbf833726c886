package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sshdtest"
)

// host is the bench's server in its ssh configuration.
const host = "gpu1"

// bench is one sshd, one built bivy with a home of its own, and a warm master.
type bench struct {
	t      *fixture
	server *sshdtest.Server
	// dir is short, so that sockets fit below it.
	dir    string
	bivy   string
	env    []string
	socket string
}

func newBench(ctx context.Context, o sshdtest.Options) (*bench, error) {
	dir, err := os.MkdirTemp("/tmp", "bb")
	if err != nil {
		return nil, err
	}
	b := &bench{t: &fixture{ctx: ctx}, dir: dir, bivy: filepath.Join(dir, "bivy")}
	if err := b.open(ctx, o); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// open builds bivy, starts the server and logs in.
func (b *bench) open(ctx context.Context, o sshdtest.Options) error {
	o.LoginShell = "sh"
	build := proc.Spec{Args: []string{"go", "build", "-trimpath", "-ldflags=-s -w", "-tags=split", "-o", b.bivy, "bivy/cmd/bivy"}, Env: append(os.Environ(), "CGO_ENABLED=0")}
	if err := b.must(ctx, build); err != nil {
		return err
	}
	if err := b.t.run(func() { b.server = sshdtest.Start(b.t, o) }); err != nil {
		return err
	}
	for _, name := range []string{"home", "b"} {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o700); err != nil {
			return err
		}
	}
	b.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(b.dir, "home"), "BIVY_HOME=" + filepath.Join(b.dir, "b"),
		"BIVY_SSH_CONFIG=" + b.server.ConfigFile, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"BIVY_MUX=" + os.Getenv("BIVY_MUX"), "GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@bivy.invalid", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@bivy.invalid",
	}
	// The first command logs in, and learns the login environment.
	if _, err := b.time(ctx, b.bivy, "exec", "--host", host, "--", "true"); err != nil {
		return err
	}
	var err error
	b.socket, err = findSocket(filepath.Join(b.dir, "b", "m"))
	return err
}

func (b *bench) close() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.t.ctx), 30*time.Second)
	defer cancel()
	if b.socket != "" {
		if _, err := b.time(ctx, b.bivy, "host", "close", host); err != nil {
			fmt.Fprintln(os.Stderr, "bench: close the connection:", err)
		}
	}
	b.t.cleanUp()
	_ = os.RemoveAll(b.dir)
}

// plain is the argv of a plain ssh over the same master.
func (b *bench) plain(command string) []string {
	return []string{"ssh", "-F", "none", "-S", b.socket, "-o", "ProxyCommand=false", "x", command}
}

// time runs a command that must succeed and returns how long it took.
func (b *bench) time(ctx context.Context, args ...string) (time.Duration, error) {
	began := time.Now()
	err := b.must(ctx, proc.Spec{Args: args, Env: b.env})
	return time.Since(began), err
}

// must runs a process whose words matter only when it fails.
func (b *bench) must(ctx context.Context, s proc.Spec) error {
	// A file, not a pipe: nothing of ours runs while the command does.
	words, err := os.CreateTemp(b.dir, "words-")
	if err != nil {
		return err
	}
	defer os.Remove(words.Name()) //nolint:errcheck // the directory goes too
	defer words.Close()           //nolint:errcheck // read below
	s.Stderr = words
	exit, err := proc.Run(ctx, s)
	if err == nil && !exit.OK() {
		said, _ := os.ReadFile(words.Name())
		err = fmt.Errorf("%s: %s: %s", strings.Join(s.Args, " "), exit, bytes.TrimSpace(said))
	}
	return err
}

// output runs a command that must succeed and returns its stdout.
func (b *bench) output(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := b.must(ctx, proc.Spec{Args: args, Env: b.env, Stdout: &out})
	return strings.TrimSpace(out.String()), err
}

// fixture lends sshdtest what it needs of a test.
type fixture struct {
	testing.TB
	ctx      context.Context //nolint:containedctx // testing.TB has one
	cleanups []func()
	failed   bool
}

// stopped is how Fatal and Skip leave sshdtest.
type stopped struct{ why string }

// run calls into sshdtest and turns a Fatal or Skip into an error.
func (f *fixture) run(do func()) (err error) {
	defer func() {
		switch end := recover().(type) {
		case nil:
		case stopped:
			err = errors.New(end.why)
		default:
			panic(end)
		}
	}()
	do()
	return nil
}

func (f *fixture) cleanUp() {
	for len(f.cleanups) > 0 {
		last := f.cleanups[len(f.cleanups)-1]
		f.cleanups = f.cleanups[:len(f.cleanups)-1]
		last()
	}
}

// Helper does nothing.
func (*fixture) Helper() {}

// Context is that of the bench.
func (f *fixture) Context() context.Context { return f.ctx }

// Cleanup keeps what to do at the end.
func (f *fixture) Cleanup(do func()) { f.cleanups = append(f.cleanups, do) }

// Failed reports a Fatal.
func (f *fixture) Failed() bool { return f.failed }

// Logf prints what a failed fixture has to say.
func (*fixture) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Fatal leaves run with an error.
func (f *fixture) Fatal(args ...any) { f.failed = true; panic(stopped{fmt.Sprint(args...)}) }

// Fatalf leaves run with an error.
func (f *fixture) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// Skip leaves run with an error: without sshd there is nothing to measure.
func (*fixture) Skip(args ...any) { panic(stopped{fmt.Sprint(args...)}) }
