package secrets

import (
	"fmt"
	"slices"
	"strings"

	"bivy/exec"
)

// NameError says why a secret cannot have that name.
type NameError struct {
	Name string
	// Dangerous says that it can if the user insists.
	Dangerous bool
	Why       string
}

func (e *NameError) Error() string {
	return fmt.Sprintf("a secret cannot be called %q: %s", e.Name, e.Why)
}

// CheckName refuses names that no variable can have, and those that are
// Dangerous unless that is wanted. The error is a *NameError.
func CheckName(name string, dangerous bool) error {
	switch err := (exec.EnvVar{Name: name}).Check(); {
	case err != nil:
		return &NameError{Name: name, Why: err.Why}
	case strings.HasPrefix(name, "BIVY_"):
		return &NameError{Name: name, Why: "names that begin with BIVY_ are bivy's own"}
	case Dangerous(name) && !dangerous:
		return &NameError{Name: name, Dangerous: true, Why: "it changes how the host runs things"}
	}
	return nil
}

// Dangerous reports whether a variable changes how a host runs things: which
// programs and libraries it takes, what shells and interpreters run before what
// they were told to, how git reaches others.
func Dangerous(name string) bool {
	for _, prefix := range []string{"LD_", "DYLD_", "GIT_CONFIG", "GIT_TRACE", "BASH_FUNC_", "MALLOC_", "LC_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		// shells
		"PATH", "HOME", "SHELL", "ENV", "BASH_ENV", "BASH_XTRACEFD", "IFS", "CDPATH", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "ZDOTDIR", "FPATH", "GLOBIGNORE",
		"HISTFILE", "FCEDIT", "FIGNORE", "TMOUT", "POSIXLY_CORRECT", "TMPDIR", "TERM", "TERMINFO", "TERMCAP", "USER", "LOGNAME", "PWD", "OLDPWD",
		// the system's library
		"GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_HOST_CONF", "LANG", "LANGUAGE", "TZDIR",
		// git and ssh
		"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_EXTERNAL_DIFF", "GIT_EDITOR",
		"GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_ASKPASS", "GIT_TERMINAL_PROMPT", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
		"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_ALLOW_PROTOCOL", "GIT_SSL_NO_VERIFY", "GIT_SSL_CAINFO", "GIT_ATTR_SOURCE",
		"SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_AUTH_SOCK",
		// what other programs start
		"EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESS", "LESSOPEN", "LESSCLOSE", "SUDO_ASKPASS", "SUDO_EDITOR", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS",
		"XDG_DATA_HOME", "XDG_DATA_DIRS", "MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKEFILES", "RUSTC_WRAPPER", "CARGO_HOME",
		// interpreters
		"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONINSPECT", "PYTHONBREAKPOINT", "PYTHONWARNINGS", "PERL5LIB", "PERLLIB", "PERL5OPT",
		"PERL5DB", "RUBYLIB", "RUBYOPT", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE", "NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_PREFIX",
		"CLASSPATH", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_HOME", "MAVEN_OPTS", "GRADLE_OPTS", "LUA_PATH", "LUA_CPATH", "LUA_INIT",
		"PHPRC", "PHP_INI_SCAN_DIR", "GOFLAGS", "GOROOT", "GOPATH", "GOBIN", "GOENV", "GOTOOLCHAIN", "ERL_AFLAGS", "ERL_FLAGS", "ERL_LIBS", "JULIA_LOAD_PATH",
	}, name)
}
