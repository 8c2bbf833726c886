package secrets

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"bivy/exec"
)

const (
	// GitName stands for the git identity among the names of secrets.
	GitName = "git-identity"
	// gitToken is the variable that the credential helper reads.
	gitToken = "BIVY_GIT_TOKEN" //nolint:gosec // a name
)

// GitIdentity is who commits in a workspace are by, and how git there logs in.
type GitIdentity struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	// Token is where the token is; nil means none.
	Token *Reference `json:"token,omitempty"`
	// TokenHost is the only server that gets it, by https: a name, perhaps with
	// a port.
	TokenHost string `json:"token_host,omitempty"`
	Hosts     Hosts  `json:"hosts,omitempty"`
}

// Check refuses what git would not take, or would take for something else. The
// error is a *ValueError.
func (g GitIdentity) Check() error {
	for what, text := range map[string]string{"name": g.Name, "email": g.Email} {
		if strings.TrimSpace(text) == "" || strings.ContainsAny(text, "<>\n\x00") {
			return &ValueError{Why: "the " + what + " of a git identity is some text on one line, without < and >"}
		}
	}
	for _, c := range g.TokenHost {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_", c) {
			return &ValueError{Why: "the host of a token is a name, perhaps with a port, as in github.com"}
		}
	}
	if g.Token != nil && g.TokenHost == "" {
		return &ValueError{Why: "a token needs the host that it is for"}
	}
	return nil
}

// helper is git's credential helper (gitcredentials(7)), run by the host's sh.
// It is echo, and not printf, which is a program in some shells: its arguments
// would be seen in ps.
const helper = `!f() { test "$1" != get || { echo username=x-access-token; echo "password=$` + gitToken + `"; }; }; f`

// env are the variables that make git act as that identity. The first of both
// settings empties the list of helpers, so that no other one is asked, or told
// to keep the token.
func (g GitIdentity) env(token []byte) []exec.EnvVar {
	vars := []exec.EnvVar{
		{Name: "GIT_AUTHOR_NAME", Value: g.Name},
		{Name: "GIT_AUTHOR_EMAIL", Value: g.Email},
		{Name: "GIT_COMMITTER_NAME", Value: g.Name},
		{Name: "GIT_COMMITTER_EMAIL", Value: g.Email},
	}
	if g.Token == nil {
		return vars
	}
	settings := []string{"", helper}
	vars = append(vars, exec.EnvVar{Name: gitToken, Value: string(token)}, exec.EnvVar{Name: "GIT_CONFIG_COUNT", Value: strconv.Itoa(len(settings))})
	for i, value := range settings {
		n := strconv.Itoa(i)
		vars = append(vars, exec.EnvVar{Name: "GIT_CONFIG_KEY_" + n, Value: "credential.https://" + g.TokenHost + ".helper"},
			exec.EnvVar{Name: "GIT_CONFIG_VALUE_" + n, Value: value})
	}
	return vars
}

// token resolves the token. Git's protocol has a line for it, and echo, in some
// shells, has its own mind about a backslash.
func (g GitIdentity) token(ctx context.Context, r *Resolver) ([]byte, error) {
	if g.Token == nil {
		return nil, nil
	}
	token, err := r.resolve(ctx, GitName, *g.Token)
	if err == nil && (len(token) == 0 || bytes.ContainsAny(token, "\n\r\\")) {
		err = &ReferenceError{Name: GitName, From: *g.Token, Why: "a token has no line break and no backslash, and is not empty"}
	}
	return token, err
}
