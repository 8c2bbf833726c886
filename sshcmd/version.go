package sshcmd

import (
	"strconv"
	"strings"
)

// Version is what `ssh -V` said of itself.
type Version struct {
	Major, Minor int
	// Patch is a third number, which only ancient releases have; else 0.
	Patch int
	// Portable is the portable release, such as "p1"; macOS and Debian have
	// one, OpenBSD has none.
	Portable string
	// Vendor is what the packager added: "Debian-2+deb12u10", "Windows".
	Vendor string
	// Raw is the line that was understood.
	Raw string
}

// versionLine allows for vendors: OpenSSH_for_Windows_9.5p2, the same with a
// space before the number, and suffixes glued on with a dash.
var versionLine = pattern(
	`(?m)^OpenSSH(?:_for_([A-Za-z]+))?[_ ](\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(p\d{1,4})?(?:[ -]([^,\r\n]*))?(?:,[^\r\n]*)?\r?$`)

// ParseVersion reads the output of `ssh -V` (it prints on stderr). It
// reports false for anything that is not OpenSSH.
func ParseVersion(out string) (Version, bool) {
	m := versionLine().FindStringSubmatch(out)
	if m == nil {
		return Version{}, false
	}
	v := Version{Portable: m[5], Vendor: strings.TrimSpace(m[6]), Raw: strings.TrimSuffix(m[0], "\r")}
	if v.Vendor == "" {
		v.Vendor = m[1]
	}
	for i, field := range []*int{&v.Major, &v.Minor, &v.Patch} {
		if digits := m[2+i]; digits != "" {
			*field, _ = strconv.Atoi(digits) // at most four digits always fit
		}
	}
	return v, true
}

// AtLeast reports whether v is that release or a later one. The zero Version
// is older than all.
func (v Version) AtLeast(major, minor int) bool {
	if v.Major != major {
		return v.Major > major
	}
	return v.Minor >= minor
}
