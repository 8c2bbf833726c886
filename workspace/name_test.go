package workspace_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"bivy/workspace"
)

func TestParseRef(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want workspace.Ref
	}{
		{"a", workspace.Ref{Name: "a"}},
		{"fix-1", workspace.Ref{Name: "fix-1"}},
		{"0.9_x-", workspace.Ref{Name: "0.9_x-"}},
		{"api/fix-1", workspace.Ref{Project: "api", Name: "fix-1"}},
		{"My.App-9f3a/x", workspace.Ref{Project: "My.App-9f3a", Name: "x"}},
		{strings.Repeat("n", 63), workspace.Ref{Name: strings.Repeat("n", 63)}},
	} {
		got, err := workspace.ParseRef(c.text)
		if err != nil || got != c.want || got.String() != c.text {
			t.Errorf("ParseRef(%q) = %q, %v", c.text, got, err)
		}
	}
}

func TestParseRefRefuses(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"":                              "has an empty name",
		"api/":                          "has an empty name",
		"/fix":                          `has nothing before the "/"`,
		"a/b/c":                         `has more than one "/"`,
		"/a/":                           `has more than one "/"`,
		"..":                            `has ".." in its name`,
		"a..b":                          `has ".." in its name`,
		"../x":                          `has ".." in its project`,
		"-rf":                           "has a name that begins with a dash",
		"api/-x":                        "has a name that begins with a dash",
		"-o/x":                          "has a project that begins with a dash",
		"Fix":                           "has upper-case letters",
		"fix 1":                         "has characters in its name that are not allowed",
		"fix\n":                         "has characters in its name that are not allowed",
		"fix:1":                         "has characters in its name that are not allowed",
		"été":                           "has characters in its name that are not allowed",
		"\xff":                          "has characters in its name that are not allowed",
		".hidden":                       "has characters in its name that are not allowed",
		"a.lock":                        `ends in "." or ".lock"`,
		"a.":                            `ends in "." or ".lock"`,
		"my app/x":                      "has a project with other characters",
		strings.Repeat("n", 64):         "has a name of 64 bytes",
		strings.Repeat("p", 200) + "/x": "has a project of 200 bytes",
	} {
		var bad *workspace.NameError
		ref, err := workspace.ParseRef(text)
		if !errors.As(err, &bad) || bad.Text != text || ref != (workspace.Ref{}) {
			t.Errorf("ParseRef(%q) = %q, %v", text, ref, err)
			continue
		}
		if !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "[PROJECT/]NAME") {
			t.Errorf("ParseRef(%q) says %q, want %q and what is allowed", text, err, reason)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"a", "p/a", "../a", "a/b/c", "-", "A", "a\x00"} {
		f.Add(s)
	}
	name := regexp.MustCompile(`\A[a-z0-9][a-z0-9._-]{0,62}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := workspace.ParseRef(s)
		if err != nil {
			return
		}
		if ref.String() != s || !name.MatchString(ref.Name) || strings.ContainsAny(ref.Project, "/\x00") ||
			strings.Contains(s, "..") || strings.HasPrefix(ref.Project, "-") {
			t.Errorf("ParseRef(%q) = %q", s, ref)
		}
	})
}

func TestMakeName(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z]+-[a-z]+-[0-9a-f]{2}$`)
	seen := map[string]bool{}
	for range 200 {
		name := workspace.MakeName(func(n string) bool { return seen[n] })
		if !form.MatchString(name) || seen[name] {
			t.Fatalf("the name %q, seen before: %v", name, seen[name])
		}
		if _, err := workspace.ParseRef(name); err != nil {
			t.Fatal(err)
		}
		seen[name] = true
	}
	// However many are taken, it ends with a name that can be one.
	tries := 0
	name := workspace.MakeName(func(string) bool { tries++; return tries < 1000 })
	if _, err := workspace.ParseRef(name); err != nil || tries != 1000 {
		t.Errorf("after %d tries %q: %v", tries, name, err)
	}
}
