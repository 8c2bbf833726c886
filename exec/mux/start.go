package mux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

// start runs one login: it starts a holder, relays what ssh asks to the
// terminal while there is one, and returns when the control socket answers.
// The budget stops as soon as ssh asks a human something.
func (m *Masters) start(ctx context.Context, r route, features sshcmd.Features, budget time.Duration) error {
	began := time.Now()
	hold, err := m.startHolder(ctx, r, features)
	if err != nil {
		return fmt.Errorf("start the holder of the connection: %w", err)
	}
	// Closing the link before the socket answers ends the holder and ssh.
	defer hold.conn.Close() //nolint:errcheck // nothing is left to say
	relay := newRelay(m.cfg.Terminal)
	defer relay.restore()
	events := make(chan message)
	stop := make(chan struct{})
	defer close(stop)
	go hold.receive(events, stop)
	timer := time.NewTimer(budget)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return &LoginTimeoutError{Host: string(r.Host), After: budget, Words: relay.words()}
		case msg, ok := <-events:
			switch {
			case !ok:
				return errors.New("the holder of the connection ended without a word")
			case msg.Kind == kindReady:
				zerolog.Ctx(ctx).Info().Str("host", string(r.Host)).Dur("took", time.Since(began)).Msg("logged in")
				return nil
			case msg.Kind == kindExit:
				return loginError(r, msg, relay.words())
			case msg.Kind == kindPrompt:
				if relay.prompt(msg.Data, hold) {
					timer.Stop()
				}
			case msg.Kind == kindWords:
				relay.say(msg.Data)
			}
		}
	}
}

func (m *Masters) startHolder(ctx context.Context, r route, features sshcmd.Features) (*link, error) {
	return m.launch(ctx, m.holderSpec(r, features))
}

// holderSpec is what the holder of a route's next master must know.
func (m *Masters) holderSpec(r route, features sshcmd.Features) holderSpec {
	master := sshcmd.Master{
		SSH: m.cfg.SSH, User: r.User, Host: r.Host, ControlPath: m.dir.socket(r.ID),
		Batch: m.batch(), Features: features, Ciphers: r.prefer,
	}
	spec := holderSpec{
		Format: 1, Host: string(r.Host), ID: r.ID, Argv: master.Args(), Dir: m.dir.path,
		Slots: m.cfg.Sessions, Idle: m.cfg.Idle, Interactive: m.cfg.Terminal != nil, Human: m.cfg.Askpass, SSH: m.cfg.SSH,
		CPUFile: m.cpuFile(r.ID), Spare: m.cfg.Spare,
	}
	if m.cfg.Terminal != nil {
		if size, err := proc.SizeOf(m.cfg.Terminal.Out); err == nil {
			spec.Rows, spec.Cols = size.Rows, size.Cols
		}
	}
	return spec
}

// launch starts a holder.
func (m *Masters) launch(ctx context.Context, spec holderSpec) (*link, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close() //nolint:errcheck // the holder has its copy
	hold, err := newLink(ours)
	if err != nil {
		return nil, err
	}
	// The holder outlives the context of the command that started it.
	p, err := proc.Start(context.WithoutCancel(ctx), proc.Spec{
		Args: m.cfg.Holder, Env: m.loginEnv(), Files: []*os.File{theirs}, Isolation: proc.Session,
	})
	if err != nil {
		_ = hold.conn.Close()
		return nil, err
	}
	p.Detach()
	if err := hold.enc.Encode(spec); err != nil {
		_ = hold.conn.Close()
		return nil, err
	}
	return hold, nil
}

// batch reports whether nobody may be asked anything.
func (m *Masters) batch() bool { return m.cfg.Terminal == nil && !m.cfg.Askpass }

// loginEnv is the environment of a login. BatchMode does not reach the ssh of
// a ProxyJump or ProxyCommand; the variable does.
func (m *Masters) loginEnv() []string {
	if m.batch() {
		return append(m.cfg.Env[:len(m.cfg.Env):len(m.cfg.Env)], "SSH_ASKPASS_REQUIRE=never")
	}
	return m.cfg.Env
}

// receive passes the holder's messages on until either side ends.
func (l *link) receive(events chan<- message, stop <-chan struct{}) {
	defer close(events)
	for {
		var msg message
		if err := l.dec.Decode(&msg); err != nil {
			return
		}
		select {
		case events <- msg:
		case <-stop:
			return
		}
	}
}

// loginError turns the end of a login into what the user should read.
func loginError(r route, msg message, words string) error {
	if msg.Trouble != "" {
		return fmt.Errorf("start ssh for %s: %s", r.Host, msg.Trouble)
	}
	if msg.Interrupted {
		return fmt.Errorf("login on %s was interrupted: %w", r.Host, context.Canceled)
	}
	code := msg.Code
	if code == 0 {
		// A master that ends well before its socket answers is no master.
		code = 255
	}
	return sshcmd.Classify(string(r.Host), code, strings.ReplaceAll(words, "\r\n", "\n"))
}
