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

func TestPeek(t *testing.T) {
	t.Parallel()
	dir := secretsDir(t)
	s := Open(Config{Dir: dir})
	if s.Peek("api") != nil || len(s.Projects()) > 0 {
		t.Error("there is something before anything was kept")
	}
	if err := put(t.Context(), s, "api", "A", "a"); err != nil {
		t.Fatal(err)
	}
	if v := Open(Config{Dir: dir}).Peek("api"); v == nil || len(v.Secrets) != 1 {
		t.Errorf("it holds %+v", v)
	}
	if err := os.WriteFile(filepath.Join(dir, "web.age"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if v := s.Peek("web"); v != nil {
		t.Errorf("a damaged one holds %+v", v)
	}
	if all := s.Projects(); len(all) != 2 {
		t.Errorf("the projects are %q", all)
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
