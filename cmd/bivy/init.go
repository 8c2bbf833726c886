package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bivy/exec"
	"bivy/internal/atomicfile"
	"bivy/workspace"
)

// initScript runs the project's .bivy/init, with what it says in one stream.
const initScript = `exec 2>&1
[ -x .bivy/init ] || exec /bin/sh .bivy/init
exec ./.bivy/init`

// runInit runs .bivy/init in a workspace that was just made. What it says goes
// to stderr and to a log here, and how it ended to the workspace's record. Its
// failure is shown, and is no error: the workspace can be used.
func (a *App) runInit(ctx context.Context, ws *workspace.Workspaces, rec *workspace.Record) error {
	at, err := a.resolve(Place{WS: rec.FullName().String()})
	if err != nil {
		return err
	}
	log, err := a.initLog(*rec)
	if err != nil {
		return err
	}
	ours, err := SecretsFlag{}.secretsFor(ctx, a, at, nil)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	shown, end := a.UI.safe(a.UI.Err, false)
	if a.UI.JSON || a.UI.Quiet {
		shown, end = io.Discard, func() {}
	}
	kept := a.UI.secrets.Writer(log)
	a.UI.Note("bivy: running %s", workspace.InitFile)
	receipt, err := exec.Run(ctx, ws.Masters, at.target, exec.Command{
		Script: initScript, Dir: at.dir, Env: slices.Concat(at.env, ours), Login: exec.LoginPath, Hurry: a.Hurry,
		Stdout: io.MultiWriter(shown, kept),
	})
	end()
	rec.Init = &workspace.Init{State: string(receipt.State), Code: receipt.Code, Log: log.Name(), At: time.Now().UTC().Truncate(time.Second)}
	err = errors.Join(err, kept.Close(), log.Close(), ws.Registry.Put(*rec))
	if receipt.State == exec.Signaled {
		rec.Init.Code = 128 + receipt.Signal
	}
	if err == nil && rec.Init.Failed() {
		a.UI.Note("bivy: %s; the workspace can be used, and what it said is in %s", rec.Init, log.Name())
	}
	return err
}

// initLog opens the log of a workspace's init; an older one of that name goes.
func (a *App) initLog(rec workspace.Record) (*os.File, error) {
	p, err := a.findPaths()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(p.State, "init", rec.Project)
	if err := atomicfile.PrivateDir(dir); err != nil {
		return nil, fmt.Errorf("keep what %s says: %w", workspace.InitFile, err)
	}
	return os.OpenFile(filepath.Join(dir, rec.Name+".log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}
