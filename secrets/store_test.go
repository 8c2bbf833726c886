package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
)

func secretsDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "secrets")
}

// put adds a secret to a store.
func put(ctx context.Context, s *Store, project, name, value string) error {
	return s.Change(ctx, project, func(v *Vault) error {
		_, err := v.Put(false, Secret{Name: name, Value: []byte(value)})
		return err
	})
}

// holds wants that a project keeps these names and values.
func holds(t *testing.T, s *Store, project string, want map[string]string) {
	t.Helper()
	v, err := s.Read(project)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, one := range v.Secrets {
		got[one.Name] = string(one.Value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", project, diff)
	}
}

func TestStoreKeepsSecrets(t *testing.T) {
	t.Parallel()
	dir := secretsDir(t)
	s := Open(Config{Dir: dir})
	holds(t, s, "api", map[string]string{})
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading has made the directory: %v", err)
	}
	const canary = "canary-value\xff\n"
	for _, err := range []error{
		put(t.Context(), s, "api", "B", canary), put(t.Context(), s, "api", "A", ""), put(t.Context(), s, "web", "A", "other"),
		s.Change(t.Context(), "api", func(v *Vault) error {
			v.Git = &GitIdentity{Name: "Ann", Email: "a@b", Token: &Reference{FromEnv, "TOKEN"}, TokenHost: "github.com"}
			_, err := v.Put(false, Secret{Name: "C", From: &Reference{FromCmd, "op read x"}, Hosts: Hosts{"gpu*", "a"}})
			return err
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*Store{s, Open(Config{Dir: dir})} {
		holds(t, s, "api", map[string]string{"A": "", "B": canary, "C": ""})
		holds(t, s, "web", map[string]string{"A": "other"})
		v, err := s.Read("api")
		if err != nil || v.Secrets[2].From.String() != "cmd:op read x" || v.Secrets[2].Hosts.String() != "gpu*,a" || v.Git.Token.String() != "env:TOKEN" {
			t.Errorf("it keeps %+v, %v", v, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || bytes.Contains(data, []byte("canary")) || bytes.Contains(data, []byte("TOKEN")) || bytes.Contains(data, []byte("gpu")) {
			t.Errorf("%s can be read: %q, %v", e.Name(), data, err)
		}
	}
	if err := s.Change(t.Context(), "api", func(v *Vault) error { return v.Remove("B") }); err != nil {
		t.Fatal(err)
	}
	holds(t, s, "api", map[string]string{"A": "", "C": ""})
	var missing *NotFoundError
	if err := s.Change(t.Context(), "api", func(v *Vault) error { return v.Remove("B") }); !errors.As(err, &missing) {
		t.Errorf("removing it again gives %v", err)
	}
	if err := s.Change(t.Context(), "api", func(v *Vault) error { return v.Remove(GitName) }); err != nil {
		t.Error(err)
	}
}

// Several processes change the stores of new projects at the same time: one
// identity is made, and nothing is lost.
func TestStoreTogether(t *testing.T) {
	t.Parallel()
	dir := secretsDir(t)
	var all sync.WaitGroup
	want := map[string]string{}
	for i := range 16 {
		name := fmt.Sprintf("N%d", i)
		want[name] = "value"
		all.Go(func() {
			for _, project := range []string{"api", "web"} {
				if err := put(t.Context(), Open(Config{Dir: dir}), project, name, "value"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	holds(t, Open(Config{Dir: dir}), "api", want)
	holds(t, Open(Config{Dir: dir}), "web", want)
}

func TestStoreThatCannotBeUsedIsLeftAlone(t *testing.T) {
	t.Parallel()
	foreign := func(t *testing.T, plain string) func(string) []byte {
		return func(dir string) []byte {
			keys, err := Open(Config{Dir: dir}).identity(false)
			if err != nil {
				t.Fatal(err)
			}
			data, err := encrypt([]byte(plain), keys)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
	own := func(dir string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, "api.age"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, c := range map[string]struct {
		content func(dir string) []byte
		want    Problem
	}{
		"empty":              {func(string) []byte { return nil }, Damaged},
		"no store at all":    {func(string) []byte { return []byte("hello\n") }, Damaged},
		"cut off":            {func(dir string) []byte { data := own(dir); return data[:len(data)-1] }, Damaged},
		"cut in the header":  {func(dir string) []byte { return own(dir)[:40] }, Damaged},
		"a bit has changed":  {func(dir string) []byte { data := own(dir); data[len(data)-3] ^= 1; return data }, Damaged},
		"no JSON":            {foreign(t, "canary"), Damaged},
		"of another project": {foreign(t, `{"format":1,"project":"web","secrets":[]}`), Damaged},
		"of odd types":       {foreign(t, `{"format":1,"project":"api","secrets":["canary"]}`), Damaged},
		"a bad reference":    {foreign(t, `{"format":1,"project":"api","secrets":[{"name":"A","from":"canary"}]}`), Damaged},
		"of a later version": {foreign(t, `{"format":2,"secrets":7}`), Newer},
		"for somebody else": {func(string) []byte {
			other, err := age.GenerateX25519Identity()
			if err != nil {
				t.Fatal(err)
			}
			data, err := encrypt([]byte("{}"), []key{{Identity: other, recipient: other.Recipient()}})
			if err != nil {
				t.Fatal(err)
			}
			return data
		}, Foreign},
	} {
		dir := secretsDir(t)
		if err := put(t.Context(), Open(Config{Dir: dir}), "api", "A", "canary"); err != nil {
			t.Fatal(err)
		}
		data, file := c.content(dir), filepath.Join(dir, "api.age")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := Open(Config{Dir: dir})
		_, read := s.Read("api")
		for how, err := range map[string]error{"reading": read, "writing": put(t.Context(), s, "api", "B", "b")} {
			var trouble *StoreError
			if !errors.As(err, &trouble) || trouble.Problem != c.want || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %s gives %v", name, how, err)
			}
		}
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, data) {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
}

func TestStoreWithoutItsIdentity(t *testing.T) {
	t.Parallel()
	dir := secretsDir(t)
	if err := put(t.Context(), Open(Config{Dir: dir}), "api", "A", "a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "identity"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	_, read := Open(Config{Dir: dir}).Read("api")
	for how, err := range map[string]error{"reading": read, "another project": put(t.Context(), Open(Config{Dir: dir}), "web", "A", "a")} {
		var missing *IdentityError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "is missing") {
			t.Errorf("%s gives %v", how, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "identity")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another identity was made: %v", err)
	}
}

func TestStoreRefusesOddProjects(t *testing.T) {
	t.Parallel()
	s := Open(Config{Dir: secretsDir(t)})
	for _, project := range []string{"", ".", "..", "a/b", "../a", "/a", ".identity"} {
		if err := put(t.Context(), s, project, "A", "a"); err == nil {
			t.Errorf("a project %q is kept", project)
		}
		if _, err := s.Read(project); err == nil {
			t.Errorf("a project %q is read", project)
		}
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	var v Vault
	if replaced, err := v.Put(false, Secret{Name: "B"}, Secret{Name: "A"}); err != nil || replaced != nil {
		t.Fatal(replaced, err)
	}
	replaced, err := v.Put(false, Secret{Name: "C"}, Secret{Name: "A", Value: []byte("new")})
	if err != nil || len(replaced) != 1 || replaced[0] != "A" || len(v.Secrets) != 3 || v.Secrets[0].Name != "A" || string(v.Secrets[0].Value) != "new" {
		t.Errorf("it keeps %+v, replaced %v, %v", v, replaced, err)
	}
	// All or nothing.
	var name *NameError
	var value *ValueError
	if _, err := v.Put(false, Secret{Name: "D"}, Secret{Name: "PATH"}); !errors.As(err, &name) || !name.Dangerous || len(v.Secrets) != 3 {
		t.Errorf("a dangerous name gives %v, %+v", err, v)
	}
	if _, err := v.Put(true, Secret{Name: "PATH"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []Secret{{Name: "X", Value: []byte("a\x00")}, {Name: "X", Value: make([]byte, MaxValue+1)}} {
		if _, err := v.Put(true, bad); !errors.As(err, &value) {
			t.Errorf("a bad value gives %v", err)
		}
	}
	var many []Secret
	for i := range MaxSecrets {
		many = append(many, Secret{Name: fmt.Sprintf("M%d", i)})
	}
	if _, err := v.Put(true, many...); !errors.As(err, &value) {
		t.Errorf("too many give %v", err)
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"TOKEN": "", "_a1": "", "": "empty", "1A": "digit", "A-B": "letters", "A\n": "letters", "UID": "keep", "BIVY_RUN": "own",
		"LD_PRELOAD": "changes", "PATH": "changes", "GIT_SSH_COMMAND": "changes", "BASH_ENV": "changes", "ENV": "changes", "IFS": "changes", "GIT_CONFIG_COUNT": "changes",
	} {
		err := CheckName(name, false)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q gives %v, want %q", name, err, want)
		}
		if want == "changes" && CheckName(name, true) != nil {
			t.Errorf("%q is not taken although it is wanted", name)
		}
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []string }{
		"":             {[]string{"gpu1", "x"}, nil},
		"gpu1":         {[]string{"gpu1"}, []string{"gpu10", "x.gpu1", "GPU1"}},
		"gpu*,*.org":   {[]string{"gpu1", "gpu", "a.org"}, []string{"a.org.evil", "1gpu"}},
		"ann@gpu[1-3]": {[]string{"ann@gpu2"}, []string{"gpu2", "ann@gpu4"}},
	} {
		h, err := ParseHosts(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range c.yes {
			if !h.Match(host) {
				t.Errorf("%q is not for %q", pattern, host)
			}
		}
		for _, host := range c.no {
			if h.Match(host) {
				t.Errorf("%q is for %q", pattern, host)
			}
		}
	}
	for _, pattern := range []string{"a,", ",", "[", "a,[b"} {
		var bad *PatternError
		if _, err := ParseHosts(pattern); !errors.As(err, &bad) {
			t.Errorf("%q gives %v", pattern, err)
		}
	}
}
