package transfer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
)

// secondSession is how long one more session is waited for. While we wait we
// have one, and so have others who wait for theirs; nobody would ever get one if
// all had the patience. It is also less than what makes mux log in again.
const secondSession = 800 * time.Millisecond

// plainPath is a path that no shell and no pattern takes for anything else; the
// host says what it is.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9_@%+:,./-]+$`)

// unusableError says why scp could not carry a file. Another way is taken.
type unusableError struct{ why string }

func (e *unusableError) Error() string { return e.why }

// copyTo runs scp from a file here to one on the host, copyFrom the other way
// round. The error is *unusableError, or the context's.
func (p *Place) copyTo(ctx context.Context, local, far string) error {
	return p.scp(ctx, []string{local}, far, false)
}

func (p *Place) copyFrom(ctx context.Context, far, local string) error {
	return p.scp(ctx, []string{local}, far, true)
}

func (p *Place) scp(ctx context.Context, local []string, far string, back bool) error {
	switch {
	case len(p.SCP) == 0:
		return &unusableError{"there is no scp"}
	case !plainPath.MatchString(far):
		return &unusableError{"its path there is none that every scp takes"}
	}
	path, err := filepath.Abs(local[0])
	if err != nil {
		return fmt.Errorf("find %s: %w", local[0], err)
	}
	lease, err := p.second(ctx)
	if err != nil {
		return err
	}
	defer lease.Release()
	here, there := sshcmd.LocalOperand(path), sshcmd.RemoteOperand(far)
	c := sshcmd.Copy{SCP: p.SCP, SSH: p.SSH, ControlPath: lease.ControlPath(), Sources: []string{here}, Target: there}
	if back {
		c.Sources, c.Target = []string{there}, here
	}
	words := &proc.Tail{Limit: maxWords}
	exit, err := runBound(ctx, proc.Spec{
		Args: c.Args(), Env: slices.Concat(lease.Masters().Env(), []string{"LC_ALL=C"}), Stderr: words, Isolation: proc.Session, EndWithParent: true,
	})
	var missing *proc.NotFoundError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &missing):
		return &unusableError{missing.Error()}
	case err != nil:
		return &unusableError{err.Error()}
	case !exit.OK():
		return &unusableError{fmt.Sprintf("scp %s: %s", exit, termsafe.Line(termsafe.LastLine(words.String()), 300))}
	}
	return nil
}

// second is a session beside the one that we have.
func (p *Place) second(ctx context.Context) (*mux.Lease, error) {
	soon, cancel := context.WithTimeout(ctx, secondSession)
	defer cancel()
	lease, err := p.Masters.Lease(soon, p.Target)
	switch {
	case err == nil:
		return lease, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, &unusableError{"the host has no second session for it"}
}

// runBound runs a process that ends with us, where the kernel can see to that:
// it counts the thread that has started it.
func runBound(ctx context.Context, s proc.Spec) (proc.Exit, error) {
	type end struct {
		exit proc.Exit
		err  error
	}
	ended := make(chan end)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		exit, err := proc.Run(ctx, s)
		ended <- end{exit, err}
	}()
	e := <-ended
	return e.exit, e.err
}

// tellWay says with -v that a file goes another way than by scp.
func tellWay(ctx context.Context, why error) {
	zerolog.Ctx(ctx).Info().Msgf("scp cannot be used: %v; it goes as a stream", why)
}
