// Package sandbox is an SSH host inside our own binary. It is spoken to on
// standard input and output, as the ProxyCommand of the user's own ssh:
//
//	ssh -o ProxyCommand='bivy sandbox --stdio --home DIR' sandbox
//
// It has no port, no login and no installation, and needs no root: whoever can
// start it is its user already. `bivy demo` runs on it, and tests use it as a
// second kind of server beside OpenSSH's.
//
// Where it matters it behaves as OpenSSH's sshd does (9.2p1 was watched and
// read, session.c and channels.c): a command without a terminal leads a session
// of its own and has pipes; a channel that is closed early closes the pipes and
// kills nothing, but hangs a terminal up; the exit status is sent when the
// command ends, the channel closes when its pipes have ended too.
//
// One difference shows: to a host whose version does not say OpenSSH an ssh
// client (9.2p1) sends no eow@openssh.com. When a client that shares a master is
// killed, its idle master closes the channel only with the next packet or request
// it sees, so ServerAliveInterval bounds the time until a command sees the end of
// its stdin. Other servers that are not OpenSSH's show the same.
//
// It is not a jail: sessions run as the user who started it, and only their
// HOME is another one.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Config describes the host. Only Home is needed.
type Config struct {
	// Home is the HOME of the sessions and the directory in which they
	// start. It must exist.
	Home string
	// HostKeyFile holds the host's private key, Ed25519 in OpenSSH's format,
	// mode 0600; it is made when it is missing. The default is a sibling of
	// Home, Home + ".host_key", so that it is no part of what sessions see in
	// their home, and two homes in one directory have two keys.
	HostKeyFile string
	// Shell is the login shell, default /bin/sh. It is given -c COMMAND, or
	// -l where the client asks for no command.
	Shell string
	// MaxSessions is how many sessions the connection may have at once; zero
	// is no limit. As in sshd a session counts until its channel is closed
	// and its command has ended. More are refused when the channel is opened.
	MaxSessions int
	// Delay is added to every byte in each direction. It is latency and does
	// not limit throughput: at most 32 MiB in each direction are on their way.
	Delay time.Duration
	// Env is the base environment of sessions as K=V, to which HOME is added.
	// The default is PATH (ours), USER, LOGNAME, SHELL and LANG.
	Env []string
	// KeepOrphans leaves commands alone that still run when the connection
	// ends, as sshd does. They see their pipes closed or their terminal hung
	// up. Without it nothing of the sessions is left, see Serve.
	KeepOrphans bool
}

// Serve is the host for exactly one connection, which it closes. Closing rw
// must end a Read of it that waits. Serve returns nil when the client has left,
// in whatever way, the cause of ctx when that ended the connection, and an
// error when the configuration or the handshake is at fault.
//
// When the connection ends, the processes of its sessions get SIGHUP and, two
// seconds later, SIGKILL: also those that a command left behind, and those
// under nohup. Only what has made a session of its own (setsid) lives on, since
// it has left ours. Config.KeepOrphans changes this.
//
// The ssh client ends its ProxyCommand with SIGHUP (sshconnect.c), and an
// ignored signal is inherited by sessions. A program whose purpose is to serve
// therefore ends ctx on SIGHUP, SIGINT and SIGTERM with signal.NotifyContext,
// which does both: the end is an orderly one, and sessions do not ignore these.
func Serve(ctx context.Context, cfg Config, rw io.ReadWriteCloser) error {
	raw := newConn(rw)
	defer raw.Close() //nolint:errcheck // the connection has ended by then
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	key, err := hostKey(cfg.HostKeyFile)
	if err != nil {
		return err
	}
	var conn net.Conn = raw
	if cfg.Delay > 0 {
		slow := newDelayed(raw, cfg.Delay)
		defer slow.wait()
		conn = slow
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()

	h := newHost(ctx, cfg)
	var handshake error
	server := h.server(key, func(err error) { handshake = err })
	server.HandleConn(conn)
	err = h.end()
	switch {
	case ctx.Err() != nil:
		return errors.Join(context.Cause(ctx), err)
	case handshake != nil:
		return errors.Join(fmt.Errorf("ssh handshake with the client: %w", handshake), err)
	default:
		return err
	}
}

// server has no password and no key handler, which to gliderlabs/ssh means
// that the authentication "none" is accepted. Global requests (port forwarding,
// keepalive@openssh.com) have no handlers and get a failure as their answer,
// which is what sshd says too and all that a keepalive needs.
func (h *host) server(key ssh.Signer, failed func(error)) *ssh.Server {
	return &ssh.Server{
		Version:     "bivy_sandbox",
		HostSigners: []ssh.Signer{key},
		ChannelHandlers: map[string]ssh.ChannelHandler{
			"session": func(_ *ssh.Server, _ *gossh.ServerConn, ch gossh.NewChannel, _ ssh.Context) { h.session(ch) },
			"default": func(_ *ssh.Server, _ *gossh.ServerConn, ch gossh.NewChannel, _ ssh.Context) {
				_ = ch.Reject(gossh.Prohibited, "the sandbox has sessions only")
			},
		},
		ConnectionFailedCallback: func(_ net.Conn, err error) { failed(err) },
	}
}

// complete checks the configuration and fills in what is not set.
func (c Config) complete() (Config, error) {
	if c.Home == "" {
		return c, errors.New("sandbox: no home directory given")
	}
	home, err := filepath.Abs(c.Home)
	if err != nil {
		return c, fmt.Errorf("sandbox: home %s: %w", c.Home, err)
	}
	c.Home = home
	if info, err := os.Stat(home); err != nil {
		return c, fmt.Errorf("sandbox: home: %w", err)
	} else if !info.IsDir() {
		return c, fmt.Errorf("sandbox: home %s is not a directory", home)
	}
	if c.HostKeyFile == "" {
		c.HostKeyFile = home + ".host_key"
	}
	if c.Shell == "" {
		c.Shell = "/bin/sh"
	}
	if info, err := os.Stat(c.Shell); err != nil {
		return c, fmt.Errorf("sandbox: login shell: %w", err)
	} else if info.IsDir() || info.Mode()&0o111 == 0 {
		return c, fmt.Errorf("sandbox: login shell %s is not executable", c.Shell)
	}
	c.Env = c.environment()
	return c, nil
}
