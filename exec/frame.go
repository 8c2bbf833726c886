package exec

import (
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"bivy/exec/frame"
	"bivy/sshcmd"
)

//go:embed supervisor.sh
var supervisor string

//go:embed lifeline.sh
var lifeline string

const (
	// bootTTY first makes the terminal pass bytes as they are, then says
	// that it is ready: what arrives earlier would be echoed, or cut to 4 KiB
	// lines by the kernel.
	bootTTY = `B_stty=$(stty -g) && stty raw -echo && printf "[bivy:ready]" && ` + frame.Boot

	readyMark = "[bivy:ready]"
)

// inlineScript is the largest script (in bytes) that goes to /bin/sh as an
// argument; Linux allows 128 KiB for one. Longer ones go through a here
// document.
const inlineScript = 100_000

// EnvVar is one variable of a command's environment.
type EnvVar struct{ Name, Value string }

// EnvError says that a variable cannot be set through a POSIX shell.
type EnvError struct{ Name, Why string }

func (e *EnvError) Error() string {
	return fmt.Sprintf("cannot set the environment variable %q: %s", e.Name, e.Why)
}

// Check refuses names that are no names, names that a shell keeps for itself
// (bash makes an assignment to them fatal), and values that no environment can
// hold.
func (v EnvVar) Check() *EnvError {
	if v.Name == "" {
		return &EnvError{v.Name, "the name is empty"}
	}
	for i, c := range []byte(v.Name) {
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return &EnvError{v.Name, "names are letters, digits and _, and do not start with a digit"}
	}
	switch v.Name {
	case "UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "_":
		return &EnvError{v.Name, "shells keep it for themselves"}
	}
	if strings.IndexByte(v.Value, 0) >= 0 {
		return &EnvError{v.Name, "its value holds a NUL byte"}
	}
	return nil
}

// identity names one attempt to run a command: nonce is in its marks and known
// to the supervisor alone, run is in the environment of all that it starts
// (BIVY_RUN), by which they are found. Both are hex digits.
type identity struct{ nonce, run string }

func newIdentity() identity {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return identity{nonce: hex.EncodeToString(b[:12]), run: hex.EncodeToString(b[12:])}
}

// mode says what the session's stdin is for, once the frame has been read.
type mode string

const (
	modeWatch mode = "watch" // the lifeline
	modeUser  mode = "user"  // the command's stdin
	modeTTY   mode = "tty"   // the terminal
	modeEarly mode = "early" // the command's, and it comes right behind the frame
)

// commandFrame builds what is sent first on stdin.
func commandFrame(c Command, id identity, m mode) []byte {
	var b strings.Builder
	b.WriteString(frame.Strip(supervisor))
	if m == modeWatch {
		b.WriteString(frame.Strip(lifeline) + "B_tree=" + sshcmd.Quote(frame.Tree()) + "\n")
	}
	how, keep := "bivy_run", ""
	switch {
	case c.Keep:
		how, keep = "bivy_keep", "1"
	case c.Log > 0:
		how = "bivy_log"
		b.WriteString(frame.Strip(logScript) + "B_log=" + strconv.FormatInt(c.Log, 10) + "\n")
	}
	fmt.Fprintf(&b, "B_nonce=%s B_run=%s B_mode=%s B_how=%s B_keep=%s B_grace=%d B_dir=%s\n",
		id.nonce, id.run, m, how, keep, int(c.grace().Seconds()), sshcmd.Quote(c.Dir))
	b.WriteString("bivy_env() {\nexport BIVY_RUN=" + id.run + "\n")
	for _, v := range c.Env {
		fmt.Fprintf(&b, "export %s=%s\n", v.Name, sshcmd.Quote(v.Value))
	}
	argv := c.Argv
	if c.Inline {
		b.WriteString("}\nbivy_child() {\nbivy_env\n" + c.Script + "\n")
	} else if c.Script != "" {
		argv = scriptArgv(&b, c.Script, id.nonce)
	} else if strings.HasPrefix(argv[0], "-") {
		// exec would take the name for an option; as the first word of a
		// command line it cannot be one.
		argv = append([]string{"/bin/sh", "-c", `"$0" "$@"`}, argv...)
	}
	b.WriteString("}\nbivy_main " + sshcmd.QuoteAll(argv) + "\n")
	if m == modeEarly {
		return frame.PackBefore(b.String())
	}
	return frame.Pack(b.String())
}

// scriptArgv returns the argv that runs a script by the host's /bin/sh. A long
// one becomes a here document, opened in bivy_env and handed on as descriptor
// 9, which the new shell reads before it runs it. That shell must not take a
// script that it could not read for an empty one, which succeeds.
func scriptArgv(b *strings.Builder, script, nonce string) []string {
	if len(script) <= inlineScript {
		if script[0] == '-' || script[0] == '+' {
			script = " " + script // not an option of sh
		}
		return []string{"/bin/sh", "-c", script, "sh"}
	}
	end := "bivy-end-" + nonce
	fmt.Fprintf(b, "B_here=1\nexec 3<<'%s'\n%s\n%s\n", end, script, end)
	return []string{"/bin/sh", "-c", "set -- \"$(cat <&9)\"; exec 9<&-; [ -n \"$1\" ] || exit 126; eval \"set --\n$1\"", "sh"}
}
