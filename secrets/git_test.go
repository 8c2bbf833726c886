package secrets

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// gitFill asks a real git for the credentials of a URL.
func gitFill(t *testing.T, env []string, url string) (said string, ok bool) {
	t.Helper()
	var out, words bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{
		Args: []string{"git", "credential", "fill"}, Env: env, Stdin: strings.NewReader("url=" + url + "\n\n"), Stdout: &out, Stderr: &words, Isolation: proc.Session,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String() + words.String(), exit.OK()
}

func TestGitIdentity(t *testing.T) {
	dir := t.TempDir()
	// Every sh that a host may have; mksh has no printf of its own.
	for _, shell := range []string{"dash", "bash", "busybox", "mksh", "zsh"} {
		t.Run(shell, func(t *testing.T) {
			bin := filepath.Join(dir, shell)
			if err := os.MkdirAll(bin, 0o700); err != nil {
				t.Fatal(err)
			}
			text := "exec " + shell + " \"$@\"\n"
			if shell == "busybox" {
				text = "exec busybox sh \"$@\"\n"
			}
			if err := os.WriteFile(filepath.Join(bin, "sh"), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
				t.Fatal(err)
			}
			other := filepath.Join(dir, "config")
			if err := os.WriteFile(other, []byte("[credential]\n\thelper = \"!f() { echo username=other; echo password=other; echo asked >>"+dir+"/asked; }; f\"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			g := GitIdentity{Name: "Ann's Bot", Email: "bot@example.com", Token: &Reference{FromEnv, "X"}, TokenHost: "git.example.com:8443"} //nolint:gosec // a host
			env := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_GLOBAL=" + other, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"}
			for _, v := range g.env([]byte("t0ken$x'\"")) {
				env = append(env, v.Name+"="+v.Value)
			}
			if said, ok := gitFill(t, env, "https://git.example.com:8443/a/b"); !ok || !strings.Contains(said, "username=x-access-token\npassword=t0ken$x'\"\n") {
				t.Errorf("git is given %q", said)
			}
			if _, err := os.Lstat(dir + "/asked"); err == nil {
				t.Error("another helper was asked for the token's host")
			}
			for _, url := range []string{"https://other.example.com/a", "http://git.example.com:8443/a", "https://git.example.com/a"} {
				if said, _ := gitFill(t, env, url); strings.Contains(said, "t0ken") || !strings.Contains(said, "password=other") {
					t.Errorf("for %s git is given %q", url, said)
				}
			}
			if err := os.Remove(dir + "/asked"); err != nil {
				t.Error(err)
			}
			// Nothing is kept, as nobody is told to.
			exit, err := proc.Run(t.Context(), proc.Spec{Args: []string{"git", "credential", "approve"}, Env: env, Stdin: strings.NewReader("url=https://git.example.com:8443\nusername=a\npassword=b\n\n")})
			if _, missing := os.Lstat(dir + "/asked"); err != nil || !exit.OK() || missing == nil {
				t.Errorf("git approves with %v, %v, asks another helper: %v", exit, err, missing == nil)
			}
		})
	}
}

func TestGitIdentityCommits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
	for _, v := range (GitIdentity{Name: "Ann's Bot", Email: "bot@example.com"}).env(nil) {
		env = append(env, v.Name+"="+v.Value)
	}
	var out bytes.Buffer
	for _, args := range [][]string{{"init", "-q"}, {"commit", "-q", "--allow-empty", "-m", "x"}, {"log", "-1", "--format=%an <%ae>, %cn <%ce>"}} {
		exit, err := proc.Run(t.Context(), proc.Spec{Args: append([]string{"git"}, args...), Dir: dir, Env: env, Stdout: &out, Stderr: &out})
		if err != nil || !exit.OK() {
			t.Fatal(args, exit, err, out.String())
		}
	}
	if want := "Ann's Bot <bot@example.com>, Ann's Bot <bot@example.com>\n"; out.String() != want {
		t.Errorf("the commit is by %q, want %q", out.String(), want)
	}
}

func TestGitIdentityCheck(t *testing.T) {
	t.Parallel()
	good := GitIdentity{Name: "Ann", Email: "a@b", Token: &Reference{FromEnv, "X"}, TokenHost: "github.com"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*GitIdentity){
		"no name": func(g *GitIdentity) { g.Name = " " }, "a name of two lines": func(g *GitIdentity) { g.Name = "a\nb" },
		"no email": func(g *GitIdentity) { g.Email = "" }, "an email in brackets": func(g *GitIdentity) { g.Email = "<a@b>" },
		"no host": func(g *GitIdentity) { g.TokenHost = "" }, "a URL": func(g *GitIdentity) { g.TokenHost = "https://github.com/" }, "a line": func(g *GitIdentity) { g.TokenHost = "a\nb" },
	} {
		bad := good
		change(&bad)
		var why *ValueError
		if err := bad.Check(); !errors.As(err, &why) {
			t.Errorf("%s gives %v", what, err)
		}
	}
}

func TestGitToken(t *testing.T) {
	for value, good := range map[string]bool{"ghp_abc": true, "": false, "a\nb": false, `a\nb`: false} {
		t.Setenv("BIVY_TEST_TOKEN", value)
		g := GitIdentity{Token: &Reference{FromEnv, "BIVY_TEST_TOKEN"}}
		got, err := g.token(t.Context(), &Resolver{})
		var bad *ReferenceError
		if good && (err != nil || string(got) != value) || !good && !errors.As(err, &bad) {
			t.Errorf("a token %q gives %q, %v", value, got, err)
		}
	}
}
