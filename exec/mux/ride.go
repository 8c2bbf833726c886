package mux

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
)

// OwnMasterError says that bivy leaves the user's own master alone.
type OwnMasterError struct {
	Host string
	// Path is the user's control socket.
	Path string
	// Closing says that it was to be closed; else it does not answer.
	Closing bool
}

func (e *OwnMasterError) Error() string {
	if e.Closing {
		return fmt.Sprintf("the connection to %s is your own master, which bivy does not close; to close it: ssh -O exit %s", e.Host, e.Host)
	}
	return fmt.Sprintf("your own master of %s does not answer (%s); end it, and bivy logs in by itself", e.Host, e.Path)
}

// rideID names what belongs to sessions over the user's own master: their
// locks, limit and sidecars.
func rideID(id string) string { return id + "u" }

// usable returns a control path of ssh -G if it can be one: ssh prints it
// expanded (9.2); where it still holds a token we cannot know the socket.
func usable(controlPath string) string {
	if !filepath.IsAbs(controlPath) || strings.ContainsAny(controlPath, "%$") {
		return ""
	}
	return controlPath
}

// ridden returns the user's own control socket where sessions are to go
// through it: where somebody listens there who can only be the user.
func (m *Masters) ridden(ctx context.Context, r route) string {
	if !m.cfg.Ride || r.userPath == "" {
		return ""
	}
	if probe(r.userPath) != listening {
		return ""
	}
	if err := onlyOurs(r.userPath); err != nil {
		zerolog.Ctx(ctx).Warn().Msgf("your own master of %s is not used: %v", r.Host, err)
		return ""
	}
	return r.userPath
}

// onlyOurs checks that nobody else can have put the socket there: a client
// talks to any socket that it finds, whoever listens.
func onlyOurs(socket string) error {
	info, err := os.Lstat(socket)
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is not a socket", socket)
	}
	if owner(info) != os.Getuid() || info.Mode()&0o022 != 0 {
		return fmt.Errorf("%s is not yours alone", socket)
	}
	dir := filepath.Dir(socket)
	info, err = os.Stat(dir)
	if err != nil {
		return err
	}
	if who := owner(info); who != os.Getuid() && who != 0 || info.Mode()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("others may write to %s", dir)
	}
	return nil
}

func owner(info os.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// mount decides what the sessions of a lease go through.
func (l *Lease) mount(ctx context.Context) {
	l.ride = l.masters.ridden(ctx, l.route)
	l.id = l.home()
	if l.ride == "" {
		return
	}
	// What is known of the last master on that socket is not of this one.
	m, seen := l.masters, l.masters.dir.sidecar(l.id, "seen")
	now, err := socketIdentity(l.ride)
	if err != nil {
		return // it just went away, as a session will find
	}
	if old, err := os.ReadFile(seen); err == nil && string(old) == now {
		return
	}
	m.forgetSidecars(l.id)
	m.forgetNotes(l.id)
	_ = os.WriteFile(seen, []byte(now), 0o600)
}

func socketIdentity(socket string) (string, error) {
	info, err := os.Lstat(socket)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s has no identity", socket)
	}
	return fmt.Sprintf("%d %d\n", st.Ino, info.ModTime().UnixNano()), nil
}

// home names the master that a lease is on at first.
func (l *Lease) home() string {
	if l.ride != "" {
		return rideID(l.route.ID)
	}
	return l.route.ID
}

// remount makes sure that the user's own master is there, or leaves it for
// ours where it is gone. One that does not answer is the user's to end.
func (l *Lease) remount(ctx context.Context) error {
	switch {
	case l.greets(ctx):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case probe(l.ride) == listening:
		if l.Responsive(ctx) {
			return nil
		}
		return &OwnMasterError{Host: l.Host(), Path: l.ride}
	}
	l.Release()
	l.mount(ctx)
	if err := l.acquire(ctx, l.masters.patience()); err != nil {
		return err
	}
	return l.Reconnect(ctx)
}
