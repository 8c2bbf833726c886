package mux

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

// Target is a host as the user named it, with what the user told ssh on our
// command line.
type Target struct {
	Host sshcmd.Host
	User sshcmd.User
}

// route is a target whose effective configuration is known.
type route struct {
	Target
	// ID names the route: two targets with one ID share a master.
	ID string
	// Fresh says that ssh was asked just now, not the cache.
	Fresh bool
	// userPath is the socket of the user's own masters, or empty.
	userPath string
	// files decide whether a login can succeed; only known when Fresh.
	files []fileStamp
}

// configDeadline bounds `ssh -G`, which may run the user's Match exec.
const configDeadline = 30 * time.Second

// fileStamp tells whether a file is still the one that was read. A file that
// did not exist has no size and no time.
type fileStamp struct {
	Path    string
	Size    int64
	ModTime int64 // ns
}

func stampOf(path string) fileStamp {
	s := fileStamp{Path: path}
	if info, err := os.Stat(path); err == nil {
		s.Size, s.ModTime = info.Size(), info.ModTime().UnixNano()
	}
	return s
}

// route finds the identity of a target: from the cache while the files of the
// configuration are unchanged, else from ssh. A warm command thus starts no
// process to find its master.
func (m *Masters) route(ctx context.Context, t Target, fresh bool) (route, error) {
	file := filepath.Join(m.cfg.CacheDir, "routes", m.askedFor(t))
	if !fresh {
		if c, ok := cachedRoute(file); ok {
			return route{Target: t, ID: c.id, userPath: c.userPath}, nil
		}
	}
	master := sshcmd.Master{SSH: m.cfg.SSH, User: t.User, Host: t.Host}
	var out, words bytes.Buffer
	ctx, cancel := context.WithTimeoutCause(ctx, configDeadline,
		fmt.Errorf("ssh -G %s gave no answer in %s; does a Match exec of your ssh configuration hang?", t.Host, configDeadline))
	defer cancel()
	exit, err := proc.Run(ctx, proc.Spec{Args: master.EffectiveArgs(), Env: m.cfg.Env, Stdout: &out, Stderr: &words, Isolation: proc.Session})
	if err != nil {
		return route{}, fmt.Errorf("ask ssh for the configuration of %s: %w", t.Host, err)
	}
	if !exit.OK() {
		return route{}, sshcmd.Classify(string(t.Host), exit.Code, withoutDebug(words.String()))
	}
	config := sshcmd.ParseConfig(out.Bytes())
	read := stamps(t.User.ConfigFile, sshcmd.ConfigFiles(words.Bytes()))
	id := config.Digest(os.Getenv("SSH_AUTH_SOCK"), strings.Join(m.cfg.SSH, "\x00"))[:idLength]
	userPath := usable(config.Get("controlpath"))
	m.rememberRoute(ctx, file, routeCache{id: id, userPath: userPath, files: read})
	return route{Target: t, ID: id, Fresh: true, userPath: userPath, files: append(read, keyFiles(config)...)}, nil
}

// askedFor digests everything but the files that decides what ssh -G says.
func (m *Masters) askedFor(t Target) string {
	asked := []string{string(t.Host), t.User.ConfigFile, os.Getenv("SSH_AUTH_SOCK"), os.Getenv("PATH"), strconv.Itoa(os.Getuid())}
	asked = append(append(asked, strconv.Itoa(len(m.cfg.SSH))), m.cfg.SSH...)
	sum := sha256.Sum256(fields(append(asked, t.User.Options...)))
	return hex.EncodeToString(sum[:idLength/2])
}

// stamps lists the files that decide a configuration: those ssh read, the
// default ones even where they do not exist yet, and the directories of
// included files and of patterns that matched none, where a new file would
// change the result.
func stamps(configFile string, read []string) []fileStamp {
	files := defaultConfigs(configFile)
	for _, f := range read {
		if rest, ok := strings.CutPrefix(f, "~/"); ok {
			f = filepath.Join(homeDir(), rest)
		}
		if slices.Contains(files, f) {
			continue
		}
		files = append(files, f)
		if dir := filepath.Dir(f); !slices.Contains(files, dir) {
			files = append(files, dir)
		}
	}
	list := make([]fileStamp, 0, len(files))
	for _, f := range files {
		list = append(list, stampOf(f))
	}
	return list
}

// keyFiles stamps the files of keys, ours and the hosts', that a configuration
// names. One whose name still holds a token of ssh's is not found, and never
// seen to change.
func keyFiles(c sshcmd.Config) []fileStamp {
	names := c.All("certificatefile")
	for _, key := range c.All("identityfile") {
		names = append(names, key, key+".pub", key+"-cert.pub")
	}
	for _, key := range []string{"userknownhostsfile", "globalknownhostsfile"} {
		for _, value := range c.All(key) {
			names = append(names, strings.Fields(value)...)
		}
	}
	var list []fileStamp
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, "~/"); ok {
			name = filepath.Join(homeDir(), rest)
		}
		if filepath.IsAbs(name) {
			list = append(list, stampOf(name))
		}
	}
	return list
}

// defaultConfigs are the files ssh reads without being told by Include. ssh
// takes the home directory from the password database, not from HOME.
func defaultConfigs(configFile string) []string {
	switch configFile {
	case "":
	case "none":
		return nil
	default:
		return []string{configFile}
	}
	return []string{"/etc/ssh/ssh_config", filepath.Join(homeDir(), ".ssh", "config")}
}

// homeDir is the home directory as ssh finds it.
func homeDir() string {
	u, err := user.Current()
	if err != nil {
		return "/"
	}
	return u.HomeDir
}

// withoutDebug drops the lines that -v adds to ssh's own words.
func withoutDebug(words string) string {
	var kept strings.Builder
	for line := range strings.Lines(words) {
		if !strings.HasPrefix(line, "debug1: ") && !strings.HasPrefix(line, "OpenSSH_") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
