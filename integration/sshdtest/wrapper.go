package sshdtest

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed wrapper.sh
var wrapperScript string

// writeWrapper writes the forced command of a server and returns its path.
func (s *Server) writeWrapper(o Options) (string, error) {
	if s.wrapper != "" {
		return s.wrapper, nil // it has been written, and files of a given Home stay
	}
	shell, err := loginShell(s.Dir, o.LoginShell)
	if err != nil {
		return "", err
	}
	programs, err := linkPrograms(s.Dir, o.Programs)
	if err != nil {
		return "", err
	}
	if programs != "" {
		// /etc/profile sets PATH for logins; what follows it is ours.
		o.RC = "PATH=" + quote(programs) + "; export PATH\n" + o.RC
	}
	if err := writeRC(s.Home, shell, o.RC); err != nil {
		return "", err
	}
	delay := ""
	if o.StartDelay > 0 {
		delay = strconv.FormatFloat(o.StartDelay.Seconds(), 'f', -1, 64)
	}
	text := strings.NewReplacer(
		"@HOME@", quote(s.Home), "@SHELL@", quote(shell), "@FORCED@", quote(o.ForceCommand),
		"@DELAY@", quote(delay), "@PROGRAMS@", quote(programs), "@SERVER@", quote(s.Dir),
	).Replace(wrapperScript)
	s.wrapper = s.path("session")
	return s.wrapper, os.WriteFile(s.wrapper, []byte(text), 0o700) //nolint:gosec // it is a program
}

// loginShell returns the path of the emulated shell. The form "busybox ash",
// a program of many names and one of them, becomes a link of that name.
func loginShell(dir, spec string) (string, error) {
	words := strings.Fields(spec)
	switch len(words) {
	case 0:
		return "/bin/sh", nil
	case 1, 2:
	default:
		return "", fmt.Errorf("login shell %q: want PROGRAM or PROGRAM APPLET", spec)
	}
	program, err := lookPath(words[0])
	if err != nil {
		return "", fmt.Errorf("login shell: %w", err)
	}
	if len(words) == 1 {
		return program, nil
	}
	link := filepath.Join(dir, "shells", words[1])
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		return "", err
	}
	return link, os.Symlink(program, link)
}

// rcFiles names the files, relative to HOME, that a shell reads at the start
// of a command (`shell -c`, under ssh) and of a login. Shells that are not
// listed, such as sh, read .profile at a login and nothing for a command.
func rcFiles(shell string) []string {
	switch filepath.Base(shell) {
	case "bash":
		return []string{".bashrc", ".bash_profile"}
	case "zsh":
		return []string{".zshenv"}
	case "fish":
		return []string{".config/fish/config.fish"}
	case "tcsh", "csh":
		return []string{".cshrc"}
	default:
		return []string{".profile"}
	}
}

func writeRC(home, shell, text string) error {
	if text == "" {
		return nil
	}
	for _, name := range rcFiles(shell) {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := appendFile(path, text+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// quote makes one word of s for a POSIX shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// lookPath finds a program on PATH and in the directories of system daemons,
// which a user's PATH often lacks.
func lookPath(name string) (string, error) {
	dirs := []string{""}
	if !strings.Contains(name, "/") {
		dirs = append(filepath.SplitList(os.Getenv("PATH")),
			"/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/homebrew/sbin")
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("%s: %w", name, os.ErrNotExist)
}
