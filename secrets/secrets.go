// Package secrets keeps named values for the commands of a project: encrypted
// in a file of their own, or only as a reference to where they are. It resolves
// them when a command needs them, and keeps them out of what is shown.
//
// A value is in this process, in the frame that goes to the host, and in the
// environment of the command there; it is in no argv, in no environment of a
// process that we start here, and in no file but the encrypted one.
package secrets

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	// MaxValue bounds one value, in bytes.
	MaxValue = 64 << 10
	// MaxSecrets bounds the secrets of a project.
	MaxSecrets = 1000
)

// Vault is what a project keeps.
type Vault struct {
	Secrets []Secret     `json:"secrets"`
	Git     *GitIdentity `json:"git_identity,omitempty"`
}

// Secret is a named value, or a reference to one.
type Secret struct {
	Name string `json:"name"`
	// Value is what is stored, unless From says where it comes from.
	Value []byte     `json:"value,omitempty"`
	From  *Reference `json:"from,omitempty"`
	// Hosts are patterns for the hosts whose commands get it; none means all.
	Hosts Hosts `json:"hosts,omitempty"`
}

// Kind says where the value is: stored, env:X, cmd or file.
func (s Secret) Kind() string {
	switch {
	case s.From == nil:
		return "stored"
	case s.From.Kind == FromEnv:
		return s.From.String()
	}
	return string(s.From.Kind)
}

// Hosts are patterns, as of path.Match, for the names of hosts as the user
// writes them.
type Hosts []string

// ParseHosts reads patterns that are separated by commas. Nothing at all is for
// every host; an empty pattern is a *PatternError.
func ParseHosts(text string) (Hosts, error) {
	if text == "" {
		return nil, nil
	}
	hosts := Hosts(strings.Split(text, ","))
	for _, pattern := range hosts {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return nil, &PatternError{pattern}
		}
	}
	return hosts, nil
}

// Match reports whether what has these patterns is for that host.
func (h Hosts) Match(host string) bool {
	return len(h) == 0 || slices.ContainsFunc(h, func(pattern string) bool {
		ok, err := path.Match(pattern, host)
		return ok && err == nil
	})
}

func (h Hosts) String() string { return strings.Join(h, ",") }

// PatternError says that a pattern for hosts is none.
type PatternError struct{ Pattern string }

func (e *PatternError) Error() string {
	return fmt.Sprintf("%q is no pattern for hosts; write a name, *, ? or [a-z], several with commas between them", e.Pattern)
}

// NotFoundError says that there is no secret of that name.
type NotFoundError struct{ Name string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("this project has no secret %s", e.Name)
}

// Put adds secrets, each in place of one of the same name, and returns the names
// of those. Nothing is changed where one of them cannot be kept: *NameError or
// *ValueError.
func (v *Vault) Put(dangerous bool, all ...Secret) (replaced []string, err error) {
	kept := slices.Clone(v.Secrets)
	for _, s := range all {
		if err := s.check(dangerous); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(kept, func(old Secret) bool { return old.Name == s.Name }); i >= 0 {
			kept[i] = s
			replaced = append(replaced, s.Name)
			continue
		}
		kept = append(kept, s)
	}
	if len(kept) > MaxSecrets {
		return nil, &ValueError{Why: fmt.Sprintf("a project has at most %d secrets", MaxSecrets)}
	}
	slices.SortFunc(kept, func(a, b Secret) int { return strings.Compare(a.Name, b.Name) })
	v.Secrets = kept
	return replaced, nil
}

// Remove removes a secret, or the git identity by its name (GitName).
func (v *Vault) Remove(name string) error {
	if name == GitName && v.Git != nil {
		v.Git = nil
		return nil
	}
	i := slices.IndexFunc(v.Secrets, func(s Secret) bool { return s.Name == name })
	if i < 0 {
		return &NotFoundError{name}
	}
	v.Secrets = slices.Delete(v.Secrets, i, i+1)
	return nil
}

// ValueError says what is wrong with a value. It does not hold it.
type ValueError struct{ Name, Why string }

func (e *ValueError) Error() string {
	if e.Name == "" {
		return e.Why
	}
	return "the value of " + e.Name + " " + e.Why
}

func (s Secret) check(dangerous bool) error {
	if err := CheckName(s.Name, dangerous); err != nil {
		return err
	}
	return checkValue(s.Name, s.Value)
}

func checkValue(name string, value []byte) error {
	switch {
	case bytes.IndexByte(value, 0) >= 0:
		return &ValueError{name, "holds a NUL byte, which no environment can hold"}
	case len(value) > MaxValue:
		return &ValueError{name, fmt.Sprintf("is longer than %d bytes", MaxValue)}
	}
	return nil
}
