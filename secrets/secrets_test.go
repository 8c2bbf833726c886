package secrets

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

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
