package exec

import (
	"bytes"
	"context"
	_ "embed"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec/mux"
	"bivy/internal/atomicfile"
	"bivy/sshcmd"
)

//go:embed loginenv.sh
var loginEnvScript string

// Login says what of the user's login environment on the host a command gets.
type Login string

// The choices of --login-env.
const (
	LoginOff  Login = "off"  // only what the session has
	LoginPath Login = "path" // PATH and LANG
	LoginFull Login = "full" // everything that a login exports
)

const (
	// loginDeadline bounds each way of asking: an interactive shell may start
	// things that never end.
	loginDeadline = 5 * time.Second
	// maxLoginEnv bounds what a host may tell us, in bytes.
	maxLoginEnv = 1 << 20
	envMark     = "[bivy:env]"
)

// loginFormat begins a login environment that was captured, once for each
// master. K=V fields follow; each field ends in a NUL, as on the host.
const loginFormat = "bivy env 1"

// loginVars returns the login environment of the lease's route: from the
// sidecar of its master, else by asking the host's login shell. A host that
// does not answer sensibly is asked once, and gives nothing; one that does not
// even start our shell would not start the command either, so that receipt and
// error are the command's.
func loginVars(ctx context.Context, lease *mux.Lease, want Login) ([]EnvVar, Receipt, error) {
	if want == LoginOff || want == "" {
		return nil, Receipt{}, nil
	}
	file := lease.Sidecar("env-" + string(want))
	if data, err := os.ReadFile(file); err == nil {
		if vars, ok := knownLogin(data); ok {
			return vars, Receipt{}, nil
		}
	}
	var known []EnvVar
	// Without -i where an interactive shell hangs or fails without a terminal.
	for _, flags := range []string{"-li", "-l"} {
		vars, receipt, err := askLogin(ctx, lease, want, flags)
		if err != nil && (receipt.Started.IsZero() || ctx.Err() != nil) {
			return nil, receipt, err
		}
		zerolog.Ctx(ctx).Debug().Err(err).Str("flags", flags).Int("vars", len(vars)).Msg("asked the login shell for its environment")
		if len(vars) > 0 {
			known = vars
			break
		}
	}
	data := loginFormat + "\x00"
	for _, v := range known {
		data += v.Name + "=" + v.Value + "\x00"
	}
	if err := atomicfile.Write(file, []byte(data), 0o600); err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("login environment is not kept")
	}
	return known, Receipt{}, nil
}

// knownLogin reads a login environment that was kept.
func knownLogin(data []byte) (vars []EnvVar, ok bool) {
	rest, ok := strings.CutPrefix(string(data), loginFormat+"\x00")
	for ok && rest != "" {
		var field string
		if field, rest, ok = strings.Cut(rest, "\x00"); ok {
			name, value, _ := strings.Cut(field, "=")
			vars = append(vars, EnvVar{Name: name, Value: value})
		}
	}
	return vars, ok
}

func askLogin(ctx context.Context, lease *mux.Lease, want Login, flags string) ([]EnvVar, Receipt, error) {
	var out limited
	receipt, err := RunOn(ctx, lease, Command{
		Script:  "set -- " + sshcmd.QuoteAll([]string{string(want), flags}) + "\n" + loginEnvScript,
		Timeout: loginDeadline, Grace: time.Second, Stdout: &out,
	})
	return parseLogin(out.Bytes(), want), receipt, err
}

// parseLogin reads NUL-separated K=V fields behind the mark. What describes
// the asking shell rather than a login stays out, and so does what no shell
// can set.
func parseLogin(out []byte, want Login) []EnvVar {
	_, fields, found := bytes.Cut(out, []byte(envMark))
	if !found {
		return nil
	}
	var vars []EnvVar
	for field := range bytes.SplitSeq(fields, []byte{0}) {
		name, value, ok := strings.Cut(string(field), "=")
		v := EnvVar{Name: name, Value: value}
		switch {
		case !ok || value == "" || v.Check() != nil:
			continue
		case want == LoginPath && name != "PATH" && name != "LANG":
			continue
		case strings.HasPrefix(name, "B_"), name == "PWD", name == "OLDPWD", name == "SHLVL", strings.HasPrefix(name, "SSH_"):
			continue
		}
		vars = append(vars, v)
	}
	return vars
}

// limited is a buffer that takes no more than maxLoginEnv bytes.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxLoginEnv - l.Len(); room > 0 {
		_, _ = l.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}
