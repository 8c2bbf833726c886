package mux

import (
	"bytes"
	"context"
	_ "embed"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"bivy/exec/proc"
	"bivy/internal/atomicfile"
	"bivy/sshcmd"
)

//go:embed aes.sh
var aesScript string

// What the file about a host's processor says, and nothing else: it decides an
// order of ciphers, all of which the user's ssh offers anyway.
const (
	hostAES   = "aes yes\n"
	hostNoAES = "aes no\n"
)

// maxCPUInfo is what is read of /proc/cpuinfo, in bytes: more than a block.
const maxCPUInfo = 16 << 10

// cpuFile is where it is kept whether the host of a route has instructions for
// AES. It outlives masters, since it is needed before the next one's login.
// Both masters of a route share it.
func (m *Masters) cpuFile(id string) string {
	return filepath.Join(m.cfg.CacheDir, "cpu", id[:idLength])
}

// preferred is the order of ciphers for the route's next master, or "" where
// ssh shall do as it is configured. It asks ssh for its defaults only where
// nothing else speaks against a preference.
func (m *Masters) preferred(ctx context.Context, r route) string {
	if !m.cfg.PreferAES || sshcmd.PreferAES(r.User, r.ciphers, r.ciphers) == "" || !hasAES() || !knownAES(m.cpuFile(r.ID)) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, configDeadline)
	defer cancel()
	var out bytes.Buffer
	exit, err := proc.Run(ctx, proc.Spec{
		Args: sshcmd.DefaultsArgs(m.cfg.SSH), Env: m.cfg.Env, Stdout: &out, Isolation: proc.Session,
	})
	if err != nil || !exit.OK() {
		zerolog.Ctx(ctx).Debug().Err(err).Int("status", exit.Code).Msg("ssh does not tell its defaults; the ciphers stay")
		return ""
	}
	list := sshcmd.PreferAES(r.User, r.ciphers, sshcmd.ParseConfig(out.Bytes()).Get("ciphers"))
	zerolog.Ctx(ctx).Debug().Str("host", string(r.Host)).Str("ciphers", list).Msg("both processors have AES")
	return list
}

// hasAES reports whether this machine's processor has instructions for
// AES-GCM. Every Mac that Go runs on has. It is asked once for each login, so
// the file does, and not a package that asks the processor at every start.
func hasAES() bool {
	return runtime.GOOS == "darwin" || listsAES("/proc/cpuinfo")
}

// listsAES looks for what aes.sh looks for, in the first bytes of the file: on
// a large machine it has a long block for each of its processors.
func listsAES(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was read only
	text, _ := io.ReadAll(io.LimitReader(f, maxCPUInfo))
	for line := range strings.Lines(string(text)) {
		flags := strings.Fields(line)
		if slices.Contains(flags, "aes") && (slices.Contains(flags, "pclmulqdq") || slices.Contains(flags, "pmull")) {
			return true
		}
	}
	return false
}

// knownAES reports whether the file says that the host has AES.
func knownAES(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was read only
	text, err := io.ReadAll(io.LimitReader(f, int64(len(hostAES))+1))
	return err == nil && string(text) == hostAES
}

// learnAES takes the guardian's word on the host's processor, once for each
// master. The file is written aside: the loop does not wait for a disk.
func (w *warden) learnAES(answer string) {
	text := map[string]string{"1": hostAES, "0": hostNoAES}[answer]
	if text == "" || w.aesKnown || w.spec.CPUFile == "" {
		return
	}
	w.aesKnown = true
	w.work.Go(func() { keepAES(w.spec.CPUFile, text) })
}

// keepAES writes the file unless it says so already. One that cannot be
// written only costs speed.
func keepAES(file, text string) {
	if old, err := os.ReadFile(file); err == nil && string(old) == text {
		return
	}
	if os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = atomicfile.Write(file, []byte(text), 0o600)
	}
}
