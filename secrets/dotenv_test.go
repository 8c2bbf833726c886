package secrets

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDotenv(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		want    map[string]string
		literal []string
	}{
		"nothing":             {"", map[string]string{}, nil},
		"only comments":       {"# A=b\n\n   # c\n", map[string]string{}, nil},
		"plain":               {"A=b\nC=d e\n", map[string]string{"A": "b", "C": "d e"}, nil},
		"no last newline":     {"A=b", map[string]string{"A": "b"}, nil},
		"empty":               {"A=\nB=''\nC=\"\"\nD= # nothing\n", map[string]string{"A": "", "B": "", "C": "", "D": ""}, nil},
		"export":              {"export A=b\n\texport\tB=c\nexport=d\n", map[string]string{"A": "b", "B": "c", "export": "d"}, nil},
		"spaces":              {"  A = b  \nB\t=\t'c' \n", map[string]string{"A": "b", "B": "c"}, nil},
		"comments":            {"A=b # c\nB=b#c\nC='x'# y\nD=#x\n", map[string]string{"A": "b", "B": "b#c", "C": "x", "D": "#x"}, nil},
		"quotes":              {"A='b\"\\n$c'\nB=\"c'd\"\nC=it's\n", map[string]string{"A": "b\"\\n$c", "B": "c'd", "C": "it's"}, nil},
		"escapes":             {`A="a\n\t\r\"\\\$x\` + "`\"\n", map[string]string{"A": "a\n\t\r\"\\$x`"}, nil},
		"several lines":       {"K=\"-----BEGIN\nabc\n-----END\n\"\nB='x\ny'\n", map[string]string{"K": "-----BEGIN\nabc\n-----END\n", "B": "x\ny"}, nil},
		"CR LF":               {"A=b\r\nB=\"c\r\nd\"\r\nC='e'\r\n", map[string]string{"A": "b", "B": "c\nd", "C": "e"}, nil},
		"byte order mark":     {"\ufeffA=b\n", map[string]string{"A": "b"}, nil},
		"nothing is expanded": {"A=$B\nC=\"${D}x\"\nE='$F'\nG=5$\nH=\"`id`\"\n", map[string]string{"A": "$B", "C": "${D}x", "E": "$F", "G": "5$", "H": "`id`"}, []string{"A", "C", "H"}},
		"an = in the value":   {"URL=https://u:p@h/?a=b#c\n", map[string]string{"URL": "https://u:p@h/?a=b#c"}, nil}, //nolint:gosec // nobody's password
		"any bytes":           {"A=\xff\xfe\nB='é'\n", map[string]string{"A": "\xff\xfe", "B": "é"}, nil},
	} {
		all, err := ParseDotenv("f", []byte(c.text), false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := map[string]string{}
		for _, s := range all.Secrets {
			got[s.Name] = string(s.Value)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.literal, all.Literal); diff != "" {
			t.Errorf("%s, taken literally (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseDotenvErrors(t *testing.T) {
	t.Parallel()
	const value = "hunter2value"
	for text, want := range map[string]string{
		"A=b\nA=" + value + "\n":               "f:2:1: A is set on line 1 already",
		"A=b\n\nB='" + value + "\n":            "f:3:3: the quote",
		"é=" + value:                           "f:1:1: a name is expected",
		"  =" + value:                          "f:1:3: a name is expected",
		"A\n":                                  "f:1:2: = is expected",
		"export A B=" + value:                  "f:1:10: = is expected",
		"A='" + value + "' x":                  "f:1:18: something stands behind",
		"A=\"é" + value + "\\q\"":              "f:1:18: after a backslash",
		"A=x \"" + value + "\"":                "f:1:5: a quote within a value",
		"1A=" + value:                          "f:1:1: a secret cannot be called \"1A\"",
		"A=b\n B=\x00" + value:                 "f:2:2: the value of B holds a NUL byte",
		"A=" + strings.Repeat("x", MaxValue+1): "f:1:1: the value of A is longer",
		"BIVY_HOME=" + value:                   "f:1:1: a secret cannot be called \"BIVY_HOME\"",
		"UID=" + value:                         "f:1:1: a secret cannot be called \"UID\"",
		"LD_PRELOAD=" + value:                  "changes how the host runs things",
	} {
		all, err := ParseDotenv("f", []byte(text), false)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), value) || len(all.Secrets) > 0 {
			t.Errorf("%.40q gives %d secrets and %v, want %q", text, len(all.Secrets), err, want)
		}
	}
	var name *NameError
	if _, err := ParseDotenv("f", []byte("PATH=x"), false); !errors.As(err, &name) || !name.Dangerous {
		t.Errorf("a dangerous name gives %v", err)
	}
	if _, err := ParseDotenv("f", []byte("PATH=x"), true); err != nil {
		t.Errorf("a dangerous name that is wanted gives %v", err)
	}
}

// What is written in double quotes comes back, and errors never hold values.
func FuzzParseDotenv(f *testing.F) {
	f.Add("A=b\n", "va\"l\\ue")
	f.Add("export X='1'\r\n# c\nY=\"a\nb\"", "$x`y`\r\n")
	f.Add("A='", "\xff")
	f.Fuzz(func(t *testing.T, text, value string) {
		all, err := ParseDotenv("f", []byte(text), true)
		var where *SyntaxError
		if errors.As(err, &where) && (where.Line < 1 || where.Column < 1 || where.Line > strings.Count(text, "\n")+2) {
			t.Errorf("%q gives %v", text, err)
		}
		if err != nil && len(all.Secrets) > 0 {
			t.Errorf("%q gives secrets and %v", text, err)
		}
		if strings.Contains(value, "\x00") || len(value) > MaxValue || strings.Contains(value, "\r\n") {
			return
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
		all, err = ParseDotenv("f", []byte("# c\nexport NAME = \""+quoted+"\" # d\nB=1"), false)
		if err != nil || len(all.Secrets) != 2 || string(all.Secrets[0].Value) != value {
			t.Errorf("%q in quotes comes back as %q, %v", value, all.Secrets, err)
		}
	})
}
