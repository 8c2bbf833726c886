package secrets

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bivy/exec"
)

func TestParseReference(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"env:X": "env:X", "cmd:op read 'op://a b/c'": "cmd:op read 'op://a b/c'", "file:/a": "file:/a", "file:~/a": "file:~/a",
		"file:a/../b": "file:" + filepath.Join(here, "b"), "env:1 odd": "env:1 odd",
	} {
		r, err := ParseReference(text)
		if err != nil || r.String() != want {
			t.Errorf("%q is %v, %v; want %q", text, r, err, want)
			continue
		}
		var again Reference
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != *r {
			t.Errorf("%q comes back as %v, %v", text, again, err)
		}
	}
	for _, text := range []string{"", "hunter2", "env:", "env:A=b", "cmd:", "cmd: ", "cmd:a 'b", "file:", "vault:hunter2", "file:a\x00hunter2", "ENV:X"} {
		var bad *FormatError
		if _, err := ParseReference(text); !errors.As(err, &bad) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q gives %v", text, err)
		}
	}
}

// script is a program that does that.
func script(t *testing.T, text string) string {
	t.Helper()
	return file(t, "#!/bin/sh\n"+text+"\n", 0o700)
}

// Not parallel: the environment is the process's.
func TestResolve(t *testing.T) {
	t.Setenv("BIVY_TEST_SECRET", "from the environment\n")
	t.Setenv("HOME", t.TempDir())
	if err := os.WriteFile(os.Getenv("HOME")+"/token", []byte("from home\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"env:BIVY_TEST_SECRET":                                           "from the environment\n",
		"file:" + file(t, "in a file\r\n", 0o600):                        "in a file",
		"file:" + file(t, "two\n\n", 0o600):                              "two\n",
		"file:~/token":                                                   "from home",
		"file:" + file(t, strings.Repeat("x", MaxValue)+"\n", 0o600):     strings.Repeat("x", MaxValue),
		"cmd:echo 'a  $HOME' b":                                          "a  $HOME b",
		"cmd:" + script(t, "cat; echo noise >&2; printf '\\377x\\n\\n'"): "\xffx\n",
		"cmd:" + script(t, "pwd"):                                        os.Getenv("HOME"),
	} {
		r, err := ParseReference(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.resolve(t.Context(), "A"); err != nil || string(got) != want {
			t.Errorf("%s gives %.50q, %v; want %.50q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"env:BIVY_TEST_NONE": "not set", "file:/nowhere/at/all": "no such file", "file:/dev/zero": "no ordinary file", "file:" + t.TempDir(): "no ordinary file",
		"file:" + file(t, strings.Repeat("x", MaxValue+1), 0o600): "more than", "file:" + file(t, "hunter2\x00", 0o600): "NUL",
		"cmd:/nowhere/at/all": "no such file", "cmd:" + script(t, "echo hunter2; echo first >&2; echo last words >&2; exit 3"): "ended with 3; it said: last words",
		"cmd:" + script(t, "kill -9 $$"): "ended by signal 9", "cmd:yes hunter2": "more than", "cmd:printf 'hunter2\\0'": "NUL",
	} {
		r, err := ParseReference(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.resolve(t.Context(), "NAME")
		var bad *ReferenceError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || strings.Contains(strings.ReplaceAll(err.Error(), text, ""), "hunter2") || !strings.Contains(err.Error(), "NAME") {
			t.Errorf("%s gives %v, want %q", text, err, want)
		}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("time is over"))
	defer cancel()
	if _, err := (Reference{FromCmd, "sleep 600"}).resolve(ctx, "A"); err == nil || !strings.Contains(err.Error(), "time is over") {
		t.Errorf("a program that takes too long gives %v", err)
	}
}

func TestVaultResolve(t *testing.T) {
	t.Setenv("BIVY_TEST_SECRET", "envvalue")
	counter := filepath.Join(t.TempDir(), "count")
	count := func() string { data, _ := os.ReadFile(counter); return string(data) }
	v := &Vault{
		Secrets: []Secret{
			{Name: "ALL", Value: []byte("everywhere")},
			{Name: "CMD", From: &Reference{FromCmd, script(t, "echo x >>"+counter+"; echo given")}},
			{Name: "ENV", From: &Reference{FromEnv, "BIVY_TEST_SECRET"}, Hosts: Hosts{"gpu*"}},
			{Name: "OTHER", Value: []byte("elsewhere"), Hosts: Hosts{"web"}},
		},
		Git: &GitIdentity{Name: "Ann", Email: "a@b", Token: &Reference{FromEnv, "BIVY_TEST_SECRET"}, TokenHost: "h", Hosts: Hosts{"gpu*"}},
	}
	none := func(string) bool { return false }
	for host, want := range map[string][]string{
		"gpu1": {"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "BIVY_GIT_TOKEN", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_KEY_1", "GIT_CONFIG_VALUE_1", "ALL", "CMD", "ENV"},
		"web":  {"ALL", "CMD", "OTHER"},
	} {
		vars, values, err := new(Resolver).Resolve(t.Context(), v, host, none)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(vars)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", host, diff)
		}
		var shown []string
		for _, one := range values {
			shown = append(shown, one.Name+"="+one.Value)
		}
		// What is for another host is not shown either.
		if all := strings.Join(shown, " "); !strings.Contains(all, "ALL=everywhere OTHER=elsewhere") || !strings.Contains(all, "CMD=given") || strings.Contains(all, "ENV=envvalue") != (host == "gpu1") {
			t.Errorf("%s: %v must not be shown", host, shown)
		}
	}
	// What the caller sets itself is not even asked for.
	vars, _, err := new(Resolver).Resolve(t.Context(), v, "gpu1", func(name string) bool { return name != "ALL" })
	if diff := cmp.Diff([]string{"ALL"}, names(vars)); diff != "" || err != nil || count() != "x\nx\n" {
		t.Errorf("%v, the program ran %q (-want +got):\n%s", err, count(), diff)
	}
	keep := &Resolver{Keep: time.Hour}
	for range 3 {
		if _, _, err := keep.Resolve(t.Context(), v, "web", none); err != nil {
			t.Fatal(err)
		}
	}
	if count() != "x\nx\nx\n" {
		t.Errorf("the program ran %q", count())
	}
	if known := v.Known(); len(known) != 4 || count() != "x\nx\nx\n" {
		t.Errorf("at no cost are known %v, the program ran %q", known, count())
	}
	if diff := cmp.Diff([]string{"BIVY_TEST_SECRET", "BIVY_TEST_SECRET"}, v.Variables()); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	v.Secrets[1].From.Text = "false"
	var bad *ReferenceError
	if _, _, err := new(Resolver).Resolve(t.Context(), v, "web", none); !errors.As(err, &bad) || bad.Name != "CMD" {
		t.Errorf("a program that fails gives %v", err)
	}
}

func names(vars []exec.EnvVar) []string {
	var list []string
	for _, v := range vars {
		list = append(list, v.Name)
	}
	return list
}
