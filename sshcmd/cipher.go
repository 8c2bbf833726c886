package sshcmd

import (
	"slices"
	"strings"
)

const (
	// fastCipher is the one to prefer where both processors have instructions
	// for AES: bulk data then goes about twice as fast as with ssh's default.
	fastCipher = "aes128-gcm@openssh.com"
	// gcm ends the names of the ciphers that are as fast as that, or nearly.
	gcm = "-gcm@openssh.com"
	// maxCiphers bounds a list; ssh knows about ten.
	maxCiphers = 64
)

// DefaultsArgs returns the argv of a question for what this ssh does where
// nobody configured anything (ParseConfig). It reads no configuration and
// connects to nothing.
func DefaultsArgs(ssh []string) []string {
	return join(ssh, []string{"-G", "-F", "none", "--", PlaceholderHost})
}

// PreferAES returns the value for Master.Ciphers that puts aes128-gcm first and
// leaves the order of all others, or "" where nothing must be changed: where
// the list that counts is not ssh's own default, so that somebody chose it
// (the user, the system or its policy), where it lacks aes128-gcm, and where a
// GCM cipher comes first anyway. The result has the members of that list and
// no others.
//
// Both lists are values of ciphers in the output of `ssh -G`: of the master,
// and of DefaultsArgs. The whole list is given to ssh and not "^" with a name,
// which came with 8.1 and which an older ssh refuses.
func PreferAES(user User, effective, own string) string {
	list := strings.Split(effective, ",")
	at := slices.Index(list, fastCipher)
	if user.sets("Ciphers") || effective != own || at < 0 || strings.HasSuffix(list[0], gcm) || !areCiphers(list) {
		return ""
	}
	return strings.Join(slices.Insert(slices.Delete(list, at, at+1), 0, fastCipher), ",")
}

// areCiphers reports whether a list holds names only, each once.
func areCiphers(list []string) bool {
	for i, name := range list {
		if !isCipher(name) || slices.Contains(list[:i], name) {
			return false
		}
	}
	return len(list) <= maxCiphers
}

func isCipher(name string) bool {
	for _, c := range []byte(name) {
		if !isAlnum(c) && c != '@' && c != '.' && c != '-' {
			return false
		}
	}
	return name != ""
}
