package sshcmd

import "regexp"

// Features are options of ours that not every ssh knows.
type Features struct {
	// ForkAfterAuthentication came with OpenSSH 8.7; to an ssh that does not
	// know it, and so with SetEnv, it is fatal.
	ForkAfterAuthentication bool
	// SetEnv came with OpenSSH 7.8.
	SetEnv bool
	// NoGSSAPI is an ssh that was built without GSSAPI, as Debian's from 10.6
	// on. It cannot delegate, and complains of every option about that on
	// stderr, where people and Classify would read it.
	NoGSSAPI bool
}

// AllFeatures returns every feature that bivy would use.
func AllFeatures() Features {
	return Features{ForkAfterAuthentication: true, SetEnv: true}
}

// The options behind the features. ssh takes the first SetEnv and drops all
// later ones, so a harmless variable keeps the user's from the host.
const (
	noFork = "ForkAfterAuthentication=no"
	ourEnv = "SetEnv=BIVY=1"
	// noDelegation is there unless ssh itself says that it is in vain.
	noDelegation = "GSSAPIDelegateCredentials=no"
)

func (f Features) args() []string {
	var args []string
	if !f.NoGSSAPI {
		args = append(args, "-o", noDelegation)
	}
	if f.ForkAfterAuthentication {
		args = append(args, "-o", noFork)
	}
	if f.SetEnv {
		args = append(args, "-o", ourEnv)
	}
	return args
}

// ProbeArgs returns the argv of a question that connects to nothing and reads
// no configuration: status 0 means that this ssh knows all of f, and its
// stderr is then the text for ParseVersion, and for Without, as some may be
// known and in vain. Status 255 names the first unknown one on stderr: ask again
// with what Without leaves. So a new ssh costs one process and the oldest three.
func ProbeArgs(ssh []string, f Features) []string {
	return join(ssh, f.args(), []string{"-V"})
}

var badOption = regexp.MustCompile(`(?m)(?:Bad configuration option: |Unsupported option ")([A-Za-z0-9]+)"?\r?$`)

// Without returns f less the feature that a probe's stderr names as unknown or
// unsupported, and false if it names none of f: then something else is wrong.
func (f Features) Without(stderr string) (Features, bool) {
	rest := f
	for _, m := range badOption.FindAllStringSubmatch(stderr, -1) {
		// ssh prints the key in lower case.
		switch m[1] {
		case "forkafterauthentication":
			rest.ForkAfterAuthentication = false
		case "setenv":
			rest.SetEnv = false
		case "gssapidelegatecredentials":
			rest.NoGSSAPI = true
		}
	}
	return rest, rest != f
}
