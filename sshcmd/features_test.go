package sshcmd

import (
	"strings"
	"testing"
)

// known are the features of this ssh.
func known(t *testing.T) Features {
	t.Helper()
	f := AllFeatures()
	for range 3 {
		got := run(t, ProbeArgs([]string{"ssh"}, f)...)
		rest, ok := f.Without(got.stderr)
		if got.code == 0 {
			return rest
		}
		if !ok {
			t.Fatalf("probe: status %d, %q", got.code, got.stderr)
		}
		f = rest
	}
	t.Fatal("the probe never ends")
	return f
}

func TestVersionAndProbeOfThisSSH(t *testing.T) {
	words := run(t, "ssh", "-V").stderr
	v, ok := ParseVersion(words)
	if !ok {
		t.Errorf("ParseVersion does not know %q", words)
	}
	f := known(t)
	want := Features{ForkAfterAuthentication: v.AtLeast(8, 7), SetEnv: v.AtLeast(7, 8), NoGSSAPI: f.NoGSSAPI}
	if f != want {
		t.Errorf("%s knows %+v, want %+v", v.Raw, f, want)
	}
	if got := run(t, ProbeArgs([]string{"ssh"}, f)...); got.code != 0 || strings.Contains(got.stderr, "option") {
		t.Errorf("with what it knows the probe ends with %d, %q", got.code, got.stderr)
	}
}
