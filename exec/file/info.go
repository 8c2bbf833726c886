package file

import (
	"encoding/base64"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Type says what a directory entry is.
type Type string

// The types of entries.
const (
	Regular Type = "file"
	Dir     Type = "dir"
	Symlink Type = "symlink"
	Other   Type = "other" // a device, FIFO or socket
)

// Info is what is known of a file.
type Info struct {
	// Path is as it was given, or relative to what was listed.
	Path string
	Type Type
	// Size is in bytes; of a directory or a device it means nothing.
	Size int64
	// Mode holds the permissions, with fs.ModeSetuid and the like.
	Mode fs.FileMode
	// ModTime is the time of the last change, in whole seconds; zero where
	// the host cannot tell.
	ModTime time.Time
	// UID, GID and Links (the number of names) are -1 where not known.
	UID, GID, Links int64
	// Target is what a symbolic link says.
	Target string
}

// Name is a path for JSON, which knows only characters: one that is not UTF-8
// goes into the second field. Types with a path embed it.
type Name struct {
	Path   string `json:"path,omitempty"`
	Base64 string `json:"path_base64,omitempty"`
}

// NameOf is the Name of a path.
func NameOf(path string) Name {
	if utf8.ValidString(path) {
		return Name{Path: path}
	}
	return Name{Base64: base64.StdEncoding.EncodeToString([]byte(path))}
}

// String is the path again. What is no base64 gives the empty string.
func (n Name) String() string {
	if n.Base64 == "" {
		return n.Path
	}
	path, _ := base64.StdEncoding.DecodeString(n.Base64)
	return string(path)
}

// parseInfo reads one line of lines.sh.
func parseInfo(line string) (i Info, ok bool) {
	f := strings.Split(line, " ")
	if len(f) != 8 {
		return i, false
	}
	var good [5]bool
	if i.Size, good[0] = number(f[2]); !good[0] {
		return i, false
	}
	seconds, known := number(f[3])
	if known {
		i.ModTime = time.Unix(seconds, 0)
	}
	i.UID, good[1] = number(f[4])
	i.GID, good[2] = number(f[5])
	i.Links, good[3] = number(f[6])
	for n, p := range []*int64{&i.UID, &i.GID, &i.Links} {
		if !good[n+1] {
			*p = -1
		}
	}
	switch f[0] {
	case "c", "f":
		base := 16
		if f[0] == "f" {
			base = 8
		}
		raw, err := strconv.ParseUint(f[1], base, 32)
		if err != nil {
			return i, false
		}
		i.Type, i.Mode = rawMode(uint32(raw))
	case "l":
		i.Type, i.Mode, ok = listedMode(f[1])
		return i, ok
	default:
		return i, false
	}
	return i, true
}

// number reads a time or a count; a time may lie before 1970.
func number(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// rawMode reads st_mode, whose numbers all systems share.
func rawMode(raw uint32) (t Type, mode fs.FileMode) {
	mode = fs.FileMode(raw & 0o777)
	for bit, m := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if raw&bit != 0 {
			mode |= m
		}
	}
	switch raw & 0o170000 {
	case 0o100000:
		t = Regular
	case 0o040000:
		t = Dir
	case 0o120000:
		t = Symlink
	default:
		t = Other
	}
	return t, mode
}

// listedMode reads a mode as ls -l has it, such as -rwsr-xr-t+.
func listedMode(s string) (t Type, mode fs.FileMode, ok bool) {
	if len(s) < 10 {
		return t, 0, false
	}
	switch s[0] {
	case '-':
		t = Regular
	case 'd':
		t = Dir
	case 'l':
		t = Symlink
	default:
		t = Other
	}
	special := []fs.FileMode{fs.ModeSetuid, fs.ModeSetgid, fs.ModeSticky}
	for i, c := range []byte(s[1:10]) {
		bit := fs.FileMode(0o400) >> i
		switch {
		case c == '-':
		case strings.IndexByte("rwx", c) == i%3:
			mode |= bit
		case i%3 == 2 && strings.IndexByte("sStT", c) >= 0:
			mode |= special[i/3]
			if c == 's' || c == 't' {
				mode |= bit
			}
		default:
			return t, 0, false
		}
	}
	return t, mode, true
}

// octal is a mode as chmod takes it.
func octal(mode fs.FileMode) string {
	n := uint32(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		n |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		n |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		n |= 0o1000
	}
	return "0" + strconv.FormatUint(uint64(n), 8)
}
