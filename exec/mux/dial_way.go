package mux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rs/zerolog"
)

// muxVar is the environment variable that decides how sessions are opened:
// wayAuto, the default, dials the master, and starts an ssh for one that cannot
// be talked to; waySSH starts an ssh for each; wayDirect only dials.
const (
	muxVar    = "BIVY_MUX"
	wayAuto   = "auto"
	waySSH    = "ssh"
	wayDirect = "direct"
)

// WayError says that BIVY_MUX has a value that it cannot have.
type WayError struct{ Value string }

func (e *WayError) Error() string {
	return fmt.Sprintf("%s is %q, and can be %s, %s or %s", muxVar, e.Value, wayAuto, waySSH, wayDirect)
}

// wayIn is the value of muxVar in an environment.
func wayIn(env []string) (string, error) {
	for i := len(env) - 1; i >= 0; i-- { // the last one counts, as in os/exec
		value, ok := strings.CutPrefix(env[i], muxVar+"=")
		switch {
		case !ok:
		case value == "":
			return wayAuto, nil
		case value == wayAuto, value == waySSH, value == wayDirect:
			return value, nil
		default:
			return "", &WayError{value}
		}
	}
	return wayAuto, nil
}

// Dials says whether sessions on the master may be dialled, and whether they
// must be.
func (l *Lease) Dials() (may, must bool) {
	switch l.masters.way {
	case wayDirect:
		return true, true
	case waySSH:
		return false, false
	}
	_, err := os.Lstat(l.Sidecar("nodial"))
	return errors.Is(err, os.ErrNotExist), false
}

// dialNoMore remembers a master that cannot be talked to. Where that fails,
// each session finds it out by itself.
func (l *Lease) dialNoMore(ctx context.Context, why error) {
	zerolog.Ctx(ctx).Debug().Err(why).Msg("sessions on this master go through ssh")
	_ = os.WriteFile(l.Sidecar("nodial"), []byte(why.Error()+"\n"), 0o600)
}
