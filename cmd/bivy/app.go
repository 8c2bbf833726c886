package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/internal/paths"
	"bivy/secrets"
	"bivy/sshcmd"
	"bivy/workspace"
)

// App is what commands share. Its parts are made when a command asks for
// them, so that each pays only for what it uses.
type App struct {
	*Globals
	UI *UI
	// Command is what stood behind `--`.
	Command []string
	// Hurry is closed when the user asked twice for the end.
	Hurry <-chan struct{}

	paths    *paths.Paths
	masters  *mux.Masters
	registry *workspace.Registry
	secrets  *secrets.Store
}

func (a *App) findPaths() (paths.Paths, error) {
	if a.paths == nil {
		p, err := paths.FromEnvironment()
		if err != nil {
			return paths.Paths{}, err
		}
		a.paths = &p
	}
	return *a.paths, nil
}

// Masters opens the shared connections.
func (a *App) Masters() (*mux.Masters, error) {
	if a.masters != nil {
		return a.masters, nil
	}
	p, err := a.findPaths()
	if err != nil {
		return nil, err
	}
	ssh, err := sshProgram()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find our own program: %w", err)
	}
	terminal := a.UI.terminal(a.Batch)
	a.masters, err = mux.Open(mux.Config{
		SSH: ssh, Holder: []string{self, "holder"}, Sockets: p.Sockets, CacheDir: p.Cache, Env: a.cleanEnv(),
		Terminal: terminal, Askpass: !a.Batch && sshcmd.Askpass(os.Environ(), terminal != nil), Wait: a.WaitHost, Idle: a.IdleHost,
		Ride: a.UserMaster, PreferAES: a.PreferAES, Spare: a.Spare,
	})
	return a.masters, err
}

// Registry opens the registry of workspaces.
func (a *App) Registry() (*workspace.Registry, error) {
	if a.registry != nil {
		return a.registry, nil
	}
	p, err := a.findPaths()
	if err != nil {
		return nil, err
	}
	a.registry, err = workspace.OpenRegistry(p.State)
	return a.registry, err
}

// Workspaces opens both.
func (a *App) Workspaces() (*workspace.Workspaces, error) {
	registry, err := a.Registry()
	if err != nil {
		return nil, err
	}
	masters, err := a.Masters()
	if err != nil {
		return nil, err
	}
	return &workspace.Workspaces{Registry: registry, Masters: masters}, nil
}

// sshProgram is BIVY_SSH, which may be several words, or ssh.
func sshProgram() ([]string, error) {
	value := os.Getenv("BIVY_SSH")
	if value == "" {
		return []string{"ssh"}, nil
	}
	words, err := sshcmd.Words(value)
	if err != nil || len(words) == 0 {
		return nil, &usageError{err: fmt.Errorf("BIVY_SSH is %q, which is no command line", value)}
	}
	return words, nil
}

// Target is a host with the ssh flags of this command line.
func (a *App) Target(host string) (mux.Target, error) {
	h, err := sshcmd.ParseHost(host)
	if err != nil {
		return mux.Target{}, &usageError{err: err}
	}
	user, err := a.sshUser()
	return mux.Target{Host: h, User: user}, err
}

// onHost is what a command about a host as such needs.
func (a *App) onHost(host string) (mux.Target, *mux.Masters, error) {
	target, err := a.Target(host)
	if err != nil {
		return mux.Target{}, nil, err
	}
	masters, err := a.Masters()
	return target, masters, err
}

// sshUser checks the flags that go to ssh. A relative file is made absolute:
// a workspace remembers it.
func (a *App) sshUser() (sshcmd.User, error) {
	for _, opt := range a.Option {
		if err := sshcmd.CheckOption(opt); err != nil {
			return sshcmd.User{}, &usageError{err: err}
		}
	}
	file := a.SSHConfig
	if file != "" && file != "none" {
		abs, err := filepath.Abs(file)
		if err != nil {
			return sshcmd.User{}, fmt.Errorf("find --ssh-config %s: %w", file, err)
		}
		if _, err := os.Stat(abs); err != nil {
			return sshcmd.User{}, &usageError{err: fmt.Errorf("cannot read --ssh-config: %w", err)}
		}
		file = abs
	}
	return sshcmd.User{ConfigFile: file, Options: a.Option}, nil
}

// spot is a place resolved: where, and what a command there sees.
type spot struct {
	target mux.Target
	dir    string
	env    []exec.EnvVar
	// project and host, as the user named it, say whose secrets are for
	// commands here; they are empty without a workspace.
	project, host string
}

// resolve turns a place into a spot.
func (a *App) resolve(p Place) (spot, error) {
	switch {
	case p.Host != "" && p.WS != "":
		return spot{}, usagef("give a workspace or --host, not both")
	case p.Host != "":
		target, err := a.Target(p.Host)
		return spot{target: target, dir: homeDir(p.Dir), env: quietEnv()}, err
	case p.WS == "":
		return spot{}, usagef("name a workspace, or give --host HOST")
	}
	rec, err := a.find(p.WS)
	if err != nil {
		return spot{}, err
	}
	target, err := a.recordTarget(rec)
	if err != nil {
		return spot{}, err
	}
	dir := p.Dir
	if dir == "" {
		dir = rec.Dir
	} else if !path.IsAbs(dir) && dir != "~" && !strings.HasPrefix(dir, "~/") {
		dir = rec.Dir + "/" + dir
	}
	env := append(quietEnv(),
		exec.EnvVar{Name: "BIVY_WORKSPACE", Value: rec.Name},
		exec.EnvVar{Name: "BIVY_PROJECT", Value: rec.Project},
		exec.EnvVar{Name: "BIVY_DIR", Value: rec.Dir},
		exec.EnvVar{Name: "BIVY_HOST_ALIAS", Value: rec.Host})
	return spot{target: target, dir: dir, env: env, project: rec.Project, host: rec.Host}, nil
}

// find looks a workspace up and wants it whole.
func (a *App) find(ws string) (workspace.Record, error) {
	ref, err := workspace.ParseRef(ws)
	if err != nil {
		return workspace.Record{}, &usageError{err: err}
	}
	registry, err := a.Registry()
	if err != nil {
		return workspace.Record{}, err
	}
	rec, err := registry.Find(ref)
	if err == nil && (rec.State == workspace.Renaming || rec.State == workspace.Forking) {
		return rec, &workspace.UnfinishedError{Record: rec}
	}
	if err == nil && rec.State != workspace.Ready {
		return rec, fmt.Errorf("workspace %s was never finished: %w", rec.FullName(), errHalfMade)
	}
	return rec, err
}

// errHalfMade marks a workspace whose making was cut off.
var errHalfMade = errors.New("its making was cut off")

// findHere is find, with the ssh flags of this command line where there are any.
func (a *App) findHere(name string) (workspace.Record, error) {
	rec, err := a.find(name)
	if err != nil {
		return rec, err
	}
	target, err := a.recordTarget(rec)
	rec.SSHConfig, rec.SSHOptions = target.User.ConfigFile, target.User.Options
	return rec, err
}

// recordTarget is a workspace's host; ssh flags of this command line win over
// those that the workspace was made with.
func (a *App) recordTarget(rec workspace.Record) (mux.Target, error) {
	target := rec.Target()
	user, err := a.sshUser()
	if user.ConfigFile != "" {
		target.User.ConfigFile = user.ConfigFile
	}
	target.User.Options = append(user.Options[:len(user.Options):len(user.Options)], target.User.Options...)
	return target, err
}

// homeDir is a directory relative to the remote home.
func homeDir(dir string) string {
	if dir == "" || path.IsAbs(dir) || dir == "~" || strings.HasPrefix(dir, "~/") {
		return dir
	}
	return "~/" + dir
}

// quietEnv keeps git and other tools from waiting for somebody to type.
func quietEnv() []exec.EnvVar {
	return []exec.EnvVar{
		{Name: "GIT_TERMINAL_PROMPT", Value: "0"},
		{Name: "GIT_EDITOR", Value: "true"},
		{Name: "EDITOR", Value: "true"},
		{Name: "VISUAL", Value: "true"},
		{Name: "PAGER", Value: "cat"},
	}
}
