package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bivy/exec/proc"
	"bivy/integration/sandbox"
	"bivy/internal/humane"
	"bivy/sshcmd"
)

// DemoCmd is `bivy demo`.
type DemoCmd struct{}

// Help is the long help.
func (*DemoCmd) Help() string {
	return `Shows what bivy does with your own ssh, on a host that lives inside this program:
no account, no port, no root. Everything happens in a temporary directory, which
is gone afterwards.`
}

// demoDeadline bounds one step.
const demoDeadline = time.Minute

// step is one command of the tour and what must come of it.
type step struct {
	say  string
	args []string
	// code is the exit code that is right, want a piece of the output.
	code int
	want string
}

const (
	demoScript = "#!/bin/sh\n# Prints the sum of its arguments.\nsum=0\nfor n; do sum=$((sum - n)); done\necho \"$sum\"\n"
	demoTest   = "#!/bin/sh\ngot=$(sh ./sum.sh 1 2 3)\nif [ \"$got\" = 6 ]; then echo ok; else echo \"want 6, got $got\"; exit 1; fi\n"
)

func tour() []step {
	return []step{
		{say: "Send the project to the host. What crosses is one commit, without history:", args: []string{"new", "fix-1", "--host", "camp"}, want: "fix-1"},
		{say: "Run its test there. It fails, and the exit code is the test's own:", args: []string{"exec", "fix-1", "--", "sh", "./test.sh"}, code: 1, want: "want 6, got -6"},
		{say: "Edit a file there:", args: []string{"exec", "fix-1", "-c", "sed 's/sum - n/sum + n/' sum.sh > new && mv new sum.sh && git diff --stat"}, want: "sum.sh"},
		{say: "Test again:", args: []string{"exec", "fix-1", "--", "sh", "./test.sh"}, want: "ok"},
		{say: "Commit there:", args: []string{"exec", "fix-1", "--", "git", "-c", "user.name=Demo", "-c", "user.email=demo@example.org", "commit", "-qam", "add instead of subtract"}},
		{say: "The result:", args: []string{"exec", "fix-1", "--", "git", "log", "-1", "-p", "--format=%an: %s"}, want: "+for n; do sum=$((sum + n)); done"},
		{say: "What the workspace holds now:", args: []string{"status", "fix-1"}, want: "1 ahead"},
		{say: "Remove it. bivy refuses: that commit exists nowhere else.", args: []string{"rm", "fix-1"}, code: exitProtected, want: "add instead of subtract"},
		{say: "Unless it is forced to:", args: []string{"rm", "--force", "fix-1"}, want: "demo/fix-1"},
		{say: "Nothing is left:", args: []string{"ls"}},
	}
}

// demo is one run of the tour.
type demo struct {
	ui   *UI
	dir  string
	self string
	env  []string
}

type demoFields struct {
	Format     int        `json:"format"`
	OK         bool       `json:"ok"`
	DurationMS int64      `json:"duration_ms"`
	Steps      []stepDone `json:"steps"`
}

type stepDone struct {
	Command string `json:"command"`
	Code    int    `json:"code"`
	Output  string `json:"output"`
}

// Run walks the tour; every step must end as it should.
func (c *DemoCmd) Run(ctx context.Context, app *App) (err error) {
	began := time.Now()
	// Not below TMPDIR, which is too long for a socket on macOS.
	dir, err := os.MkdirTemp("/tmp", "bivy-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	d := &demo{ui: app.UI, dir: dir}
	defer func() { err = errors.Join(err, d.cleanUp(context.WithoutCancel(ctx))) }()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	d.show("A host inside this program, reached by your own ssh, and a small project with a bug.")
	out := demoFields{Format: 1}
	for _, s := range tour() {
		done, err := d.walk(ctx, s)
		if err != nil {
			return err
		}
		out.Steps = append(out.Steps, done)
	}
	out.OK, out.DurationMS = true, time.Since(began).Milliseconds()
	if app.UI.JSON {
		return app.UI.object(out)
	}
	d.show("\nAll %d steps were right, in %s. On your own host: bivy new fix-1 --host HOST",
		len(out.Steps), humane.Age(time.Since(began)))
	return nil
}

func (d *demo) show(format string, args ...any) {
	if !d.ui.JSON {
		_, _ = fmt.Fprintf(d.ui.Out, format+"\n", args...)
	}
}

// prepare makes the host, ssh's configuration for it, and the project.
func (d *demo) prepare(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find our own program: %w", err)
	}
	d.self = self
	for _, sub := range []string{"home", "demo", "state"} {
		if err := os.Mkdir(d.path(sub), 0o700); err != nil {
			return fmt.Errorf("prepare the demo: %w", err)
		}
	}
	host := sandbox.Config{Home: d.path("home"), HostKeyFile: d.path("host_key")}
	key, err := sandbox.PublicKeyLine(host)
	if err != nil {
		return err
	}
	proxy := sshcmd.QuoteAll([]string{self, "sandbox", "--stdio", "--home", host.Home, "--host-key", host.HostKeyFile})
	config := "Host camp\n  User demo\n  ProxyCommand " + sshcmd.EscapePercent(proxy) +
		"\n  UserKnownHostsFile " + d.path("known_hosts") + "\n  GlobalKnownHostsFile none\n  IdentityFile none\n  IdentityAgent none\n"
	files := map[string]string{
		"known_hosts": "camp " + key + "\n", "ssh_config": config,
		"demo/sum.sh": demoScript, "demo/test.sh": demoTest,
	}
	for name, text := range files {
		if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("prepare the demo: %w", err)
		}
	}
	d.env = append(withoutBivy(os.Environ()), "BIVY_HOME="+d.path("state"), "BIVY_SSH_CONFIG="+d.path("ssh_config"), "BIVY_CONFIG="+os.DevNull)
	git := []string{"git", "-c", "core.hooksPath=" + os.DevNull, "-c", "commit.gpgSign=false", "-c", "user.name=Demo", "-c", "user.email=demo@example.org"}
	for _, args := range [][]string{{"init", "-q", "--template="}, {"add", "."}, {"commit", "-q", "-m", "a script with a bug"}} {
		var words proc.Tail
		exit, err := proc.Run(ctx, proc.Spec{Args: append(git[:len(git):len(git)], args...), Dir: d.path("demo"), Env: withoutGit(d.env), Stderr: &words})
		if err != nil {
			return err
		}
		if !exit.OK() {
			return fmt.Errorf("make the demo's project: git %s: %s", args[0], strings.TrimSpace(words.String()))
		}
	}
	return nil
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

// walk runs one step as a process of its own, as a user would.
func (d *demo) walk(ctx context.Context, s step) (stepDone, error) {
	line := "bivy " + sshcmd.QuoteAll(s.args[:len(s.args):len(s.args)])
	d.show("\n# %s\n$ %s", s.say, line)
	ctx, cancel := context.WithTimeoutCause(ctx, demoDeadline, fmt.Errorf("the demo's step %q took more than %s", line, demoDeadline))
	defer cancel()
	var seen bytes.Buffer
	var out io.Writer = &seen
	if !d.ui.JSON {
		out = io.MultiWriter(&seen, d.ui.Out)
	}
	exit, err := proc.Run(ctx, proc.Spec{
		Args: append([]string{d.self, "--batch"}, s.args...), Dir: d.path("demo"), Env: withoutGit(d.env), Stdout: out, Stderr: out, Isolation: proc.Group,
	})
	if err != nil {
		return stepDone{}, err
	}
	if exit.Code != 0 {
		d.show("(exit code %d)", exit.Code)
	}
	if exit.Code != s.code || !strings.Contains(seen.String(), s.want) {
		return stepDone{}, fmt.Errorf("the demo's step %q ended with code %d and should have ended with %d and said %q: %s",
			line, exit.Code, s.code, s.want, strings.TrimSpace(seen.String()))
	}
	return stepDone{Command: line, Code: exit.Code, Output: seen.String()}, nil
}

// cleanUp closes the connection, which ends the host, and removes everything.
func (d *demo) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoDeadline)
	defer cancel()
	if d.self != "" && d.env != nil {
		var words proc.Tail
		exit, err := proc.Run(ctx, proc.Spec{Args: []string{d.self, "-q", "host", "close", "camp"}, Env: d.env, Stderr: &words, Isolation: proc.Group})
		if err == nil && !exit.OK() {
			err = fmt.Errorf("end the demo's host: %s", strings.TrimSpace(words.String()))
		}
		if err != nil {
			return err
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("remove the demo's directory: %w", err)
	}
	return nil
}

// withoutBivy drops our own variables: the demo stands apart from the user's
// settings, but for the choice of the ssh program.
func withoutBivy(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "BIVY_") || strings.HasPrefix(v, "BIVY_SSH=") {
			kept = append(kept, v)
		}
	}
	return kept
}

// withoutGit drops what would lead git to another repository, as in a hook.
func withoutGit(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "GIT_") {
			kept = append(kept, v)
		}
	}
	return kept
}
