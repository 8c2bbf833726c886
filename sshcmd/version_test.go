package sshcmd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseVersion(t *testing.T) {
	for _, tc := range []struct {
		out  string
		want Version
	}{
		{
			"OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026\r\n",
			Version{9, 2, 0, "p1", "Debian-2+deb12u10", "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026"},
		},
		{"OpenSSH_for_Windows_9.5p2, LibreSSL 3.8.2\n", Version{9, 5, 0, "p2", "Windows", "OpenSSH_for_Windows_9.5p2, LibreSSL 3.8.2"}},
		{"OpenSSH_for_Windows 9.5p1", Version{9, 5, 0, "p1", "Windows", "OpenSSH_for_Windows 9.5p1"}},
		{"OpenSSH_9.9p2, LibreSSL 3.3.6", Version{9, 9, 0, "p2", "", "OpenSSH_9.9p2, LibreSSL 3.3.6"}},
		{"OpenSSH_7.4p1", Version{7, 4, 0, "p1", "", "OpenSSH_7.4p1"}},
		{"OpenSSH_10.3", Version{10, 3, 0, "", "", "OpenSSH_10.3"}},
		{"OpenSSH_3.9.1p1, OpenSSL 0.9.7a", Version{3, 9, 1, "p1", "", "OpenSSH_3.9.1p1, OpenSSL 0.9.7a"}},
		{"OpenSSH_8.9p1-hpn14v15, OpenSSL 3", Version{8, 9, 0, "p1", "hpn14v15", "OpenSSH_8.9p1-hpn14v15, OpenSSL 3"}},
		{"a wrapper's greeting\nOpenSSH_9.6p1 Ubuntu-3ubuntu13.5, OpenSSL", Version{9, 6, 0, "p1", "Ubuntu-3ubuntu13.5", "OpenSSH_9.6p1 Ubuntu-3ubuntu13.5, OpenSSL"}},
	} {
		got, ok := ParseVersion(tc.out)
		if diff := cmp.Diff(tc.want, got); diff != "" || !ok {
			t.Errorf("ParseVersion(%q) ok=%v (-want +got):\n%s", tc.out, ok, diff)
		}
	}
	for _, out := range []string{
		"", "Dropbear v2022.83", "OpenSSH", "OpenSSH_", "OpenSSH_9", "not OpenSSH_9.2p1", "OpenSSH_99999.1",
		"command-line: line 0: Bad configuration option: OpenSSH_9.2p1",
	} {
		if got, ok := ParseVersion(out); ok || got != (Version{}) {
			t.Errorf("ParseVersion(%q) = %+v, %v; want nothing", out, got, ok)
		}
	}
}

func TestVersionAtLeast(t *testing.T) {
	v := Version{Major: 9, Minor: 2}
	for _, tc := range []struct {
		major, minor int
		want         bool
	}{{8, 9, true}, {9, 0, true}, {9, 2, true}, {9, 3, false}, {10, 0, false}} {
		if got := v.AtLeast(tc.major, tc.minor); got != tc.want {
			t.Errorf("9.2 at least %d.%d = %v, want %v", tc.major, tc.minor, got, tc.want)
		}
	}
	if (Version{}).AtLeast(1, 0) {
		t.Error("the zero version is at least 1.0")
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("OpenSSH_9.2p1 Debian-2, OpenSSL")
	f.Add("OpenSSH_for_Windows 9.5p1")
	f.Fuzz(func(t *testing.T, out string) {
		v, ok := ParseVersion(out)
		switch {
		case !ok && v != (Version{}):
			t.Errorf("ParseVersion(%q) fails with %+v", out, v)
		case ok && (!strings.Contains(out, v.Raw) || !strings.HasPrefix(v.Raw, "OpenSSH") || strings.ContainsAny(v.Raw, "\r\n")):
			t.Errorf("ParseVersion(%q) has the raw line %q", out, v.Raw)
		case ok && (!strings.Contains(v.Raw, v.Vendor) || !v.AtLeast(v.Major, v.Minor)):
			t.Errorf("ParseVersion(%q) = %+v", out, v)
		}
	})
}
